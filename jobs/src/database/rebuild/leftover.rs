//! What a rebuild left behind, and the proofs without which nothing is dropped.

use std::time::Duration;

use brasa_shared::db::{execute_all, quoted};
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::note::Open;
use crate::database::indexes::{Index, Scope, look};
use crate::database::session::{Ended, Session, SessionError, Until};

/// How long a drop waits: shorter than it takes Postgres to look for a deadlock, so that a builder beside us never is the
/// one who loses.
const LOCK_TIMEOUT: &str = "300ms";
/// For how long it is tried, and how long apart.
const SWEEP: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_millis(500);
/// How long a name may be, in bytes.
const NAME_MAX: usize = 63;

/// What became of what was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Swept {
    /// Nothing of ours is left.
    Clean,
    /// Something is, and it could not be taken away, for this reason.
    Held(String),
}

/// Whether an index is called as Postgres calls what is left of a rebuild of another one: its name, cut to what is possible,
/// and `_ccnew` or `_ccold`, with a number where there are several.
pub fn is_leftover_name(name: &str, of: &str) -> bool {
    let Some((stem, ending)) = name.rsplit_once('_') else { return false };
    let number = ending.strip_prefix("ccnew").or_else(|| ending.strip_prefix("ccold"));
    if !number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    if stem == of {
        return true;
    }
    // Cut before a character that would not fit as a whole.
    let Some(next) = of.strip_prefix(stem).and_then(|rest| rest.chars().next()) else { return false };
    let most = NAME_MAX - 1 - ending.len();
    stem.len() <= most && stem.len() + next.len_utf8() > most
}

/// Who works on a table, or waits to, in a way that two cannot at once; who else holds nothing that matters here.
const WORKERS: &str =
    "/* brasa */ select exists (select from pg_locks l where l.relation = $1::bigint::oid and l.locktype = 'relation'
        and l.database = (select oid from pg_database where datname = current_database())
        and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
            'AccessExclusiveLock')
        and l.pid <> pg_backend_pid())";
const PROOF: &str = "/* brasa */ select not i.indisvalid as is_invalid,
        exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid) as is_built,
        format('%I.%I', n.nspname, c.relname) as name, quote_ident(n.nspname) as schema
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    where i.indexrelid = $1::bigint::oid";

