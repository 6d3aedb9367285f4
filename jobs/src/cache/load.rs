//! A warmer's statements: what the database says about them, and how they are asked.
//!
//! The loader is asked for many keys at once (`… where origin = any($1)`): measured, that is 17 to 21 times
//! as fast as one query per key. Keys and values come back as text that Postgres made, so that every type
//! has one spelling, the database's own.

use std::time::Duration;

use brasa_shared::config::{KeyTemplate, Sql, Warmer};
use brasa_shared::db::{self, Param};
use sqlx::postgres::{PgRow, PgTypeInfo, PgTypeKind};
use sqlx::{Connection, PgConnection, Row, TypeInfo, ValueRef};

/// A warmer whose statements the database has accepted.
#[derive(Debug, Clone)]
pub struct Plan {
    loader: String,
    keys: Option<String>,
    arrays: Vec<PgTypeInfo>,
    columns: Vec<String>,
    template: KeyTemplate,
    timeout: Option<Duration>,
}

/// One cache entry to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key in Redis.
    pub key: String,
    /// The value, JSON.
    pub value: String,
}

/// Why a warmer cannot work on this database.
#[derive(Debug, thiserror::Error)]
pub enum LoaderProblem {
    /// The database refused a statement.
    #[error("the database refuses {what}")]
    Refused {
        /// The loader or `for_each`.
        what: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// The statements do not fit one another, or the key.
    #[error("{message}")]
    Unfit {
        /// The part of the configuration that is concerned: `sql`, `for_each` or `key`.
        at: &'static str,
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: String,
    },
}

impl Plan {
    /// Lets the database look at a warmer's statements. Nothing is run.
    ///
    /// # Errors
    /// They are refused, or do not fit one another.
    pub async fn prepare(connection: &mut PgConnection, warmer: &Warmer) -> Result<Self, LoaderProblem> {
        let refused = |what| move |source| LoaderProblem::Refused { what, source };
        let loader = text(&warmer.sql);
        let described = db::describe(connection, loader).await.map_err(refused("the loader"))?;
        let columns: Vec<String> = warmer.key.placeholders().into_iter().map(ToOwned::to_owned).collect();
        let returned: Vec<&str> = described.columns.iter().map(|column| column.name.as_str()).collect();
        if !returned.contains(&"value") {
            let help = "name the column that holds it, as in `select origin, to_jsonb(t) as value from …`";
            return Err(unfit("sql", "the loader returns no column `value`", help));
        }
        if let Some(missing) = columns.iter().find(|column| !returned.contains(&column.as_str())) {
            let message = format!("the key uses `{{{missing}}}`, and the loader returns no such column");
            return Err(unfit("key", message, format!("it returns: {}", returned.join(", "))));
        }
        let keys = match &warmer.for_each {
            None => None,
            Some(each) => {
                let asked = text(&each.sql);
                let found = db::describe(connection, asked).await.map_err(refused("`for_each`"))?;
                check_arrays(&found.columns, &each.params, &described.params)?;
                let keys = wrap(asked, each.params.iter().map(|name| quoted("k", name)), "k");
                db::describe(connection, &keys).await.map_err(refused("`for_each`"))?;
                Some(keys)
            }
        };
        let shown = columns.iter().map(|name| format!("{}::text", quoted("t", name)));
        let loader = wrap(loader, shown.chain([r#"to_json(t."value")::text"#.to_owned()]), "t");
        // As it will be asked: what can be prepared alone (an `insert … returning`) need not fit into this.
        db::describe(connection, &loader).await.map_err(refused("the loader"))?;
        let (template, timeout) = (warmer.key.clone(), warmer.timeout);
        Ok(Self { loader, keys, arrays: described.params, columns, template, timeout })
    }

    /// The keys to warm, in batches of at most `batch`, as parameters of the loader. A warmer without
    /// `for_each` has one batch, with no parameters.
    ///
    /// # Errors
    /// What the database says.
    pub async fn batches(
        &self,
        connection: &mut PgConnection,
        batch: usize,
    ) -> Result<Vec<Vec<Param>>, sqlx::Error> {
        let Some(keys) = &self.keys else { return Ok(vec![Vec::new()]) };
        let rows = self.read(connection, keys, &[]).await?;
        let mut batches = Vec::with_capacity(rows.len().div_ceil(batch.max(1)));
        for rows in rows.chunks(batch.max(1)) {
            let column = |(place, kind)| {
                let elements: Result<Vec<_>, _> = rows.iter().map(|row| raw(row, place)).collect();
                Ok(db::array_of(kind, &elements?))
            };
            let params: Result<Vec<_>, sqlx::Error> = self.arrays.iter().enumerate().map(column).collect();
            batches.push(params?.into_iter().flatten().collect());
        }
        Ok(batches)
    }

    /// Loads one batch. Rows without a value, or with a part of the key missing, are left out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn load(
        &self,
        connection: &mut PgConnection,
        params: &[Param],
    ) -> Result<Vec<Entry>, sqlx::Error> {
        let rows = self.read(connection, &self.loader, params).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let value: Option<&str> = row.try_get(self.columns.len())?;
            let names = self.columns.iter().enumerate();
            let texts =
                names.map(|(place, name)| Ok((name.as_str(), row.try_get::<Option<&str>, _>(place)?)));
            let texts: Vec<(&str, Option<&str>)> = texts.collect::<Result<_, sqlx::Error>>()?;
            let part =
                |wanted: &str| texts.iter().find(|(name, _)| *name == wanted).and_then(|(_, text)| *text);
            if let (Some(value), Ok(key)) = (value, self.template.render(&part)) {
                entries.push(Entry { key, value: value.to_owned() });
            }
        }
        Ok(entries)
    }

    /// Runs a statement that only reads, in a transaction that could not write, under the warmer's limit.
    async fn read(
        &self,
        connection: &mut PgConnection,
        sql: &str,
        params: &[Param],
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut transaction = connection.begin_with("begin read only").await?;
        if let Some(timeout) = self.timeout {
            let limit = timeout.as_millis().to_string();
            let set = sqlx::query("select set_config('statement_timeout', $1, true)").bind(limit);
            set.execute(&mut *transaction).await?;
        }
        let rows = db::fetch(&mut transaction, sql, params).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}

/// Every column that `for_each` gives must be what the array at its place holds.
fn check_arrays(
    columns: &[db::Column],
    names: &[String],
    arrays: &[PgTypeInfo],
) -> Result<(), LoaderProblem> {
    for (place, name) in names.iter().enumerate() {
        let Some(column) = columns.iter().find(|column| column.name == *name) else {
            let known: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
            let message = format!("`for_each` returns no column `{name}`");
            return Err(unfit("for_each", message, format!("it returns: {}", known.join(", "))));
        };
        let (at, of) = (place + 1, column.kind.name().to_lowercase());
        let element = arrays.get(place).and_then(|array| match array.kind() {
            PgTypeKind::Array(element) => Some(element),
            _ => None,
        });
        let Some(element) = element else {
            let message = format!("${at} of the loader is not an array");
            let help = format!("it is asked for many keys at once: write `where {name} = any(${at})`");
            return Err(unfit("sql", message, help));
        };
        if element.oid() != column.kind.oid() {
            let wanted = element.name().to_lowercase();
            let message = format!("`for_each` gives {name} as {of}, ${at} of the loader is {wanted}[]");
            return Err(unfit("for_each", message, format!("cast one of them: any(${at}::{of}[])")));
        }
    }
    Ok(())
}

fn unfit(at: &'static str, message: impl Into<String>, help: impl Into<String>) -> LoaderProblem {
    LoaderProblem::Unfit { at, message: message.into(), help: help.into() }
}

/// The statement without the semicolon that would end it inside another.
fn text(sql: &Sql) -> &str {
    sql.text.trim_end().trim_end_matches(';')
}

/// Asks for `columns` of a statement. The line breaks keep a last comment from swallowing what follows.
fn wrap(sql: &str, columns: impl Iterator<Item = String>, alias: &str) -> String {
    format!("select {} from (\n{sql}\n) {alias}", columns.collect::<Vec<_>>().join(", "))
}

fn quoted(alias: &str, name: &str) -> String {
    format!(r#"{alias}."{}""#, name.replace('"', r#""""#))
}

fn raw(row: &PgRow, place: usize) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let value = row.try_get_raw(place)?;
    if value.is_null() {
        return Ok(None);
    }
    Ok(Some(value.as_bytes().map_err(sqlx::Error::Decode)?.to_vec()))
}
