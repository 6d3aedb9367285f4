//! Whether an aggregate fits the database, and what it is there.

use brasa_shared::config::{Aggregate, AggregateMode, Definition, Function, Measure};
use brasa_shared::db::{self, Part, TableColumn};
use sqlx::{Connection as _, PgConnection};

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::{TimeKind, probe, sample};

/// In a table with fewer rows than this, rows are found without an index.
const FEW: f32 = 100_000.0;
/// Types whose sums are the same in whichever order they are added up.
const EXACT: [&str; 4] = ["smallint", "integer", "bigint", "numeric"];
/// Types whose sums are not.
const FLOATING: [&str; 2] = ["real", "double precision"];

/// Why an aggregate cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    /// The database could not be asked.
    #[error("could not look at the source")]
    Database(#[from] sqlx::Error),
    /// The configuration and the database do not fit one another.
    #[error("{message}")]
    Unfit {
        /// The part of the configuration that is concerned.
        at: &'static str,
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: String,
    },
}

/// An aggregate that fits, as it would be in a first version; and its source with all its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub shape: Shape,
    /// The source, and its parts behind it.
    pub parts: Vec<Part>,
}

impl Look {
    /// Looks at the source of an aggregate. Nothing stays changed.
    ///
    /// # Errors
    /// The aggregate cannot be kept, or nobody knows.
    pub async fn at(
        connection: &mut PgConnection,
        name: &str,
        aggregate: &Aggregate,
    ) -> Result<Self, Misfit> {
        let definition = &aggregate.definition;
        let source = &definition.source;
        let parts = db::parts_of(connection, source).await?;
        check_source(definition, &parts)?;
        let columns = db::columns_of(connection, source).await?;
        check_rows(connection, source).await?;
        let find = |at, column: &String| {
            let known = columns.iter().find(|known| known.name == *column);
            known.ok_or_else(|| unknown_column(at, column, &columns))
        };
        let time_column = find("time", &definition.time)?;
        let Some(time) = TimeKind::of(&time_column.kind) else {
            let message =
                format!("`{}` is of type {}, which says no time", time_column.name, time_column.kind);
            let help = "name a column of type timestamptz, timestamp or date; make one where there is none, `generated \
                        always as (…) stored` if it can be computed";
            return Err(unfit("time", message, help));
        };
        check_xid(connection, definition, &columns, &parts).await?;
        definition.by.iter().try_for_each(|column| find("by", column).map(drop))?;
        let by_kinds = key_kinds(connection, definition).await?;
        check_buckets(connection, aggregate, time).await?;
        let table = definition
            .source
            .rsplit("\".\"")
            .next()
            .unwrap_or(source)
            .trim_matches('"')
            .replace("\"\"", "\"");
        let mut shape = Shape {
            name: name.to_owned(),
            version: 1,
            definition: definition.clone(),
            source: parts.first().map_or_else(|| source.clone(), |part| part.name.clone()),
            table,
            time,
            by_kinds,
            is_delta: definition.is_delta(),
            kept: Vec::new(),
        };
        check_expressions(connection, &shape).await?;
        let kinds = kinds(connection, &shape).await?;
        shape.is_delta = can_add(aggregate, &kinds)?;
        shape.kept = Shape::kept(definition, shape.is_delta, &kinds);
        check_index(connection, &shape, &parts).await?;
        Ok(Self { shape, parts })
    }
}

fn check_source(definition: &Definition, parts: &[Part]) -> Result<(), Misfit> {
    let source = &definition.source;
    let Some(table) = parts.first() else {
        let help =
            "correct the name, with its schema where it is not in the search path, or migrate the database";
        return Err(unfit(
            "source",
            format!("there is no table {source}, or this role may not see it"),
            help,
        ));
    };
    let what = match table.kind.as_str() {
        "r" | "p" => None,
        "v" => Some("a view"),
        "m" => Some("a materialized view"),
        "f" => Some("a foreign table"),
        _ => Some("no table"),
    };
    if let Some(what) = what {
        let help = "only a table notes what changes in it: name the table behind it";
        return Err(unfit("source", format!("{source} is {what}"), help));
    }
    if let Some(part) = parts.iter().find(|part| part.kind == "f") {
        let message = format!("{}, a part of {source}, is a foreign table", part.name);
        return Err(unfit(
            "source",
            message,
            "it does not note what changes in it: leave it out of the aggregate's source",
        ));
    }
    let needs_triggers = definition.xid.is_none();
    if let Some(part) = parts.iter().find(|part| needs_triggers && !part.may_trigger) {
        let help =
            format!("let its owner say: grant trigger on {} to the role that Brasa connects as", part.name);
        return Err(unfit("source", format!("this role may not make triggers on {}", part.name), help));
    }
    Ok(())
}

