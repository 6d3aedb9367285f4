//! Values as an application caches them, made up: flights, any JSON, and noise.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use crate::cache::dictionary::Dictionary;

/// How long values are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sizes {
    /// One flight: 300 bytes.
    Row,
    /// Three: 1 KB.
    Kilobyte,
    /// Eleven: 3.6 KB.
    Page,
    /// A hundred: more than 30 KB.
    Long,
}

const CARRIERS: [&str; 16] =
    ["UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL", "AS", "F9", "YV", "HA", "OO"];
const DESTINATIONS: [&str; 24] = [
    "ORD", "ATL", "LAX", "BOS", "MCO", "CLT", "SFO", "FLL", "MIA", "DCA", "DTW", "DFW", "RDU", "TPA", "DEN",
    "IAH", "MSP", "PBI", "BNA", "LAS", "SJU", "IAD", "BUF", "PHX",
];

/// So many values, the same for the same seed and no other.
pub(super) fn flights(seed: u64, count: usize, sizes: Sizes) -> Vec<String> {
    let mut dice = StdRng::seed_from_u64(seed);
    let rows = match sizes {
        Sizes::Row => 1,
        Sizes::Kilobyte => 3,
        Sizes::Page => 11,
        Sizes::Long => 100,
    };
    let value = |_| {
        let flights: Vec<String> = (0..rows).map(|_| flight(&mut dice)).collect();
        if rows == 1 { flights.concat() } else { format!("[{}]", flights.join(", ")) }
    };
    (0..count).map(value).collect()
}

/// A dictionary for flights.
pub(super) fn dictionary(seed: u64) -> Dictionary {
    Dictionary::train(&flights(seed, 300, Sizes::Row)).unwrap().unwrap()
}

/// A row as Postgres writes it, with a space behind each colon and comma.
fn flight(dice: &mut StdRng) -> String {
    let (month, day) = (dice.random_range(1..=12), dice.random_range(1..=28));
    let (hour, minute) = (dice.random_range(5..=21), dice.random_range(0..12) * 5);
    let (delay, caught_up) = (dice.random_range(-12..60), dice.random_range(-20..20));
    let (carrier, origin) = (dice.random_range(0..16), ["EWR", "JFK", "LGA"][dice.random_range(0..3)]);
    let destination = dice.random_range(0..24);
    let air_time = 40 + destination * 12 + dice.random_range(0..20);
    let clock = |minutes: usize| (minutes / 60 % 24) * 100 + minutes % 60;
    let leaves = hour * 60 + minute;
    let late = |minutes: usize, by: i32| clock(minutes.saturating_add_signed(isize::try_from(by).unwrap()));
    format!(
        r#"{{"day": {day}, "dest": "{}", "hour": {hour}, "year": 2013, "month": {month}, "flight": {}, "minute": {minute}, "origin": "{origin}", "carrier": "{}", "tailnum": "N{}{}", "air_time": {air_time}, "arr_time": {}, "dep_time": {}, "distance": {}, "arr_delay": {}, "dep_delay": {delay}, "time_hour": "2013-{month:02}-{day:02}T{hour:02}:00:00-05:00", "sched_arr_time": {}, "sched_dep_time": {}}}"#,
        DESTINATIONS[destination],
        dice.random_range(1..6_000),
        CARRIERS[carrier],
        dice.random_range(100..1_000),
        ["UA", "JB", "AA", "MQ", "EV", "DN"][dice.random_range(0..6)],
        late(leaves + air_time, delay + caught_up),
        late(leaves, delay),
        180 + destination * 90,
        delay + caught_up,
        clock(leaves + air_time),
        clock(leaves),
    )
}

/// So many JSON texts of any shape, from one byte to some 50 KB.
pub(super) fn json(seed: u64, count: usize) -> Vec<String> {
    let mut dice = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let depth = dice.random_range(0..5);
            value(&mut dice, depth).to_string()
        })
        .collect()
}

fn value(dice: &mut StdRng, depth: u32) -> Value {
    let kinds = if depth == 0 { 5 } else { 7 };
    match dice.random_range(0..kinds) {
        0 => Value::Null,
        1 => json!(dice.random::<bool>()),
        2 => json!(dice.random::<i64>() >> dice.random_range(0..63)),
        3 => json!(dice.random::<f64>() * 1e6),
        4 => json!(text(dice)),
        5 => (0..dice.random_range(0..12)).map(|_| value(dice, depth - 1)).collect(),
        _ => (0..dice.random_range(0..12))
            .map(|_| (text(dice), value(dice, depth - 1)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn text(dice: &mut StdRng) -> String {
    let letters: Vec<char> = "aeinorst \"\\\n\u{1}äß€🙂".chars().collect();
    (0..dice.random_range(0..40)).map(|_| letters[dice.random_range(0..letters.len())]).collect()
}

/// Bytes in which there is nothing to find.
pub(super) fn noise(seed: u64, count: usize, bytes: usize) -> Vec<Vec<u8>> {
    let mut dice = StdRng::seed_from_u64(seed);
    (0..count).map(|_| (0..bytes).map(|_| dice.random()).collect()).collect()
}
