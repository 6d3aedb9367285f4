//! What a reader waits for: plain GETs by themselves, the same while everything is refreshed, and the whole protocol.

use anyhow::Result;
use brasa_tests::bench::{Bar, Row, middle, ratios};

use super::ground::{Ground, until};

const KEYS: u32 = 5_000;
/// Every value is loaded again about every second.
const BUSY: &str = r#"
    [warm.row]
    for_each = { sql = "select generate_series(1, 5000) as n", params = ["n"] }
    sql = "select n, repeat('x', 500) as value from unnest($1::int[]) n"
    key = "KEY:row:{n}"
    ttl = "3s"
    refresh_ahead = "2s"
"#;

/// The same values as people keep them: each lives for 30 seconds at most, and is loaded again about every twelve.
const USUAL: (&str, &str) = (
    "ttl = \"3s\"\n    refresh_ahead = \"2s\"",
    "ttl = \"30s\"\n    jitter = \"15s\"\n    refresh_ahead = \"10s\"",
);

/// The p99 of each round, in µs.
#[derive(Default)]
struct Measured {
    /// Plain GETs while nothing goes on.
    still: Vec<f64>,
    /// The same beside a worker that refreshes everything.
    busy: Vec<f64>,
    /// The same beside one that refreshes everything as often as is usual.
    usual: Vec<f64>,
    /// The same beside a refresh that guarantees nothing.
    bare: Vec<f64>,
    /// The whole protocol in one script.
    whole: Vec<f64>,
    /// The reader for Rust, without values in the process and with them.
    reader: Vec<f64>,
    near: Vec<f64>,
}

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let mut measured = Measured::default();
    for _ in 0..ground.repeats {
        measured.round(ground)?;
    }
    let Measured { still, busy, usual, bare, whole, reader, near } = &measured;
    let beside = |what: &str, ours: &[f64], peer: &str| {
        Row::new(what, "µs").ours(&middle(ours)).beside(peer, &middle(still)).note(ratios(ours, still).1)
    };
    let bar = |ours: &[f64]| {
        let ratio = ratios(ours, still).0;
        Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtMost(1.3))
    };
    let (quiet, plain) = ("nothing goes on", "plain GET");
    Ok(vec![
        beside("p99 of plain GETs while 5,000 values that live for 30 s are kept warm", usual, quiet),
        bar(usual),
        beside("p99 of plain GETs while 5,000 values are refreshed every second", busy, quiet),
        bar(busy),
        beside("p99 of plain GETs beside a refresh by SETs that guarantee nothing", bare, quiet),
        beside("p99 of the reader for Rust, without values in the process", reader, plain),
        bar(reader),
        beside("p99 of the whole protocol in one script, as in other languages", whole, plain),
        bar(whole),
        beside("p99 of the reader for Rust, with values in the process", near, plain),
    ])
}

impl Measured {
    fn round(&mut self, ground: &Ground) -> Result<()> {
        let seconds = if ground.is_quick { "1.5" } else { "5" };
        ground.forget()?;
        let worker = ground.worker(&BUSY.replace("3s", "1h").replace("2s", "1m"))?;
        let namespace = ground.namespace("row");
        until("everything is warm", || Ok(ground.wait(namespace.extent())?.warm >= KEYS.into()))?;
        // Nothing goes on beside.
        self.still.push(p99(ground, "plain", seconds)?);
        self.whole.push(p99(ground, "whole", seconds)?);
        self.reader.push(p99(ground, "cache", seconds)?);
        self.near.push(p99(ground, "cache-l1", seconds)?);
        drop(worker);
        ground.forget()?;
        let worker = ground.worker(BUSY)?;
        until("it refreshes", || {
            Ok(ground.wait(namespace.stats())?.get("fill_filled") > 2 * u64::from(KEYS))
        })?;
        self.busy.push(p99(ground, "plain", seconds)?);
        drop(worker);
        ground.forget()?;
        let (busy, usual) = USUAL;
        let worker = ground.worker(&BUSY.replace(busy, usual))?;
        until("all are loaded again", || {
            Ok(ground.wait(namespace.stats())?.get("fill_filled") > 2 * u64::from(KEYS))
        })?;
        self.usual.push(p99(ground, "plain", "5")?);
        drop(worker);
        let (base, count) = (ground.key("row:"), KEYS.to_string());
        let refresher = ground.refresher(&[("BASE", &base), ("COUNT", &count)])?;
        self.bare.push(p99(ground, "plain", seconds)?);
        drop(refresher);
        Ok(())
    }
}

fn p99(ground: &Ground, mode: &str, seconds: &str) -> Result<f64> {
    let (base, count) = (ground.key("row:"), KEYS.to_string());
    let settings = [
        ("MODE", mode),
        ("WARMER", "row"),
        ("BASE", base.as_str()),
        ("COUNT", count.as_str()),
        ("TASKS", "8"),
        ("SECONDS", seconds),
        ("PAUSE_US", "1000"),
    ];
    Ok(ground.readers(&settings)?.found()?.p99_us)
}
