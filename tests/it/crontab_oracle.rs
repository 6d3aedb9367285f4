//! Crontab expressions against an oracle in Python that knows the rules, zoneinfo, and nothing of our code.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::process::{Command, Stdio};

use brasa_shared::crontab::{Crontab, CrontabError};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// How far the oracle looks for a firing, less what leap days make uncertain.
const ORACLE_HORIZON: SignedDuration = SignedDuration::from_hours(24 * 365 * 30);

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Lowest number, highest number and names of each field, seconds first.
const UNITS: [(u32, u32, &[&str]); 6] = [
    (0, 59, &[]),
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["JAN", "feb", "Mar", "APR", "may", "Jun", "JUL", "aug", "Sep", "OCT", "nov", "Dec"]),
    (0, 7, &["SUN", "mon", "Tue", "WED", "thu", "Fri", "SAT"]),
];

/// Zones that change their clocks in 2026, among them those that do it oddly: by half an hour, by two, at
/// midnight, for Ramadan, backwards in winter, or in the south.
const ZONES: [&str; 40] = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "America/Adak",
    "America/Anchorage",
    "America/Chicago",
    "America/Denver",
    "America/Halifax",
    "America/Havana",
    "America/Los_Angeles",
    "America/Miquelon",
    "America/New_York",
    "America/Nuuk",
    "America/Port-au-Prince",
    "America/Santiago",
    "America/Scoresbysund",
    "America/St_Johns",
    "America/Tijuana",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Famagusta",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Atlantic/Azores",
    "Atlantic/Bermuda",
    "Australia/Adelaide",
    "Australia/Hobart",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Athens",
    "Europe/Chisinau",
    "Europe/Dublin",
    "Europe/Kyiv",
    "Europe/Lisbon",
    "Europe/London",
    "Europe/Madrid",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Easter",
    "Pacific/Norfolk",
];

type Failable<T> = Result<T, Box<dyn Error>>;

/// A question that the oracle and our code have to answer alike.
struct Question {
    cron: String,
    zone: TimeZone,
    from: Timestamp,
    count: usize,
}

#[test]
fn crontab_agrees_with_the_oracle_on_two_thousand_random_expressions() {
    let mut rng = StdRng::seed_from_u64(2026);
    let questions: Vec<Question> = (0..2_000)
        .map(|_| Question {
            cron: random_expression(&mut rng),
            zone: TimeZone::UTC,
            from: Timestamp::from_second(rng.random_range(1_700_000_000..1_900_000_000)).unwrap(),
            count: 6,
        })
        .collect();

    assert_agreement(&questions).unwrap();
}

#[test]
fn crontab_agrees_with_the_oracle_at_every_clock_change_of_2026_in_forty_zones() {
    let zones = the_oracles_zones().unwrap();
    let questions: Vec<Question> = zones
        .iter()
        .flat_map(|zone| changes_of_2026(zone).into_iter().flat_map(|change| around(zone, &change)))
        .collect();

    assert!(questions.len() > 1_000, "the time zone data of this machine has hardly any clock changes");
    assert_agreement(&questions).unwrap();
}

fn assert_agreement(questions: &[Question]) -> Failable<()> {
    let answers = ask_the_oracle(questions.iter().map(Question::json))?;
    let mut disagreements = Vec::new();
    for (question, answer) in questions.iter().zip(&answers) {
        let expected: Vec<Timestamp> = serde_json::from_str(answer)?;
        disagreements.extend(disagreement(question, &expected));
    }
    let shown = &disagreements[..disagreements.len().min(20)];
    let (wrong, all) = (disagreements.len(), questions.len());
    assert!(disagreements.is_empty(), "{wrong} of {all} disagree with the oracle:\n{}", shown.join("\n"));
    Ok(())
}

/// Says how we differ from what the oracle expects, if we do.
fn disagreement(question: &Question, expected: &[Timestamp]) -> Option<String> {
    let Question { cron, zone, from, count } = question;
    let found: Vec<Timestamp> = match Crontab::parse(cron) {
        Ok(crontab) => {
            let gave_up = expected.len() < *count;
            let horizon = if gave_up { *from + ORACLE_HORIZON } else { Timestamp::MAX };
            crontab.upcoming(*from, zone).take(*count).take_while(|at| *at < horizon).collect()
        }
        Err(CrontabError::NoSuchDay { .. }) => Vec::new(),
        Err(error) => return Some(format!("`{cron}` is refused: {error}")),
    };
    let name = zone.iana_name()?;
    (found != expected)
        .then(|| format!("`{cron}` in {name} from {from}\n  expected {expected:?}\n  found    {found:?}"))
}

impl Question {
    fn json(&self) -> Value {
        let from = self.from.to_string();
        json!({ "cron": self.cron, "zone": self.zone.iana_name(), "from": from, "count": self.count })
    }
}

/// The zones by the data that the oracle reads, which may be of another year than ours.
fn the_oracles_zones() -> Failable<Vec<TimeZone>> {
    let files = ask_the_oracle(ZONES.iter().map(|name| json!({ "zone_data": name })))?;
    let zones = ZONES.iter().zip(&files).map(|(name, file)| {
        let bytes: Vec<u8> = serde_json::from_str(file)?;
        Ok(TimeZone::tzif(name, &bytes)?)
    });
    zones.collect()
}

