//! Estimates beside indexes that were really made anew.

use anyhow::{Context as _, Result};
use brasa_jobs::database::indexes::{Index, Scope, Trust, look_closer};
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
    is_trusted: bool,
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
    let of = |is_fresh| found.iter().filter(move |one| one.is_fresh == is_fresh).collect::<Vec<_>>();
    let mut rows = told(&format!("{what}, new"), &of(true));
    rows.push(shown(format!("{what}, new: shown with more than 10 % to gain"), &of(true), |share| {
        share > 10.0
    }));
    rows.extend(told(&format!("{what}, worn out"), &of(false)));
    rows.push(shown(format!("{what}, worn out: shown with less than 30 % to gain"), &of(false), |share| {
        share < 30.0
    }));
    Ok(rows)
}

/// How far off they are: those that say of themselves that they may be far off are told apart.
fn told(what: &str, these: &[&Measured]) -> Vec<Row> {
    let worst = |is_trusted| {
        let errors = these.iter().filter(|one| one.is_trusted == is_trusted).map(|one| one.error());
        errors.fold(0.0, f64::max)
    };
    let trusted = these.iter().filter(|one| one.is_trusted).count();
    let mut first = Row::new(format!("{what}: the worst of {trusted} estimates is off by"), "%")
        .ours(&Ok(worst(true)))
        .bar(Bar::AtMost(10.0));
    for one in these {
        first = first.note(one.words.clone());
    }
    let middle = median(these.iter().map(|one| one.error()));
    let mut rows = vec![
        first,
        Row::new(format!("{what}: the middle one is off by"), "%").ours(&Ok(middle)).bar(Bar::AtMost(1.0)),
    ];
    if trusted < these.len() {
        let label = format!("{what}: the worst of {} that are of low trust", these.len() - trusted);
        rows.push(Row::new(label, "%").ours(&Ok(worst(false))));
    }
    rows
}

/// How many are shown as they should not be.
fn shown(what: String, these: &[&Measured], is_wrong: impl Fn(f64) -> bool) -> Row {
    let wrong: Vec<&str> = these.iter().filter(|one| is_wrong(one.shown())).map(|one| one.name).collect();
    let count = u32::try_from(wrong.len()).unwrap_or(u32::MAX);
    Row::new(what, "").ours(&Ok(count.into())).bar(Bar::AtMost(0.0)).note(wrong.join(", "))
}

/// Every index of the table, and its twin.
async fn measured(on: &mut PgConnection, fixture: &Fixture, is_fresh: bool) -> Result<Vec<Measured>> {
    let indexes = look_closer(on, Scope::All).await?;
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
    let is_trusted = index.estimate.is_ok_and(|estimate| estimate.trust > Trust::Low);
    Measured { name: shape.name, is_fresh, bytes, truth, estimate, is_trusted, words }
}
