//! A warmer's statements: what the database says about them, and how they are asked.
//!
//! The loader is asked for many keys at once (`… where origin = any($1)`): measured, that is 17 to 21 times
//! as fast as one query per key. Parameters, keys and values are texts that Postgres made, so that every type
//! has one spelling, the database's own. Beside every row stands the snapshot that it was read from: one
//! statement, one snapshot.

use std::collections::HashSet;
use std::time::Duration;

use brasa_shared::config::{ForEach, Warmer, replace_placeholders, without_end};
use brasa_shared::db::{self, Param};
use sqlx::postgres::{PgRow, PgTypeInfo, PgTypeKind};
use sqlx::{Connection, PgConnection, Row, TypeInfo};

/// The value as JSON text, and the same where it is JSON by itself.
const VALUE: &str = r#"pg_catalog.to_json(t."value")::text"#;
const VALUE_OF_JSON: &str = r#"t."value"::text"#;

/// Begins to read. A process that stands still in between does not keep the database from clearing up for ever.
const BEGIN: &str = "begin read only; set local idle_in_transaction_session_timeout = '1min'";
/// How long a statement may run, in ms.
const LIMIT: &str = "/* brasa */ select pg_catalog.set_config('statement_timeout', $1, true)";
/// Lets go of what no end of a transaction lets go of.
const UNLOCK: &str = "/* brasa */ select pg_catalog.pg_advisory_unlock_all()";

/// A warmer whose statements the database has accepted.
#[derive(Debug, Clone)]
pub struct Plan {
    loader: String,
    keys: Option<String>,
    /// How many columns make the key.
    columns: usize,
    /// For each array of the loader, the place of its values among the columns of the key; or among those of
    /// `for_each` where the key is made of something else.
    arrays: Vec<usize>,
    /// Says how the database itself spells what the arrays hold.
    spelling: Option<String>,
    timeout: Option<Duration>,
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
        /// The part of the configuration that is concerned: `sql`, `for_each`, `params` or `key`.
        at: &'static str,
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: String,
    },
}

/// A value that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The texts of the key's columns; none where one is NULL.
    pub texts: Vec<Option<String>>,
    /// The value, JSON; none where it is NULL.
    pub value: Option<String>,
}

/// What one call of a loader gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Its rows.
    pub rows: Vec<Loaded>,
    /// The snapshot that they were read from.
    pub snapshot: String,
    /// Whether a replica was read.
    pub is_replica: bool,
    /// How many others this database works for at the moment, as far as this role may see.
    pub others: Option<u32>,
    /// The places, among what was asked for, of parameters that the database spells otherwise. Known where there are
    /// fewer rows than were asked for.
    pub strange: HashSet<usize>,
}

impl Plan {
    /// Lets the database look at a warmer's statements. Nothing is run.
    ///
    /// # Errors
    /// They are refused, or do not fit one another.
    pub async fn prepare(connection: &mut PgConnection, warmer: &Warmer) -> Result<Self, LoaderProblem> {
        let refused = |what| move |source| LoaderProblem::Refused { what, source };
        let loader = without_end(&warmer.sql.text);
        let described = db::describe(connection, loader).await.map_err(refused("the loader"))?;
        let columns = warmer.columns();
        check_columns(&described.columns, &columns)?;
        let keys = match &warmer.for_each {
            None => None,
            Some(each) => {
                let asked = without_end(&each.sql.text);
                let found = db::describe(connection, asked).await.map_err(refused("`for_each`"))?;
                check_arrays(&found.columns, each, &described.params)?;
                // In the order of the key's columns, where it is made of nothing else: then one row is one value.
                let named: Vec<&str> = if warmer.is_askable() {
                    columns.clone()
                } else {
                    each.params.iter().map(|param| param.name.as_str()).collect()
                };
                let shown = named.iter().map(|name| format!("{}::text", quoted("k", name)));
                // One more than there may be, to know that there are too many.
                let keys = format!("{} limit {}", wrap(asked, shown, "k"), warmer.keys_max + 1);
                db::describe(connection, &keys).await.map_err(refused("`for_each`"))?;
                Some(keys)
            }
        };
        let mut casts = Vec::with_capacity(described.params.len());
        for (place, kind) in described.params.iter().enumerate() {
            let name = db::type_name(connection, kind).await.map_err(refused("the loader"))?;
            check_kind(warmer, place, kind, &name)?;
            casts.push(name);
        }
        let spelling = (warmer.is_askable() && !casts.is_empty()).then(|| spelling(&casts));
        let is_json =
            |column: &db::Column| column.name == "value" && ["JSON", "JSONB"].contains(&column.kind.name());
        let value = if described.columns.iter().any(is_json) { VALUE_OF_JSON } else { VALUE };
        let loader = stamped(loader, &columns, &casts, value, warmer.keys_max);
        // As it will be asked: what can be prepared alone (an `insert … returning`) need not fit into this.
        db::describe(connection, &loader).await.map_err(refused("the loader"))?;
        let place_of = |(place, param): (usize, &brasa_shared::config::WarmParam)| {
            columns
                .iter()
                .position(|column| *column == param.name)
                .filter(|_| warmer.is_askable())
                .unwrap_or(place)
        };
        let arrays = warmer.params.iter().enumerate().map(place_of).collect();
        Ok(Self { loader, keys, columns: columns.len(), arrays, spelling, timeout: warmer.timeout })
    }

