//! A tag that a million values have is invalidated, against one that a single value has.

use std::time::{Duration, Instant};

use anyhow::Result;
use brasa_shared::cache::{Cause, Content, Entry, Filling, Source, params_of};
use brasa_tests::bench::{Bar, Row, middle, ratios};

use super::ground::Ground;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let many: u32 = if ground.is_quick { 100_000 } else { 1_000_000 };
    ground.forget()?;
    ground.wait(fill(ground, many))?;
    let (mut all, mut one) = (vec![], vec![]);
    for round in 0..ground.repeats * 20 {
        // In turns, and in turn who is first.
        let order = if round % 2 == 0 {
            [("all", &mut all), ("one", &mut one)]
        } else {
            [("one", &mut one), ("all", &mut all)]
        };
        for (tag, took) in order {
            let begun = Instant::now();
            ground.wait(ground.caches().invalidate_tags(
                &[tag.to_owned()],
                Cause::Transaction(7),
                Duration::ZERO,
            ))?;
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    let (ratio, words) = ratios(&all, &one);
    let gone = ground.wait(stand(ground, many))?;
    ground.forget()?;
    Ok(vec![
        Row::new(format!("invalidating a tag of {many} values"), "µs")
            .ours(&middle(&all))
            .beside("a tag of one value", &middle(&one))
            .note(words)
            .note(format!(
                "{gone} of 1,000 values that were looked at stood no more for a reader right after"
            )),
        Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtMost(1.2)),
    ])
}

fn entry(ground: &Ground, n: u32) -> Entry {
    Entry { key: ground.key(&format!("tagged:{n}")), params: params_of(&[n.to_string()]) }
}

async fn fill(ground: &Ground, many: u32) -> Result<()> {
    let (caches, namespace) = (ground.caches(), ground.namespace("tagged"));
    caches.begin_epoch("bench", 1).await?;
    let source = Source {
        snapshot: "9:9:".to_owned(),
        is_replica: false,
        version: "v".to_owned(),
        who: "bench".to_owned(),
        tags_kept: Duration::from_hours(1),
    };
    let numbers: Vec<u32> = (1..=many).collect();
    for numbers in numbers.chunks(64) {
        let entries: Vec<Entry> = numbers.iter().map(|n| entry(ground, *n)).collect();
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        namespace.take(&keys, "t", Duration::from_mins(1)).await?;
        let filling = |(n, entry): (&u32, &Entry)| Filling {
            key: entry.key.clone(),
            params: entry.params.clone(),
            token: "t".to_owned(),
            content: Content::Value(b"{}".to_vec()),
            life: Duration::from_hours(1),
            fresh: Duration::from_hours(1),
            cost: Duration::ZERO,
            due: None,
            tags: if *n == 1 { vec!["all".to_owned(), "one".to_owned()] } else { vec!["all".to_owned()] },
            negatives_max: 0,
        };
        let fillings: Vec<Filling> = numbers.iter().zip(&entries).map(filling).collect();
        namespace.fill(&source, &fillings).await?;
    }
    Ok(())
}

/// How many of a thousand values do not stand any more.
async fn stand(ground: &Ground, many: u32) -> Result<u32> {
    let mut gone = 0;
    for n in 0..1_000 {
        let look = ground.caches().look(&entry(ground, 1 + n * (many / 1_000)).key).await?;
        gone += u32::from(!look.is_standing);
    }
    Ok(gone)
}