/// Triggers see all rows, whatever this role does.
async fn check_rows(connection: &mut PgConnection, source: &str) -> Result<(), Misfit> {
    if !db::sees_part(connection, source).await? {
        return Ok(());
    }
    let message = format!("row-level security lets this role see only some of the rows of {source}");
    Err(unfit("source", message, "connect as the owner of the table, or as a role with bypassrls"))
}

/// Where rows are only ever added, a column says by which transaction.
async fn check_xid(
    connection: &mut PgConnection,
    definition: &Definition,
    columns: &[TableColumn],
    parts: &[Part],
) -> Result<(), Misfit> {
    let Some(xid) = &definition.xid else { return Ok(()) };
    let (source, quoted) = (&definition.source, db::quoted(xid));
    let help = format!(
        "let rows say by which transaction they come: alter table {source} add column {quoted} xid8; alter table {source} \
         alter column {quoted} set default pg_current_xact_id(); create index on {source} ({quoted})"
    );
    match columns.iter().find(|column| column.name == *xid) {
        None => return Err(unfit("xid", format!("the source has no column `{xid}`"), help)),
        Some(column) if column.kind != "xid8" => {
            let message = format!("`{xid}` is of type {}, not xid8", column.kind);
            return Err(unfit("xid", message, help));
        }
        Some(column) if !column.has_default => {
            return Err(unfit("xid", format!("`{xid}` has no default"), help));
        }
        Some(_) => {}
    }
    for part in parts.iter().filter(|part| part.kind == "r") {
        if !db::leads_index(connection, &part.name, xid, 0.0).await? {
            let help = format!("make one: create index concurrently on {} ({quoted})", part.name);
            return Err(unfit("xid", format!("{} has no index on `{xid}`", part.name), help));
        }
    }
    Ok(())
}

/// The types of the columns in `by`, which have to be comparable.
async fn key_kinds(connection: &mut PgConnection, definition: &Definition) -> Result<Vec<String>, Misfit> {
    let mut kinds = Vec::new();
    for column in &definition.by {
        let quoted = db::quoted(column);
        let grouped =
            format!("select {quoted} from {} group by {quoted} order by {quoted}", definition.source);
        db::describe(connection, &grouped).await.map_err(|error| refused("by", column, error))?;
        kinds.push(db::key_kind(connection, &definition.source, column).await?);
    }
    Ok(kinds)
}

async fn check_buckets(
    connection: &mut PgConnection,
    aggregate: &Aggregate,
    time: TimeKind,
) -> Result<(), Misfit> {
    use brasa_shared::config::Bucket;
    let definition = &aggregate.definition;
    if let Some(tz) = &definition.tz {
        if time != TimeKind::Instant {
            let message = format!("`{}` has no zone: it is of type {}", definition.time, time.sql());
            return Err(unfit("tz", message, "leave `tz` out: its days are days already"));
        }
        let is_known: bool =
            sqlx::query_scalar("select exists (select from pg_timezone_names where name = $1)")
                .bind(tz)
                .fetch_one(&mut *connection)
                .await?;
        if !is_known {
            let help =
                "write a name such as \"America/New_York\"; `select name from pg_timezone_names` lists them";
            return Err(unfit("tz", format!("Postgres knows no time zone `{tz}`"), help));
        }
    }
    if time == TimeKind::Date && matches!(definition.bucket, Bucket::Minutes(_) | Bucket::Hour) {
        let message = format!("`{}` is a date, which has no hours", definition.time);
        return Err(unfit("bucket", message, "write \"day\" or longer"));
    }
    Ok(())
}

/// Expressions see one row and nothing else, so that what was added can be subtracted again.
async fn check_expressions(connection: &mut PgConnection, shape: &Shape) -> Result<(), Misfit> {
    let (mut expressions, definition) = (Vec::new(), &shape.definition);
    expressions.extend(definition.filter.iter().map(|filter| ("where", filter.clone())));
    for measure in definition.measures.values() {
        expressions
            .extend(measure.filter.iter().chain(&measure.value).map(|text| ("measures", text.clone())));
    }
    for (at, text) in expressions {
        let mut transaction = connection.begin().await?;
        let settings = ["set local search_path = pg_catalog, pg_temp".to_owned()];
        let statements: Vec<String> =
            settings.into_iter().chain(probe(&shape.source, &shape.alias(), &text)).collect();
        let probed = db::execute_all(&mut transaction, &statements).await;
        transaction.rollback().await?;
        if let Err(error) = probed {
            return Err(refused(at, &text, error));
        }
    }
    Ok(())
}

