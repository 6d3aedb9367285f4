//! Since when the counters of a server hold, and what shows that they began anew.

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _};

use super::facts::Spell;
use super::moment::{Moment, instant};

/// What shows that counters began anew. Instants are in µs since 1970 by the server's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Marks {
    /// Which cluster it is, where the role may ask.
    pub(super) system: Option<String>,
    /// Its history of failovers, where the role may ask.
    pub(super) timeline: Option<i64>,
    pub(super) in_recovery: bool,
    /// When counters of the whole server began, the older of two: a crash moves both, and is shown by nothing else; who
    /// resets one of them by hand moves that one.
    pub(super) shared_reset: Option<i64>,
    /// When counters of this database were reset, all or some.
    pub(super) database_reset: Option<i64>,
    pub(super) started: i64,
    /// What time it was there.
    pub(super) now: i64,
    /// Counters of the whole database. They fall only when all counters began anew.
    pub(super) commits: i64,
    pub(super) hits: i64,
    pub(super) returned: i64,
}

/// How counters relate to those of the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// They went on. One that fell was reset by itself, or belongs to something that was made anew.
    Same,
    /// Some of them began at 0 again, at some moment since.
    Partly,
    /// All of them did.
    Anew,
    /// The same, and with them all else that the server kept in memory.
    Crashed,
    /// They are another server's, or nothing was looked at before: there is nothing to compare with.
    Strange,
}

impl Relation {
    /// As statements take it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Partly => "partly",
            Self::Anew | Self::Crashed => "anew",
            Self::Strange => "strange",
        }
    }
}

/// The end of a spell and the begin of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Break {
    pub(super) relation: Relation,
    pub(super) why: &'static str,
    /// When, by the server's clock, as far as is known.
    pub(super) at: Option<i64>,
}

impl Break {
    /// Whether what was counted of the whole server is gone. Of one table, or some, it is no loss of the server's.
    fn is_loss(&self) -> bool {
        self.relation != Relation::Partly
    }
}

/// Whether another spell began between two looks. A server that was merely restarted kept its counters.
pub(super) fn compare(before: &Marks, now: &Marks) -> Option<Break> {
    let moved = |one: Option<&str>, other: Option<&str>| one.is_some() && other.is_some() && one != other;
    let strange = |why| Some(Break { relation: Relation::Strange, why, at: None });
    if moved(before.system.as_deref(), now.system.as_deref()) {
        return strange("it is another cluster");
    }
    if before.in_recovery != now.in_recovery {
        return strange("the server changed its role");
    }
    if before.timeline.zip(now.timeline).is_some_and(|(one, other)| one != other) {
        return strange("another server took over");
    }
    if before.shared_reset != now.shared_reset {
        // A reset that is older than the last look would have been seen at that look: it was another server's.
        if now.shared_reset.is_some_and(|at| at < before.now) {
            return strange("it is another server");
        }
        let restarted = before.started != now.started;
        let why = if restarted {
            "the server went down without a shutdown, or its counters were lost"
        } else {
            "the server crashed"
        };
        return Some(Break { relation: Relation::Crashed, why, at: now.shared_reset });
    }
    let has_fallen = now.commits < before.commits || now.hits < before.hits || now.returned < before.returned;
    if before.database_reset != now.database_reset {
        let relation = if has_fallen { Relation::Anew } else { Relation::Partly };
        let why = if has_fallen { "somebody reset counters" } else { "somebody reset some of the counters" };
        return Some(Break { relation, why, at: now.database_reset });
    }
    has_fallen.then_some(Break { relation: Relation::Anew, why: "its counters fell", at: None })
}

/// The spell of a node that goes on, or a new one. Returns how to read its counters, why if that is new, and for how
/// many seconds differences are.
pub(super) async fn go_on(
    connection: &mut PgConnection,
    node: &str,
    marks: &Marks,
    now: Moment,
) -> Result<(Relation, Option<&'static str>, f64), sqlx::Error> {
    let query = "select id, marks::text, (extract(epoch from last_at) * 1000)::bigint from brasa.care_spells
                 where node = $1 order by id desc limit 1";
    let known = sqlx::query(query).bind(node).fetch_optional(&mut *connection).await?;
    let marks_text = serde_json::to_string(marks).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let Some(row) = known else {
        let first =
            Break { relation: Relation::Strange, why: "it was looked at for the first time", at: None };
        begin(connection, node, &first, &marks_text, [now.ms; 3], false).await?;
        return Ok((first.relation, Some(first.why), 0.0));
    };
    let text: String = row.try_get(1)?;
    let last_ms: i64 = row.try_get(2)?;
    let before: Marks = serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    #[expect(clippy::cast_precision_loss, reason = "the time between two looks is far from the limit")]
    let seconds = (now.ms - last_ms).max(0) as f64 / 1_000.0;
    let Some(end) = compare(&before, marks) else {
        let query =
            "update brasa.care_spells set last_at = greatest(last_at, to_timestamp($2::bigint / 1000.0)),
                     marks = $3::jsonb where id = $1";
        let id: i64 = row.try_get(0)?;
        sqlx::query(query).bind(id).bind(now.ms).bind(marks_text).execute(connection).await?;
        return Ok((Relation::Same, None, seconds));
    };
    // As long ago by the server's clock, but neither before the last look nor after this one.
    let at = end.at.map_or(now.ms, |at| now.ms - (marks.now - at) / 1_000);
    let at = at.min(now.ms).max(last_ms.min(now.ms));
    // What somebody else's counters said before this look is in no day.
    let counts_from = if end.relation == Relation::Strange { now.ms } else { at };
    begin(connection, node, &end, &marks_text, [at, counts_from, now.ms], end.is_loss()).await?;
    let seconds = if end.relation == Relation::Strange { 0.0 } else { seconds };
    Ok((end.relation, Some(end.why), seconds))
}

