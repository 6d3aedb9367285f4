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

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let seconds = if ground.is_quick { "1.5" } else { "5" };
    let (mut still, mut busy, mut whole, mut reader, mut near) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..ground.repeats {
        ground.forget()?;
        let worker = ground.worker(&BUSY.replace("3s", "1h").replace("2s", "1m"))?;
        let namespace = ground.namespace("row");
        until("everything is warm", || Ok(ground.wait(namespace.extent())?.warm >= KEYS.into()))?;
        // Nothing goes on beside.
        still.push(p99(ground, "plain", seconds)?);
        whole.push(p99(ground, "whole", seconds)?);
        reader.push(p99(ground, "cache", seconds)?);
        near.push(p99(ground, "cache-l1", seconds)?);
        drop(worker);
        ground.forget()?;
        let worker = ground.worker(BUSY)?;
        until("it refreshes", || {
            Ok(ground.wait(namespace.stats())?.get("fill_filled") > 2 * u64::from(KEYS))
        })?;
        busy.push(p99(ground, "plain", seconds)?);
        drop(worker);
    }
    let (refreshing, words) = ratios(&busy, &still);
    let (protocol, more) = ratios(&reader, &still);
    let (script, script_words) = ratios(&whole, &still);
    Ok(vec![
        Row::new("p99 of plain GETs while 5,000 values are refreshed every second", "µs")
            .ours(&middle(&busy))
            .beside("nothing goes on", &middle(&still))
            .note(words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&refreshing).bar(Bar::AtMost(1.3)),
        Row::new("p99 of the reader for Rust, without values in the process", "µs")
            .ours(&middle(&reader))
            .beside("plain GET", &middle(&still))
            .note(more),
        Row::new("the same, the middle ratio of pairs", "x").ours(&protocol).bar(Bar::AtMost(1.3)),
        Row::new("p99 of the whole protocol in one script, as in other languages", "µs")
            .ours(&middle(&whole))
            .beside("plain GET", &middle(&still))
            .note(script_words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&script).bar(Bar::AtMost(1.3)),
        Row::new("p99 of the reader for Rust, with values in the process", "µs")
            .ours(&middle(&near))
            .beside("plain GET", &middle(&still)),
    ])
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
