//! What is recommended, kept from review to review: since when, and whether a person does not want to hear of it.

use serde::Serialize;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::recommendation::{Recommendation, Severity};
use super::report::{Dismissal, Report};

/// How many reviews are kept.
const REVIEWS_MAX: i64 = 1_000;
/// For how long recommendations are kept that are done with.
const KEEP_CLEARED: &str = "400 days";

/// Times are told in UTC, whatever a session is set to.
const COLUMNS: &str = "fingerprint, body::text as body, cleared_at is not null as is_cleared,
    to_char(first_seen at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as first_seen,
    to_char(last_seen at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as last_seen,
    to_char(cleared_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as cleared_at,
    to_char(dismissed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as dismissed_at, dismissed_by, dismissed_why";

/// A recommendation as it is kept. Times are in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// What tells it from others.
    pub fingerprint: String,
    /// What is recommended, as of the last review that found it.
    #[serde(flatten)]
    pub recommendation: Recommendation,
    /// When it was first found.
    pub first_seen: String,
    /// When it was found last.
    pub last_seen: String,
    /// When it was no longer found.
    pub cleared_at: Option<String>,
    /// Who does not want to hear of it.
    pub dismissed: Option<Dismissal>,
}

/// Why nothing can be kept here, and what to do, in words for people; none where it can.
///
/// # Errors
/// What Postgres says.
pub async fn obstacle(
    connection: &mut PgConnection,
) -> Result<Option<(&'static str, &'static str)>, sqlx::Error> {
    let query =
        "/* brasa */ select to_regclass('brasa.care_recommendations') is not null, pg_is_in_recovery()";
    let row = sqlx::query(query).fetch_one(connection).await?;
    let (is_there, is_standby): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match (is_there, is_standby) {
        (_, true) => Some((
            "this server is a standby, and keeps nothing of its own",
            "give the address of the primary",
        )),
        (false, _) => Some(("this database has no tables for recommendations", "run `brasa migrate`")),
        (true, false) => None,
    })
}

/// Keeps what a review recommends, and closes what the rules that could conclude something no longer recommend.
/// Fills in the number of the review and what was known of each recommendation; returns how many were closed.
///
/// # Errors
/// What Postgres says.
pub async fn save(
    connection: &mut PgConnection,
    report: &mut Report,
    conclusive: &[&str],
) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for shown in &mut report.recommendations {
        let body = serde_json::to_string(&shown.recommendation)
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        let query = "insert into brasa.care_recommendations as known (fingerprint, rule, object, severity, body)
            values ($1, $2, $3, $4, $5::text::jsonb)
            on conflict (fingerprint) do update set severity = excluded.severity, body = excluded.body,
                last_seen = now(),
                first_seen = case when known.cleared_at is null then known.first_seen else now() end, cleared_at = null
            returning to_char(first_seen at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as first_seen,
                to_char(dismissed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as dismissed_at, dismissed_by,
                    dismissed_why";
        let query = sqlx::query(query)
            .bind(&shown.fingerprint)
            .bind(&shown.recommendation.rule)
            .bind(&shown.recommendation.object)
            .bind(shown.recommendation.severity.word())
            .bind(body);
        let row = query.fetch_one(&mut *transaction).await?;
        shown.first_seen = Some(row.try_get("first_seen")?);
        shown.dismissed = dismissal(&row)?;
    }
    let seen: Vec<&str> = report.recommendations.iter().map(|shown| shown.fingerprint.as_str()).collect();
    let close = "update brasa.care_recommendations set cleared_at = now()
        where cleared_at is null and rule = any ($1) and not fingerprint = any ($2)";
    let closed =
        sqlx::query(close).bind(conclusive).bind(&seen).execute(&mut *transaction).await?.rows_affected();
    report.sum_up();
    let counts = |severity| report.count(severity);
    let summary = json!({
        "critical": counts(Severity::Critical), "warning": counts(Severity::Warning), "info": counts(Severity::Info),
        "dismissed": report.dismissed(), "cleared": closed,
    });
    let gaps = serde_json::to_string(&report.gaps).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let keep = "insert into brasa.care_reviews (summary, gaps) values ($1::text::jsonb, $2::text::jsonb) returning id";
    let id: i64 =
        sqlx::query_scalar(keep).bind(summary.to_string()).bind(gaps).fetch_one(&mut *transaction).await?;
    sqlx::query("delete from brasa.care_reviews where id <= $1")
        .bind(id - REVIEWS_MAX)
        .execute(&mut *transaction)
        .await?;
    let forget = "delete from brasa.care_recommendations where cleared_at < now() - $1::text::interval";
    sqlx::query(forget).bind(KEEP_CLEARED).execute(&mut *transaction).await?;
    transaction.commit().await?;
    report.review = Some(id);
    Ok(closed)
}

/// What is recommended, the worst first: what is open, or all that is known.
///
/// # Errors
/// What Postgres says.
pub async fn list(connection: &mut PgConnection, all: bool) -> Result<Vec<Kept>, sqlx::Error> {
    let query = format!(
        "select {COLUMNS} from brasa.care_recommendations where {} order by cleared_at is not null,
            dismissed_at is not null,
            array_position(array['critical', 'warning', 'info'], severity), rule, object",
        if all { "true" } else { "cleared_at is null and dismissed_at is null" }
    );
    let rows = brasa_shared::db::fetch(connection, &query, &[]).await?;
    rows.iter().map(kept).collect()
}

/// How many recommendations of each severity are open and not dismissed; none where there are no tables for them.
///
/// # Errors
/// What Postgres says.
pub async fn open_counts(connection: &mut PgConnection) -> Result<Option<[(Severity, i64); 3]>, sqlx::Error> {
    let is_there = "/* brasa */ select to_regclass('brasa.care_recommendations') is not null";
    if !sqlx::query_scalar::<_, bool>(is_there).fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    let query = "/* brasa */ select severity, count(*) from brasa.care_recommendations
        where cleared_at is null and dismissed_at is null group by severity";
    let found: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(connection).await?;
    let count = |severity: Severity| found.iter().find(|(word, _)| word == severity.word());
    Ok(Some(Severity::ALL.map(|severity| (severity, count(severity).map_or(0, |(_, count)| *count)))))
}

/// Says that nobody wants to hear of a recommendation, and why. False if there is no such one.
///
/// # Errors
/// What Postgres says.
pub async fn dismiss(
    connection: &mut PgConnection,
    fingerprint: &str,
    why: &str,
) -> Result<bool, sqlx::Error> {
    dismiss_as(connection, fingerprint, None, why).await
}

/// The same in the name of somebody; in that of the database's role where nobody is named.
///
/// # Errors
/// What Postgres says.
pub async fn dismiss_as(
    connection: &mut PgConnection,
    fingerprint: &str,
    by: Option<&str>,
    why: &str,
) -> Result<bool, sqlx::Error> {
    let query = "update brasa.care_recommendations
        set dismissed_at = now(), dismissed_by = coalesce($3, session_user::text), dismissed_why = $2
        where fingerprint = $1";
    let done = sqlx::query(query).bind(fingerprint).bind(why).bind(by).execute(connection).await?;
    Ok(done.rows_affected() > 0)
}

/// Takes that back. False if there is no such one.
///
/// # Errors
/// What Postgres says.
pub async fn reopen(connection: &mut PgConnection, fingerprint: &str) -> Result<bool, sqlx::Error> {
    let query = "update brasa.care_recommendations
        set dismissed_at = null, dismissed_by = null, dismissed_why = null where fingerprint = $1";
    Ok(sqlx::query(query).bind(fingerprint).execute(connection).await?.rows_affected() > 0)
}

fn kept(row: &PgRow) -> Result<Kept, sqlx::Error> {
    let body: String = row.try_get("body")?;
    let recommendation = serde_json::from_str(&body).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Kept {
        fingerprint: row.try_get("fingerprint")?,
        recommendation,
        first_seen: row.try_get("first_seen")?,
        last_seen: row.try_get("last_seen")?,
        cleared_at: row.try_get("cleared_at")?,
        dismissed: dismissal(row)?,
    })
}

fn dismissal(row: &PgRow) -> Result<Option<Dismissal>, sqlx::Error> {
    let Some(at) = row.try_get::<Option<String>, _>("dismissed_at")? else { return Ok(None) };
    let by = row.try_get::<Option<String>, _>("dismissed_by")?.unwrap_or_default();
    Ok(Some(Dismissal {
        at,
        by,
        why: row.try_get::<Option<String>, _>("dismissed_why")?.unwrap_or_default(),
    }))
}