async fn begin(
    connection: &mut PgConnection,
    node: &str,
    end: &Break,
    marks: &str,
    [at_ms, counts_from_ms, last_ms]: [i64; 3],
    is_loss: bool,
) -> Result<(), sqlx::Error> {
    let query = "insert into brasa.care_spells (node, began_at, counts_from, last_at, why, is_loss, marks)
                 values ($1, to_timestamp($2::bigint / 1000.0), to_timestamp($3::bigint / 1000.0),
                         to_timestamp($4::bigint / 1000.0), $5, $6, $7::jsonb)";
    let query = sqlx::query(query).bind(node).bind(at_ms).bind(counts_from_ms).bind(last_ms);
    query.bind(end.why).bind(is_loss).bind(marks).execute(connection).await.map(drop)
}

/// The spells of all servers that were ever watched, the newest first.
///
/// # Errors
/// What Postgres says.
pub async fn spells(connection: &mut PgConnection) -> Result<Vec<Spell>, sqlx::Error> {
    let query = "select node, (extract(epoch from began_at) * 1000000)::bigint, why, is_loss
                 from brasa.care_spells order by id desc";
    let rows = sqlx::query(query).fetch_all(connection).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Spell {
            node: row.try_get(0)?,
            began_at: instant(row.try_get(1)?),
            why: row.try_get(2)?,
            is_loss: row.try_get(3)?,
        })
    };
    rows.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks {
            system: Some("7".to_owned()),
            timeline: Some(1),
            shared_reset: Some(100),
            started: 90,
            now: 1_000,
            commits: 50,
            hits: 50,
            returned: 50,
            ..Marks::default()
        }
    }

    fn after(change: impl FnOnce(&mut Marks)) -> Option<Relation> {
        let mut later = Marks { now: 2_000, commits: 60, hits: 60, returned: 60, ..marks() };
        change(&mut later);
        compare(&marks(), &later).map(|end| end.relation)
    }

    #[test]
    fn only_all_counters_together_are_a_loss() {
        let later = Marks { now: 2_000, commits: 60, hits: 60, returned: 60, ..marks() };
        let one_table = Marks { database_reset: Some(1_500), ..later.clone() };
        assert!(!compare(&marks(), &one_table).unwrap().is_loss(), "a table's counters were reset");
        let all = Marks { commits: 1, ..one_table };
        assert!(compare(&marks(), &all).unwrap().is_loss());
        assert!(compare(&marks(), &Marks { shared_reset: Some(1_500), ..later }).unwrap().is_loss());
    }

    #[test]
    fn a_spell_ends_where_counters_are_no_longer_the_same_ones() {
        assert_eq!(after(|_| {}), None);
        assert_eq!(after(|now| now.started = 1_500), None, "a restart keeps the counters");
        assert_eq!(after(|now| now.system = None), None, "a right that was taken away shows nothing");
        assert_eq!(after(|now| now.shared_reset = Some(1_500)), Some(Relation::Crashed), "a crash");
        assert_eq!(after(|now| now.shared_reset = Some(500)), Some(Relation::Strange), "was there before");
        assert_eq!(after(|now| now.database_reset = Some(1_500)), Some(Relation::Partly));
        let reset = |now: &mut Marks| (now.database_reset, now.commits) = (Some(1_500), 1);
        assert_eq!(after(reset), Some(Relation::Anew));
        assert_eq!(after(|now| now.hits = 1), Some(Relation::Anew));
        assert_eq!(after(|now| now.timeline = Some(2)), Some(Relation::Strange));
        assert_eq!(after(|now| now.in_recovery = true), Some(Relation::Strange));
        assert_eq!(after(|now| now.system = Some("8".to_owned())), Some(Relation::Strange));
    }
}
