//! What can be wrong with Redis.

use brasa_shared::finding::{Finding, Section};
use brasa_shared::store::StoreError;

use super::{fleet, timing};
use crate::app::App;
use crate::failure::chain;
use crate::output::{bytes, millis};

mod facts;
mod memory;
mod persistence;
mod rights;
mod role;
mod scripts;
mod version;

use facts::Facts;

/// The checks, in the order in which they are told. One more is one more line.
const CHECKS: &[fn(&Facts) -> Vec<Finding>] = &[
    version::check,
    role::check,
    rights::check,
    role::replicas,
    persistence::check,
    persistence::errors,
    memory::eviction,
    memory::marks,
    memory::headroom,
    clock,
    scripts::check,
];

/// Looks at Redis, and at the processes that meet there.
pub(super) async fn examine(app: &App) -> Vec<Section> {
    let address = app.store.address().to_owned();
    let section = |server, findings| Section { server, address: address.clone(), findings };
    let best = match facts::knock(&app.store).await {
        Ok(best) => best,
        Err(error) => return vec![section("redis", vec![away(&error)])],
    };
    let facts = match facts::gather(app).await {
        Ok(facts) => facts,
        Err(error) => return vec![section("redis", vec![timing::answers(best), no_info(&error)])],
    };
    let mut findings = vec![timing::answers(best)];
    findings.extend(CHECKS.iter().flat_map(|check| check(&facts)));
    let mut sections = vec![section("redis", findings)];
    if facts.may_hold_queues() {
        sections.push(Section {
            server: "fleet",
            address: format!("{} (prefix {})", app.store.address(), app.config.redis.prefix),
            findings: fleet::examine(app).await,
        });
    }
    sections
}

fn clock(facts: &Facts) -> Vec<Finding> {
    facts.skew.map(timing::Skew::judge).into_iter().collect()
}

fn away(error: &StoreError) -> Finding {
    let found = format!("cannot be looked at: {}", chain(&error.source));
    Finding::problem(
        "answers",
        found,
        "without Redis nothing is enqueued and nothing runs",
        error.fault.help(),
    )
}

fn no_info(error: &StoreError) -> Finding {
    let why = "processes ask for INFO when they start, and end where they may not";
    let help = "ACL SETUSER the user with +info; the rest was not looked at";
    Finding::problem("rights", format!("INFO is refused: {}", chain(&error.source)), why, help)
}
