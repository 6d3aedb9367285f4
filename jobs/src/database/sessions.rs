//! Who is connected, who waits for whom, and who keeps old rows from being cleaned up.

use sqlx::PgConnection;

use super::review::facts::{Activity, Holder, activity, horizon};

/// What sessions do.
#[derive(Debug, Clone)]
pub struct Sessions {
    /// Who is connected, idles in a transaction, or is waited for.
    pub activity: Activity,
    /// Who keeps old rows from being cleaned up, the oldest first.
    pub holders: Vec<Holder>,
    /// Whether this role sees what others do; else their sessions are counted and nothing more.
    pub sees_others: bool,
}

const SEES: &str = "/* brasa */ select pg_has_role('pg_read_all_stats', 'usage')";

/// Looks what sessions do now.
///
/// # Errors
/// What Postgres says.
pub async fn sessions(connection: &mut PgConnection) -> Result<Sessions, sqlx::Error> {
    Ok(Sessions {
        activity: activity(connection).await?,
        holders: horizon(connection).await?,
        sees_others: sqlx::query_scalar(SEES).fetch_one(connection).await?,
    })
}
