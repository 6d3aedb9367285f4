//! Who is connected, who holds others up, and rows that are gone and take up room.

use std::cmp::Reverse;
use std::time::Duration;

use brasa_jobs::database::review::facts::{Holder, HolderKind, Session};
use brasa_jobs::database::sessions::Sessions;
use brasa_jobs::database::tables::Table;
use maud::{Markup, html};
use sqlx::PgPool;

use crate::desk::Desk;
use crate::view::database::Seen;
use crate::view::{chart, format};

/// How many lines a list shows.
const SHOWN: usize = 10;

/// For how long the oldest transaction has been open, and whose it is.
pub(crate) fn oldest(found: &Sessions) -> (String, String) {
    let oldest = found.holders.iter().filter(|holder| holds(holder));
    let oldest = oldest.filter_map(|holder| Some((holder, holder.seconds?)));
    let oldest = oldest.max_by(|(_, one), (_, other)| one.total_cmp(other));
    match oldest {
        Some((holder, age)) => (seconds(age), format!("of {}", who(holder))),
        None if found.sees_others => ("-".to_owned(), "none is older than a second".to_owned()),
        None => ("?".to_owned(), "what others do is not to be seen".to_owned()),
    }
}

fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds.max(0.0)).map_or_else(|_| "-".to_owned(), format::lasting)
}

fn who(holder: &Holder) -> String {
    let name = if holder.name.is_empty() { "somebody without a name" } else { &holder.name };
    match holder.kind {
        HolderKind::Session => format!("{}, {}, {}", format::short(name, 60), holder.role, holder.state),
        HolderKind::Prepared => format!("the prepared transaction {}", format::short(name, 60)),
        HolderKind::Slot => format!("the replication slot {name}"),
        HolderKind::Standby => format!("the standby {}", format::short(name, 60)),
    }
}

/// Connections, and who holds others up.
pub(super) fn list(desk: &Desk, pool: &PgPool, seen: &Seen) -> Markup {
    html! {
        h2 { "Connections" }
        @match &seen.sessions {
            Err(missing) => { (missing) }
            Ok(found) => {
                @if !found.sees_others { p.state.warn { "What other roles do is not to be seen: " code { "grant pg_monitor" } " to the role of this process." } }
                div.cards { (clients(desk, pool, found)) (holders(found)) }
                (blocks(found))
            }
        }
    }
}

fn clients(desk: &Desk, pool: &PgPool, found: &Sessions) -> Markup {
    let activity = &found.activity;
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = activity.used as f64 / activity.max.max(1) as f64;
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    html! {
        section.card {
            h2 { "Who is connected" }
            p { (chart::bar(share, &format!("{} of the connections are used", format::percent(share)))) (activity.used) " of " (activity.max) }
            dl.facts {
                @for client in activity.clients.iter().take(SHOWN) {
                    dt { (client.count) }
                    dd { (if client.application.is_empty() { "without a name" } else { client.application.as_str() }) " · " (client.role) }
                }
            }
            p.dim {
                "The pool of this page: " (pool.size().saturating_sub(idle)) " in use, " (idle) " idle, "
                (pool.options().get_max_connections()) " at most · a worker's has up to " (desk.site.config.postgres.pool.max)
            }
        }
    }
}

fn holders(found: &Sessions) -> Markup {
    html! {
        section.card {
            h2 { "Who keeps dead rows from being cleaned up" }
            @if !found.holders.iter().any(holds) { p.dim { "Nobody for longer than a second." } }
            dl.facts {
                @for holder in found.holders.iter().filter(|holder| holds(holder)).take(SHOWN) {
                    dt { (holder.seconds.map_or("-".into(), seconds)) }
                    dd { (who(holder)) @if holder.pid != 0 { ", session " (holder.pid) } " · " (format::count(holder.xids.unsigned_abs())) " transactions since" }
                }
            }
            @if found.activity.idle.first().is_some_and(idles) {
                p.state.warn { "Idle in a transaction" }
                ul.plain { @for session in found.activity.idle.iter().filter(|session| idles(session)).take(SHOWN) { li { (of(session)) } } }
            }
        }
    }
}

/// What is over in a moment holds nothing back: this look is among it.
fn holds(holder: &Holder) -> bool {
    holder.seconds.is_none_or(|seconds| seconds >= 1.0)
}

fn idles(session: &Session) -> bool {
    session.seconds >= 1.0
}

fn of(session: &Session) -> String {
    format!(
        "{}, {}, session {}, for {}",
        format::short(&session.application, 60),
        session.role,
        session.pid,
        seconds(session.seconds)
    )
}

fn blocks(found: &Sessions) -> Markup {
    html! {
        @for block in found.activity.blocks.iter().take(SHOWN) {
            p.state.bad {
                (block.waiting) " wait for " (of(&block.root))
                @if let Some(table) = &block.table { ", at " code { (table) } }
                ": the first of them for " (seconds(block.seconds))
            }
        }
    }
}

/// Tables with rows that are gone and take up room.
pub(super) fn tables(seen: &Seen) -> Markup {
    html! {
        h2 { "Dead rows" }
        @match &seen.tables {
            Err(missing) => { (missing) }
            Ok(all) => {
                @let found = with_dead(all);
                @if found.is_empty() { p.dim { "No table has any, as far as the server has counted." } }
                @else {
                    div.wide { table {
                        thead { tr { th { "Table" } th.n { "Dead" } th.n { "Live" } th { "Share" } th { "Vacuumed" } th { "Analyzed" } th.n { "Changed since" } } }
                        tbody { @for table in found.iter().take(SHOWN) { (row(table)) } }
                    } }
                }
            }
        }
    }
}

fn with_dead(all: &[Table]) -> Vec<&Table> {
    let mut found: Vec<&Table> = all.iter().filter(|table| table.dead > 0).collect();
    found.sort_by_key(|table| Reverse(table.dead));
    found
}

fn row(table: &Table) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = table.dead as f64 / (table.dead + table.live).max(1) as f64;
    let ago = |span: Option<Duration>| {
        span.map_or_else(|| "never".to_owned(), |span| format!("{} ago", format::lasting(span)))
    };
    html! {
        tr {
            td { code { (table.name) } @if table.is_being_vacuumed { " " span.state-running { "being vacuumed" } } }
            td.n { (format::count(table.dead.unsigned_abs())) } td.n { (format::count(table.live.unsigned_abs())) }
            td { (chart::bar(share, &format!("{} of its rows are dead", format::percent(share)))) (format::percent(share)) }
            td { (ago(table.vacuumed)) } td { (ago(table.analyzed)) } td.n { (format::count(table.changed.unsigned_abs())) }
        }
    }
}