/// The lines that the oracle answers, one for each question.
fn ask_the_oracle(questions: impl Iterator<Item = Value>) -> Failable<Vec<String>> {
    let asked: Vec<String> = questions.map(|question| format!("{question}\n")).collect();
    let mut oracle = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/crontab_oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            format!("install Python 3.9 or newer (apt-get install python3): python3: {error}")
        })?;
    // It reads all of the questions before it answers, so neither side can block the other.
    oracle.stdin.take().ok_or("the oracle has no input")?.write_all(asked.concat().as_bytes())?;
    let output = oracle.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the oracle failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let answers: Vec<String> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), asked.len(), "the oracle answers every question");
    Ok(answers)
}

/// A clock change: the instant, and what the clock would show then by the old and the new offset.
struct Change {
    at: Timestamp,
    old: DateTime,
    new: DateTime,
}

fn changes_of_2026(zone: &TimeZone) -> Vec<Change> {
    zone.following(NEW_YEAR)
        .map(|transition| transition.timestamp())
        .map(|at| {
            let old = zone.to_offset(at - SignedDuration::from_secs(1));
            Change { at, old: old.to_datetime(at), new: zone.to_datetime(at) }
        })
        .take_while(|change| change.new.year() == 2026)
        .filter(|change| change.old != change.new)
        .collect()
}

/// Expressions of every kind that fire near a clock change.
fn around(zone: &TimeZone, change: &Change) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut ask = |before: SignedDuration, count, cron: String| {
        questions.push(Question { cron, zone: zone.clone(), from: change.at - before, count });
    };
    let hours_before = SignedDuration::from_hours;
    let (old, new) = (change.old, change.new);
    let hours = BTreeSet::from([(old.hour() + 23) % 24, old.hour(), new.hour()]);
    for hour in &hours {
        ask(hours_before(25), 4, format!("0 {hour} * * *"));
        ask(hours_before(25), 4, format!("30 {hour} * * *"));
        ask(hours_before(3), 12, format!("*/20 {hour} * * *"));
        ask(hours_before(3), 8, format!("15,45 30 {hour} * * *"));
        ask(hours_before(3), 50, format!("*/17 */12 {hour} * * *"));
    }
    let inside = SignedDuration::from_mins(-10);
    let list = hours.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    for before in [hours_before(3), inside] {
        ask(before, 30, format!("5-59/9 {list} * * *"));
        ask(before, 20, format!("*/9 {list} * * *"));
        ask(before, 20, format!("40 7/10 {list} * * *"));
        ask(before, 4, format!("0 {} * * *", old.hour()));
    }
    for time_of_day in [old, new] {
        let (day, month, weekday) = (time_of_day.day(), time_of_day.month(), time_of_day.weekday());
        ask(hours_before(50), 3, format!("0 0 {day} {month} *"));
        ask(hours_before(25), 12, format!("29/30 {list} {day} * {}", weekday.to_sunday_zero_offset()));
        ask(hours_before(25), 12, format!("*/30 {list} {day} {month} *"));
    }
    for cron in ["30 * * * *", "*/15 * * * *", "0 */2 * * *", "59 */1 * * *", "20 */30 * * * *", "@hourly"] {
        ask(hours_before(4), 16, cron.to_owned());
    }
    ask(hours_before(50), 4, "@daily".to_owned());
    ask(SignedDuration::from_secs(20), 40, "* * * * * *".to_owned());
    questions
}

fn random_expression(rng: &mut StdRng) -> String {
    if rng.random_ratio(1, 50) {
        let macros = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
        return (*macros.choose(rng).unwrap_or(&"@daily")).to_owned();
    }
    let with_seconds = rng.random_ratio(1, 3);
    let fields: Vec<String> =
        UNITS[usize::from(!with_seconds)..].iter().map(|unit| random_field(rng, *unit)).collect();
    fields.join(if rng.random_ratio(1, 10) { " \t " } else { " " })
}

fn random_field(rng: &mut StdRng, unit: (u32, u32, &[&str])) -> String {
    if rng.random_ratio(2, 5) {
        return "*".to_owned();
    }
    let items: Vec<String> = (0..rng.random_range(1..4)).map(|_| random_item(rng, unit)).collect();
    items.join(",")
}

fn random_item(rng: &mut StdRng, (low, high, names): (u32, u32, &[&str])) -> String {
    let first = rng.random_range(low..=high);
    let last = rng.random_range(first..=high);
    let step = rng.random_range(1..=high - low);
    let mut word = |number: u32| {
        let name = names.iter().cycle().nth((number - low) as usize).filter(|_| rng.random());
        name.map_or_else(|| number.to_string(), |&name| name.to_owned())
    };
    let range = format!("{}-{}", word(first), word(last));
    let single = word(first);
    match rng.random_range(0..10) {
        0..5 => single,
        5..7 => range,
        7 => format!("{range}/{step}"),
        8 => format!("{single}/{step}"),
        _ => format!("*/{step}"),
    }
}