/// Takes away what a rebuild left, if it left something and all the proofs hold. Whatever ended the rebuild does not end
/// this: it is short, and gives way to whoever waits.
///
/// # Errors
/// The session is lost.
pub(super) async fn sweep(session: &mut Session, note: &Open) -> Result<Swept, SessionError> {
    let deadline = Instant::now() + SWEEP;
    let until = Until { deadline: Some(deadline), stop: CancellationToken::new() };
    loop {
        let left = left(session.work(), note).await?;
        let Some(first) = left.first() else { return Ok(Swept::Clean) };
        let Some(why) = drop_one(session, note, first, &until).await? else { continue };
        if Instant::now() + PAUSE >= deadline {
            return Ok(Swept::Held(format!("{} could not be dropped: {why}", first.name)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether half of a new index is left of this rebuild, which then never took the place of the old one.
pub(super) async fn has_half(connection: &mut PgConnection, note: &Open) -> Result<bool, sqlx::Error> {
    Ok(left(connection, note).await?.iter().any(|index| i64::from(index.oid) != note.old_oid))
}

/// What of a table's indexes is left of this rebuild: it has the number of the old one, or the name and the nature of a new one
/// and was not there before.
async fn left(connection: &mut PgConnection, note: &Open) -> Result<Vec<Index>, sqlx::Error> {
    let Ok(table) = u32::try_from(note.table_oid) else { return Ok(Vec::new()) };
    let mut indexes = look(connection, Scope::Tables(&[table])).await?;
    let is_current = |index: &Index| index.bare == note.index && index.schema == note.schema;
    indexes.retain(|index| {
        let oid = i64::from(index.oid);
        let is_ours = oid == note.old_oid
            || index.bare.starts_with(&called(note))
            || (is_leftover_name(&index.bare, &note.index)
                && index.signature == note.signature
                && !note.strangers.contains(&oid));
        // What is valid is never ours to take, whatever it is called.
        !index.is_valid && !is_current(index) && is_ours
    });
    Ok(indexes)
}

/// What a leftover is called while it is taken away: so that nobody means it any more, and we mean nothing else.
fn called(note: &Open) -> String {
    format!("left_by_brasa_{}_", note.id)
}

/// Drops an index; says why not, where that is so.
async fn drop_one(
    session: &mut Session,
    note: &Open,
    index: &Index,
    until: &Until,
) -> Result<Option<String>, SessionError> {
    let oid = i64::from(index.oid);
    let Some(proof) = sqlx::query(PROOF).bind(oid).fetch_optional(session.work()).await? else {
        return Ok(None);
    };
    if !proof.try_get::<bool, _>("is_invalid")? {
        return Ok(Some("it is valid now".to_owned()));
    }
    if proof.try_get("is_built")? {
        return Ok(Some("somebody is building it".to_owned()));
    }
    if sqlx::query_scalar(WORKERS).bind(note.table_oid).fetch_one(session.work()).await? {
        return Ok(Some("somebody is at work on its table".to_owned()));
    }
    let (schema, name): (String, String) = (proof.try_get("schema")?, proof.try_get("name")?);
    let own = format!("{}{}", called(note), index.oid);
    if index.bare != own
        && let Some(why) = rename(session.work(), oid, &name, &own).await?
    {
        return Ok(Some(why));
    }
    session.set("lock_timeout", LOCK_TIMEOUT).await?;
    let ended =
        session.run(&format!("drop index concurrently {schema}.{}", quoted(&own)), until, |_| None).await;
    match ended {
        Ended::Done => {}
        Ended::Cancelled(why) => return Ok(Some(why)),
        Ended::Failed(sqlx::Error::Database(error)) => return Ok(Some(error.message().to_owned())),
        Ended::Failed(error) | Ended::Lost(error) => return Err(error.into()),
    }
    session.set("lock_timeout", "0").await?;
    Ok(None)
}

/// Gives it a name of ours, and looks under the lock that this takes whether it still is what was proven. What is dropped by
/// that name afterwards can be nothing else.
async fn rename(
    connection: &mut PgConnection,
    oid: i64,
    name: &str,
    own: &str,
) -> Result<Option<String>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let lock = format!("set local lock_timeout = '{LOCK_TIMEOUT}'");
    let renamed =
        execute_all(&mut transaction, &[lock, format!("alter index {name} rename to {}", quoted(own))]).await;
    if let Err(sqlx::Error::Database(error)) = renamed {
        transaction.rollback().await?;
        return Ok(Some(error.message().to_owned()));
    }
    renamed?;
    let ask = "/* brasa */ select exists (select from pg_index i join pg_class c on c.oid = i.indexrelid
        where i.indexrelid = $1::bigint::oid and not i.indisvalid and c.relname = $2)";
    if !sqlx::query_scalar(ask).bind(oid).bind(own).fetch_one(&mut *transaction).await? {
        transaction.rollback().await?;
        return Ok(Some("it is another one, or valid now".to_owned()));
    }
    transaction.commit().await?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_known_by_its_name() {
        let long = "x".repeat(63);
        let cut = |ending: &str| format!("{}_{ending}", "x".repeat(63 - 1 - ending.len()));
        // Two bytes each: 57 cut one in two, so 56 are left.
        let wide = "é".repeat(31);
        for (name, of, is) in [
            ("orders_at_ccnew", "orders_at", true),
            ("orders_at_ccold", "orders_at", true),
            ("orders_at_ccnew12", "orders_at", true),
            ("orders_at_ccnewer", "orders_at", false),
            ("foo_ccnew", "größe", false),
            ("gr_ccnew", "größe", false),
            ("orders_at_idx", "orders_at", false),
            ("orders_ccnew", "orders_at", false),
            ("orders_at_old_ccnew", "orders_at", false),
            (cut("ccnew").as_str(), &long, true),
            (cut("ccold3").as_str(), &long, true),
            (format!("{}_ccnew", "x".repeat(56)).as_str(), &long, false),
            (format!("{}_ccnew", "é".repeat(28)).as_str(), &wide, true),
            (format!("{}_ccnew", "é".repeat(27)).as_str(), &wide, false),
        ] {
            assert_eq!(is_leftover_name(name, of), is, "{name} of {of}");
        }
    }
}
