//! Is what `replica_url` names a replica, and how far behind is it?

use std::time::Duration;

use brasa_shared::finding::Finding;
use sqlx::{Executor as _, PgPool, Row as _};

use super::super::timing::span;
use super::{connect, facts, within};

/// What has been received and replayed is no lag, however long ago the primary wrote last.
const LAG: &str = "
select pg_is_in_recovery() as is_in_recovery,
       case when not pg_is_in_recovery() then null
            when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
            else (extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint
       end as lag_ms,
       case when pg_is_in_recovery() then (select count(*) from pg_stat_wal_receiver) end as receivers";

/// From here on it is too far behind, ms.
const LAG_MS_MAX: i64 = 10_000;

/// What the replica says about itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// The fastest of a few answers.
    pub(super) answers: Duration,
    is_in_recovery: bool,
    lag_ms: Option<i64>,
    receivers: Option<i64>,
}

/// Asks for everything.
pub(super) async fn gather(pool: &PgPool) -> Result<Facts, sqlx::Error> {
    let mut connection = connect(pool).await?;
    let answers = facts::knock(&mut connection).await?;
    let row = within(connection.fetch_one(LAG)).await?;
    Ok(Facts {
        answers,
        is_in_recovery: row.try_get("is_in_recovery")?,
        lag_ms: row.try_get("lag_ms")?,
        receivers: row.try_get("receivers")?,
    })
}

/// A primary there is a mistake; a replica far behind serves the past.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    if !facts.is_in_recovery {
        let why = "what is meant to be kept away from the primary would be read from it, or from a stranger";
        let help = "give the address of a replica in [postgres] replica_url, or leave it out";
        return vec![Finding::problem("role", "this is a primary, and not a replica", why, help)];
    }
    let mut findings = vec![Finding::fine("role", "replica")];
    let help = "look at its log and at pg_stat_replication on the primary";
    if facts.receivers == Some(0) {
        let found = "it receives nothing from its primary at present";
        let why = "it falls behind, unless it reads from an archive";
        findings.push(Finding::warning("streaming", found, why, help));
    }
    let why = "what is read from it is that old";
    findings.push(match facts.lag_ms {
        None => Finding::note("lag", "it has not replayed anything yet", why, help),
        Some(ms) if ms > LAG_MS_MAX => {
            Finding::warning("lag", format!("up to {} behind", span(ms)), why, help)
        }
        Some(ms) => Finding::fine("lag", format!("{} behind", span(ms.max(0)))),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use brasa_shared::finding::Level;

    fn levels(is_in_recovery: bool, lag_ms: Option<i64>, receivers: i64) -> Vec<Level> {
        let receivers = Some(receivers);
        let facts = Facts { answers: Duration::ZERO, is_in_recovery, lag_ms, receivers };
        check(&facts).iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_primary_in_the_place_of_a_replica_is_a_problem() {
        assert_eq!(levels(false, None, 0), [Level::Problem]);
    }

    #[test]
    fn a_replica_far_behind_is_warned_of() {
        assert_eq!(levels(true, Some(0), 1), [Level::Ok, Level::Ok]);
        assert_eq!(levels(true, Some(10_001), 1), [Level::Ok, Level::Warning]);
        assert_eq!(levels(true, Some(0), 0), [Level::Ok, Level::Warning, Level::Ok]);
        assert_eq!(levels(true, None, 1), [Level::Ok, Level::Note]);
    }
}
