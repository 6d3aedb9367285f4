//! The cache: how well each warmer serves, what it holds, and what it costs.

mod card;

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_jobs::cache::Invalidation;
use brasa_jobs::cache::status::{Facts, Whole, gather, waiting, whole};
use brasa_shared::cache::Description;
use brasa_shared::db::changes::Waiting;
use futures_util::future::try_join_all;
use maud::{Markup, html};

use super::act::Actor;
use super::jobs::page_of;
use crate::acts::cache as acts;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{OPERATOR, Route, VIEWER};
use crate::view::layout::Again;
use crate::view::part::PART_MAX;
use crate::view::{format, layout};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/cache", VIEWER, get(show)),
        Route::post("/cache/{name}/warm", OPERATOR, post(warm)),
        Route::post("/cache/{name}/invalidate", OPERATOR, post(invalidate)),
    ]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let caches = desk.site.caches();
    let described = caches.all_described().await?;
    if desk.site.config.warm.is_empty() {
        let body = html! {
            (layout::nothing("Nothing is kept warm.", "Write it into the configuration: [warm.NAME] with the statement that loads it, and its key."))
            (strangers(&desk, &described))
        };
        return Ok(layout::page("Cache", "/cache", &who, Again::Live, &body));
    }
    let each = desk.site.config.warm.iter().map(|(name, warmer)| {
        let (site, caches, known) = (&desk.site, &caches, described.get(name));
        async move { Ok::<_, Refused>((name.as_str(), gather(site, caches, (name, warmer), known).await?)) }
    });
    let all: Vec<(&str, Facts)> = try_join_all(each).await?;
    let mut whole = whole(&caches, None).await?;
    whole.waiting = changes(&desk).await;
    let body = html! {
        div.figures { (figures(&desk, &all, &whole)) }
        (troubles(&whole))
        div.cards { @for (name, facts) in &all { (card::card(&desk, name, facts, &whole, &who)) } }
        (strangers(&desk, &described))
        p.dim { "Reads with a plain GET are counted by nobody." }
    };
    Ok(layout::page("Cache", "/cache", &who, Again::Live, &body))
}

/// What waits in the change log, as far as that is to be had quickly.
async fn changes(desk: &Desk) -> Option<Result<Waiting, String>> {
    let counted = tokio::time::timeout(PART_MAX, waiting(desk.pool.as_ref()?)).await;
    counted.unwrap_or_else(|_| Some(Err("it took too long".to_owned())))
}

fn figures(desk: &Desk, all: &[(&str, Facts)], whole: &Whole) -> Markup {
    let sum = |of: fn(&Facts) -> u64| all.iter().map(|(_, facts)| of(facts)).sum::<u64>();
    let (_, rate) = desk.series.hit_rates(None);
    let (changes, oldest) = match &whole.waiting {
        Some(Ok(Waiting { rows, oldest })) => (
            format::count(*rows),
            oldest.map_or_else(String::new, |age| format!("the oldest for {}", format::lasting(age))),
        ),
        Some(Err(_)) => ("?".to_owned(), "they could not be counted".to_owned()),
        None => ("-".to_owned(), "no change log".to_owned()),
    };
    html! {
        (layout::figure("Hits", &rate.map_or("-".into(), format::percent), "of reads, in the last hour at most"))
        (layout::figure("Values", &format::count(sum(Facts::values)), "of all warmers"))
        (layout::figure("Bytes", &format!("~{}", format::bytes(sum(|facts| facts.bytes().unwrap_or(0)))), "from samples"))
        (layout::figure("Changes to tell", &changes, &oldest))
        (layout::figure("Evicted", &format::count(whole.server.evicted), &format!("keys, by {}", whole.server.policy)))
    }
}

/// What is wrong with the whole cache.
fn troubles(whole: &Whole) -> Markup {
    html! {
        @match whole.goes_on() {
            None => { p.state.warn { "There is no epoch: Redis takes no values until a worker begins one." } }
            Some(false) => { p.state.warn { "Redis was started anew: what is from before stands no more, until a worker begins another epoch." } }
            Some(true) => {}
        }
        @match &whole.attendant {
            None => { p.state.warn { "Attended by nobody: no worker carries changes, sweeps, or begins epochs." } }
            Some(worker) => { p.dim { "Attended by " (worker) } }
        }
    }
}

/// Warmers of other configurations, or of former ones.
fn strangers(desk: &Desk, described: &BTreeMap<String, Description>) -> Markup {
    let names: Vec<&str> = described
        .keys()
        .map(String::as_str)
        .filter(|name| !desk.site.config.warm.contains_key(*name))
        .collect();
    html! {
        @if !names.is_empty() { p.dim { "Known in Redis, and not in the configuration of this process: " (names.join(", ")) } }
    }
}

async fn warm(State(desk): State<Desk>, Path(name): Path<String>, actor: Actor) -> Result<Redirect, Refused> {
    Ok(page_of(&acts::warm(&desk, &name, &BTreeMap::new(), &actor).await?))
}

async fn invalidate(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let what = Invalidation { warmers: vec![name], ..Invalidation::default() };
    acts::invalidate(&desk, &what, &actor).await?;
    Ok(actor.back("/cache"))
}