    /// What `for_each` gives: the parameters of every value, at most one more than there may be. None for a warmer
    /// without it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keys(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Vec<Vec<Option<String>>>>, sqlx::Error> {
        let Some(keys) = &self.keys else { return Ok(None) };
        let rows = self.read(connection, "for_each", keys, &[]).await?;
        let texts =
            |row: &PgRow| (0..row.len()).map(|place| row.try_get(place)).collect::<Result<Vec<_>, _>>();
        Ok(Some(rows.iter().map(texts).collect::<Result<_, _>>()?))
    }

    /// Loads the values with these parameters, or all where the loader takes none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn load<T: AsRef<[String]>>(
        &self,
        connection: &mut PgConnection,
        asked: &[T],
    ) -> Result<Batch, sqlx::Error> {
        let array = |place: &usize| {
            let texts: Vec<&str> =
                asked.iter().map(|texts| texts.as_ref().get(*place).map_or("", String::as_str)).collect();
            db::array_of_texts(&texts)
        };
        let params: Vec<Param> = self.arrays.iter().filter_map(array).collect();
        let rows = self.read(connection, "loader", &self.loader, &params).await?;
        let mut batch = Batch::default();
        for row in &rows {
            if batch.snapshot.is_empty() {
                batch.snapshot = row.try_get(0)?;
                batch.is_replica = row.try_get(1)?;
                batch.others = row.try_get::<Option<i64>, _>(2)?.and_then(|count| u32::try_from(count).ok());
            }
            // Where there is nothing, the snapshot stands alone.
            if row.try_get::<Option<bool>, _>(3)?.is_none() {
                continue;
            }
            let texts = (0..self.columns).map(|place| row.try_get(4 + place));
            let texts = texts.collect::<Result<Vec<Option<String>>, _>>()?;
            batch.rows.push(Loaded { texts, value: row.try_get(4 + self.columns)? });
        }
        if batch.rows.len() < asked.len()
            && let Some(spelling) = &self.spelling
        {
            let spelt = self.read(connection, "spelling", spelling, &params).await?;
            batch.strange = self.strange(asked, spelt.first())?;
        }
        Ok(batch)
    }

    /// The places of those parameters that are not spelt as the database has just spelt them.
    fn strange<T: AsRef<[String]>>(
        &self,
        asked: &[T],
        spelt: Option<&PgRow>,
    ) -> Result<HashSet<usize>, sqlx::Error> {
        let mut strange = HashSet::new();
        let Some(row) = spelt else { return Ok(strange) };
        for (column, place) in self.arrays.iter().enumerate() {
            let texts: Vec<Option<String>> = row.try_get(column)?;
            let is_strange = |(_, (asked, text)): &(usize, (&T, Option<String>))| {
                asked.as_ref().get(*place).map(String::as_str) != text.as_deref()
            };
            strange.extend(asked.iter().zip(texts).enumerate().filter(is_strange).map(|(number, _)| number));
        }
        Ok(strange)
    }

    /// Runs a statement that only reads, in a transaction that could not write, under the warmer's limit.
    ///
    /// A transaction that only reads may still set what holds for the session, notify others, make large objects (up to
    /// version 15) and take locks that outlive it. So it is rolled back, and its locks are let go: whoever gets this
    /// connection next finds nothing of it.
    async fn read(
        &self,
        connection: &mut PgConnection,
        what: &str,
        sql: &str,
        params: &[Param],
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut transaction = connection.begin_with(BEGIN).await?;
        if let Some(timeout) = self.timeout {
            let limit = timeout.as_millis().to_string();
            sqlx::query(LIMIT).bind(limit).execute(&mut *transaction).await?;
        }
        let rows = db::fetch_for_job(&mut transaction, what, sql, params).await;
        let undone = transaction.rollback().await;
        let unlocked = sqlx::query(UNLOCK).execute(connection).await;
        // What the statement died of says more than that the connection went with it.
        let rows = rows?;
        undone?;
        unlocked?;
        Ok(rows)
    }
}

/// The columns of the key, and `value`, must be there.
fn check_columns(returned: &[db::Column], columns: &[&str]) -> Result<(), LoaderProblem> {
    let returned: Vec<&str> = returned.iter().map(|column| column.name.as_str()).collect();
    if returned.is_empty() {
        let help = "write a statement that reads, as in `select origin, to_jsonb(t) as value from …`";
        return Err(unfit("sql", "the loader is no query: it returns nothing", help));
    }
    if !returned.contains(&"value") {
        let help = "name the column that holds it, as in `select origin, to_jsonb(t) as value from …`";
        return Err(unfit("sql", "the loader returns no column `value`", help));
    }
    if let Some(missing) = columns.iter().find(|column| !returned.contains(column)) {
        let message = format!("the key uses `{{{missing}}}`, and the loader returns no such column");
        return Err(unfit("key", message, format!("it returns: {}", returned.join(", "))));
    }
    Ok(())
}

