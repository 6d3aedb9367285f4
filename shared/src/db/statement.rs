//! The users' statements: described by the database before they are trusted, run with bound values.
//!
//! This is the only file that hands text from the configuration to the driver as SQL, and statements that were
//! put together. The text comes from the configuration file alone; values of jobs only ever travel as
//! parameters. What a statement says of its job, where it is to say so, is escaped by `telemetry/spans/errand.rs`.

use std::borrow::Cow;

use sqlx::postgres::{PgColumn, PgRow, PgTypeInfo, PgTypeKind};
use sqlx::{
    AssertSqlSafe, Column as _, Either, Executor, PgConnection, Postgres, SqlSafeStr, Statement as _, Type,
    TypeInfo,
};

use crate::db::bind::{Param, array_bytes, is_bindable};
use crate::telemetry::logs::chain;
use crate::telemetry::spans::{Open, SpanKind, begin_below, comment_of};

/// What the database says about a statement.
#[derive(Debug, Clone)]
pub struct Described {
    /// The types of `$1`, `$2`, ...
    pub params: Vec<PgTypeInfo>,
    /// What it returns.
    pub columns: Vec<Column>,
}

/// A column that a statement returns.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: PgTypeInfo,
}

impl Described {
    /// Parameters whose type has no binding, as place from 1 and the type's name.
    pub fn unbindable(&self) -> Vec<(usize, String)> {
        let strange = self.params.iter().enumerate().filter(|(_, kind)| !is_bindable(kind));
        strange.map(|(place, kind)| (place + 1, kind.name().to_ascii_lowercase())).collect()
    }
}

/// Prepares a statement and says what it takes and returns. Nothing is run.
///
/// # Errors
/// The database refuses it: a mistake in the text, a missing table or right.
pub async fn describe(connection: &mut PgConnection, sql: &str) -> Result<Described, sqlx::Error> {
    let prepared = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let params = match prepared.parameters() {
        Some(Either::Left(kinds)) => kinds.to_vec(),
        _ => Vec::new(),
    };
    let columns = prepared
        .columns()
        .iter()
        .map(|column: &PgColumn| Column { name: column.name().to_owned(), kind: column.type_info().clone() });
    Ok(Described { params, columns: columns.collect() })
}

/// Runs a statement; returns how many rows it changed or returned.
///
/// # Errors
/// What the database says.
pub async fn execute(connection: &mut PgConnection, sql: &str, params: &[Param]) -> Result<u64, sqlx::Error> {
    let query = params.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, param| query.bind(param.clone()));
    Ok(query.execute(connection).await?.rows_affected())
}

/// Runs a statement and returns its rows.
///
/// # Errors
/// What the database says.
pub async fn fetch(
    connection: &mut PgConnection,
    sql: &str,
    params: &[Param],
) -> Result<Vec<PgRow>, sqlx::Error> {
    let query = params.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, param| query.bind(param.clone()));
    query.fetch_all(connection).await
}

/// Runs a statement that the configuration wants, for the job that this task works for; returns how many rows it
/// changed or returned. `what` names it for people.
///
/// # Errors
/// What the database says.
pub async fn execute_for_job(
    connection: &mut PgConnection,
    what: &str,
    sql: &str,
    params: &[Param],
) -> Result<u64, sqlx::Error> {
    let asked = Asked::begin(what, sql);
    let query =
        params.iter().fold(sqlx::query(AssertSqlSafe(&*asked.text)), |q, param| q.bind(param.clone()));
    let done = query.persistent(asked.is_kept()).execute(connection).await;
    asked.end(done).map(|done| done.rows_affected())
}

/// The same, for its rows.
///
/// # Errors
/// What the database says.
pub async fn fetch_for_job(
    connection: &mut PgConnection,
    what: &str,
    sql: &str,
    params: &[Param],
) -> Result<Vec<PgRow>, sqlx::Error> {
    let asked = Asked::begin(what, sql);
    let query =
        params.iter().fold(sqlx::query(AssertSqlSafe(&*asked.text)), |q, param| q.bind(param.clone()));
    let rows = query.persistent(asked.is_kept()).fetch_all(connection).await;
    asked.end(rows)
}

/// A statement as it is asked for a job, and the span that is told of it.
struct Asked<'s> {
    text: Cow<'s, str>,
    span: Option<Open>,
}

impl<'s> Asked<'s> {
    fn begin(what: &str, sql: &'s str) -> Self {
        let mut span = begin_below(SpanKind::Client, what);
        if let Some(span) = &mut span {
            span.note("db.system.name", "postgresql");
            span.note("db.query.summary", what);
        }
        let text = match comment_of(span.as_ref().map(Open::place)) {
            None => Cow::Borrowed(sql),
            // On a line of its own: the last line of the statement may be a comment.
            Some(comment) => Cow::Owned(format!("{sql}\n{comment}")),
        };
        Self { text, span }
    }

    /// Whether the driver and the server keep it prepared. With a comment each is another one, and would only push out
    /// those that come again.
    fn is_kept(&self) -> bool {
        matches!(self.text, Cow::Borrowed(_))
    }

    fn end<T>(self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if let Some(mut span) = self.span {
            let failure = answer.as_ref().err();
            let code = failure.and_then(|error| error.as_database_error()?.code());
            if let Some(code) = code {
                span.note("db.response.status_code", &*code);
            }
            span.end(failure.map(|error| chain(error)).as_deref());
        }
        answer
    }
}

/// An array of texts as a parameter.
pub fn array_of_texts<T: AsRef<str>>(texts: &[T]) -> Option<Param> {
    array_of_some_texts(texts.iter().map(|text| Some(text.as_ref())))
}

/// The same of texts some of which are NULL.
pub fn array_of_some_texts<'t>(texts: impl Iterator<Item = Option<&'t str>>) -> Option<Param> {
    array_of(&<Vec<String> as Type<Postgres>>::type_info(), texts)
}

/// How Postgres writes a type in SQL, with its schema where that is needed, and without a length: `bpchar`, since
/// `character` by itself would be one of length 1.
///
/// # Errors
/// What the database says.
pub async fn type_name(connection: &mut PgConnection, kind: &PgTypeInfo) -> Result<String, sqlx::Error> {
    let Some(oid) = kind.oid() else { return Ok(kind.name().to_owned()) };
    sqlx::query_scalar("/* brasa */ select pg_catalog.format_type($1, -1)")
        .bind(oid)
        .fetch_one(connection)
        .await
}

/// Runs statements that take no values and were put together, such as those that make triggers, one after the
/// other. Their names must be in quotes already.
///
/// # Errors
/// What the database says to the first that it refuses; those before it have run.
pub async fn execute_all(connection: &mut PgConnection, statements: &[String]) -> Result<(), sqlx::Error> {
    for sql in statements {
        sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut *connection).await?;
    }
    Ok(())
}

/// An array parameter of type `kind` from elements in binary form, such as the columns of a row.
pub fn array_of<B: AsRef<[u8]>>(
    kind: &PgTypeInfo,
    elements: impl IntoIterator<Item = Option<B>>,
) -> Option<Param> {
    let PgTypeKind::Array(element) = kind.kind() else { return None };
    Some(Param { kind: kind.clone(), bytes: Some(array_bytes(element.oid()?, elements)?) })
}