/// The types of the values and the results of all measures.
async fn kinds(connection: &mut PgConnection, shape: &Shape) -> Result<Vec<(String, String)>, Misfit> {
    let mut kinds = Vec::new();
    for (name, measure) in &shape.definition.measures {
        let mut pair = Vec::new();
        for sql in sample(&shape.source, &shape.alias(), measure) {
            let described =
                db::describe(connection, &sql).await.map_err(|error| refused("measures", name, error))?;
            match described.columns.first() {
                Some(column) => pair.push(db::type_name(connection, &column.kind).await?),
                None => {
                    return Err(unfit("measures", format!("`{name}` gives nothing"), "write an expression"));
                }
            }
        }
        kinds.extend(<[String; 2]>::try_from(pair).ok().map(|[value, result]| (value, result)));
    }
    Ok(kinds)
}

/// Whether what changed is added and subtracted: as it was asked for, or because it can be.
fn can_add(aggregate: &Aggregate, kinds: &[(String, String)]) -> Result<bool, Misfit> {
    let definition = &aggregate.definition;
    if !definition.is_delta() {
        return Ok(false);
    }
    for ((name, measure), (value, _)) in definition.measures.iter().zip(kinds) {
        if measure.function == Function::Count || EXACT.contains(&value.as_str()) {
            continue;
        }
        if FLOATING.contains(&value.as_str()) {
            if definition.approx {
                continue;
            }
            let message =
                format!("`{name}` adds up floating-point numbers, whose sum depends on their order");
            let help = "cast to numeric, as in sum(price::numeric); or write approx = true if the last digits do not \
                        matter, or mode = \"recompute\"";
            return Err(unfit("measures", message, help));
        }
        if matches!(definition.mode, Some(AggregateMode::Delta | AggregateMode::Append)) {
            let message = format!("`{name}`: values of type {value} cannot be subtracted again");
            return Err(unfit("mode", message, "write mode = \"recompute\", or leave it out"));
        }
        return Ok(false);
    }
    Ok(true)
}

/// Buckets are computed by their rows, which have to be found.
async fn check_index(connection: &mut PgConnection, shape: &Shape, parts: &[Part]) -> Result<(), Misfit> {
    for part in parts.iter().filter(|part| part.kind == "r") {
        let time = &shape.definition.time;
        if !db::leads_index(connection, &part.name, time, FEW).await? {
            let message = format!("{} has no index on `{time}`, and more than some rows", part.name);
            let column = db::quoted(time);
            let help = format!("make one: create index concurrently on {} ({column})", part.name);
            return Err(unfit("time", message, help));
        }
    }
    Ok(())
}

fn unknown_column(at: &'static str, column: &str, columns: &[TableColumn]) -> Misfit {
    let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let help = brasa_shared::config::did_you_mean(column, known.iter().copied());
    let help = help.unwrap_or_else(|| format!("the table has: {}", known.join(", ")));
    unfit(at, format!("the source has no column `{column}`"), help)
}

/// What Postgres says to an expression.
fn refused(at: &'static str, text: &str, error: sqlx::Error) -> Misfit {
    let Some(said) = error.as_database_error() else { return Misfit::Database(error) };
    let help = match said.code().as_deref() {
        // What is not immutable has no place in an index.
        Some("42P17") => {
            "it is to give the same whenever it is computed: no now(), no casts that depend on a zone (write `at time zone \
             'UTC'`), no random()"
        }
        Some("0A000") => "it is to look at one row only: no subqueries, no aggregates inside",
        Some("42501") => {
            "grant temporary on the database, and select on the source, to the role that Brasa connects as"
        }
        Some("42883" | "42704") => {
            "functions and types that are not Postgres's own are written with their schema"
        }
        _ => "correct it, or migrate the database first",
    };
    unfit(at, format!("`{text}`: {}", said.message()), help)
}

pub(super) fn unfit(at: &'static str, message: impl Into<String>, help: impl Into<String>) -> Misfit {
    Misfit::Unfit { at, message: message.into(), help: help.into() }
}

/// The measures that are computed again, for people.
pub fn recomputed<'d>(measures: impl Iterator<Item = (&'d String, &'d Measure)>) -> Vec<&'d str> {
    measures.filter(|(_, measure)| !measure.is_additive()).map(|(name, _)| name.as_str()).collect()
}