/// Every column that `for_each` gives must be what the array at its place holds.
fn check_arrays(columns: &[db::Column], each: &ForEach, arrays: &[PgTypeInfo]) -> Result<(), LoaderProblem> {
    for (place, param) in each.params.iter().enumerate() {
        let name = &param.name;
        let Some(column) = columns.iter().find(|column| column.name == *name) else {
            let known: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
            let message = format!("`for_each` returns no column `{name}`");
            return Err(unfit("for_each", message, format!("it returns: {}", known.join(", "))));
        };
        let (at, of) = (place + 1, column.kind.name().to_lowercase());
        let Some(element) = arrays.get(place).and_then(element) else {
            return Err(no_array(at, name));
        };
        if element.oid() != column.kind.oid() {
            let wanted = element.name().to_lowercase();
            let message = format!("`for_each` gives {name} as {of}, ${at} of the loader is {wanted}[]");
            return Err(unfit("for_each", message, format!("cast one of them: any(${at}::{of}[])")));
        }
    }
    Ok(())
}

/// What the configuration says about a parameter must be what the loader takes.
fn check_kind(warmer: &Warmer, place: usize, kind: &PgTypeInfo, found: &str) -> Result<(), LoaderProblem> {
    let Some(param) = warmer.params.get(place) else { return Ok(()) };
    if element(kind).is_none() {
        return Err(no_array(place + 1, &param.name));
    }
    let said = param.kind.as_deref().map(|kind| format!("{}[]", kind.to_lowercase()));
    let says_otherwise = |said: &String| {
        let short = kind.name().to_lowercase();
        *said != found && *said != short
    };
    match said.filter(says_otherwise) {
        None => Ok(()),
        Some(said) => {
            let (at, name) = (place + 1, &param.name);
            let message = format!(
                "params says {name} is {}, ${at} of the loader is {found}",
                said.trim_end_matches("[]")
            );
            Err(unfit(
                "params",
                message,
                format!("correct the type, or cast in the loader: any(${at}::{said})"),
            ))
        }
    }
}

fn element(array: &PgTypeInfo) -> Option<&PgTypeInfo> {
    match array.kind() {
        PgTypeKind::Array(element) => Some(element),
        _ => None,
    }
}

fn no_array(at: usize, name: &str) -> LoaderProblem {
    let message = format!("${at} of the loader is not an array");
    let help = format!("it is asked for many keys at once: write `where {name} = any(${at})`");
    unfit("sql", message, help)
}

fn unfit(at: &'static str, message: impl Into<String>, help: impl Into<String>) -> LoaderProblem {
    LoaderProblem::Unfit { at, message: message.into(), help: help.into() }
}

/// Asks for `columns` of a statement. The line breaks keep a last comment from swallowing what follows.
fn wrap(sql: &str, columns: impl Iterator<Item = String>, alias: &str) -> String {
    format!("select {} from (\n{sql}\n) {alias}", columns.collect::<Vec<_>>().join(", "))
}

/// The loader as it is asked: arrays of texts go in, cast to what it takes; the snapshot, whether this is a replica,
/// how many others are at work, and rows of texts come out.
fn stamped(loader: &str, columns: &[&str], casts: &[String], value: &str, keys_max: u64) -> String {
    let cast = |number: u32| {
        let kind = usize::try_from(number).ok().and_then(|number| casts.get(number.checked_sub(1)?));
        kind.map_or_else(|| format!("${number}"), |kind| format!("(${number}::text[]::{kind})"))
    };
    let loader = replace_placeholders(loader, cast);
    let shown = columns.iter().map(|name| format!("{}::text", quoted("t", name)));
    let shown = shown.chain([value.to_owned()]);
    let limit = if casts.is_empty() { format!(" limit {}", keys_max + 1) } else { String::new() };
    let rows = wrap(&loader, ["true".to_owned()].into_iter().chain(shown), "t");
    // Named in full, so that a function of the same name that fits a value better is not called for it.
    // Who may not see what others do counts those of its own role; none of them does not mean that there is nobody.
    let others = "(select case when count(*) > 0 or pg_catalog.pg_has_role('pg_read_all_stats', 'usage') \
                  then count(*) end from pg_catalog.pg_stat_activity \
                  where state = 'active' and backend_type = 'client backend' \
                  and pid <> pg_catalog.pg_backend_pid() and application_name <> 'brasa')";
    format!(
        "select pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_is_in_recovery(), {others}, r.* \
         from (select 1) one left join lateral (\n{rows}{limit}\n) r on true"
    )
}

/// Texts go in as for the loader, and come out as the database writes them.
fn spelling(casts: &[String]) -> String {
    let spelt = |(place, cast): (usize, &String)| format!("${}::text[]::{cast}::text[]", place + 1);
    format!("select {}", casts.iter().enumerate().map(spelt).collect::<Vec<_>>().join(", "))
}

fn quoted(alias: &str, name: &str) -> String {
    format!("{alias}.{}", db::quoted(name))
}
