//! Estimates beside indexes that were really made anew.

use anyhow::{Context as _, Result};
use brasa_jobs::database::indexes::{Index, Scope, look};
use brasa_tests::bench::{Bar, Row, median};
use brasa_tests::shapes::{Fixture, Shape};
use sqlx::PgConnection;

use super::{Ground, say};

/// An index, what it would be, and what was said.
struct Measured {
    name: &'static str,
    is_fresh: bool,
    bytes: f64,
    truth: f64,
    estimate: Option<f64>,
    words: String,
}

impl Measured {
    fn error(&self) -> f64 {
        self.estimate.map_or(100.0, |estimate| (estimate / self.truth - 1.0).abs() * 100.0)
    }

    fn shown(&self) -> f64 {
        self.estimate.map_or(0.0, |estimate| (1.0 - estimate / self.bytes).max(0.0) * 100.0)
    }
}

pub(super) fn rows(ground: &Ground, what: &str, fixture: &Fixture) -> Result<Vec<Row>> {
    let count = if ground.is_quick { 150_000 } else { 1_000_000 };
    say(&format!("{what}, {count} rows"));
    let found = ground.wait(async {
        let mut connection = ground.world.pool.acquire().await?;
        fixture.make(&mut connection, count, fixture.shapes).await.context("make the table")?;
        let mut found = measured(&mut connection, fixture, true).await?;
        fixture.churn(&mut connection).await.context("wear it out")?;
        found.extend(measured(&mut connection, fixture, false).await?);
        anyhow::Ok(found)
    })?;
    let mut rows = Vec::new();
    for (words, is_fresh) in [("new", true), ("worn out", false)] {
        let these: Vec<&Measured> = found.iter().filter(|one| one.is_fresh == is_fresh).collect();
        let worst = these.iter().map(|one| one.error()).fold(0.0, f64::max);
        let mut row =
            Row::new(format!("{what}, {words}: the worst of {} estimates is off by", these.len()), "%")
                .ours(&Ok(worst))
                .bar(Bar::AtMost(10.0));
        for one in &these {
            row = row.note(one.words.clone());
        }
        rows.push(row);
        rows.push(
            Row::new(format!("{what}, {words}: the middle one is off by"), "%")
                .ours(&Ok(median(these.iter().map(|one| one.error()))))
                .bar(Bar::AtMost(1.0)),
        );
        let (label, bar, shown): (_, _, Vec<_>) = if is_fresh {
            (
                "shown with more than 10 % to gain",
                Bar::AtMost(0.0),
                these.iter().filter(|one| one.shown() > 10.0).collect(),
            )
        } else {
            (
                "shown with less than 30 % to gain",
                Bar::AtMost(0.0),
                these.iter().filter(|one| one.shown() < 30.0).collect(),
            )
        };
        let names = shown.iter().map(|one| one.name).collect::<Vec<_>>().join(", ");
        rows.push(
            Row::new(format!("{what}, {words}: {label}"), "")
                .ours(&Ok(shown.len() as f64))
                .bar(bar)
                .note(names),
        );
    }
    Ok(rows)
}

/// Every index of the table, and its twin.
async fn measured(on: &mut PgConnection, fixture: &Fixture, is_fresh: bool) -> Result<Vec<Measured>> {
    let indexes = look(on, Scope::All).await?;
    let mut found = Vec::new();
    for shape in fixture.shapes {
        let index =
            indexes.iter().find(|index| index.bare == shape.name).context("an index that was made")?;
        let truth = fixture.twin(on, shape).await?;
        found.push(one(index, shape, truth, is_fresh));
    }
    Ok(found)
}

#[expect(clippy::cast_precision_loss, reason = "bytes")]
fn one(index: &Index, shape: &Shape, truth: u64, is_fresh: bool) -> Measured {
    let (bytes, truth) = (index.bytes().unwrap_or_default() as f64, truth as f64);
    let estimate = index.estimate.ok().map(|estimate| estimate.bytes as f64);
    let says = match index.estimate {
        Ok(estimate) => {
            let off = (estimate.bytes as f64 / truth - 1.0) * 100.0;
            format!("{:>11} {off:+7.2} %  {:?}", estimate.bytes, estimate.trust)
        }
        Err(why) => format!("{why:?}"),
    };
    let words = format!("{:<32} {bytes:>11} anew {truth:>11} estimate {says}", shape.name);
    Measured { name: shape.name, is_fresh, bytes, truth, estimate, words }
}
