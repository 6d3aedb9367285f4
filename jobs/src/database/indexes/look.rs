//! A look at the indexes of a database, which holds nobody up.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use sqlx::postgres::types::Oid;
use sqlx::{Connection as _, PgConnection};

use super::catalogue::{self, Found};
use super::counting::Counting;
use super::index::{Estimate, Index, Key, Size, Trust, Withheld};
use super::model::{Column, Counted, Sample, Tree};
use super::statistics::Known;

/// Which indexes are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All of all tables of users.
    All,
    /// Those of tables with these numbers.
    Tables(&'a [u32]),
    /// Those with these numbers.
    Indexes(&'a [u32]),
}

/// Where more of the rows changed since ANALYZE, its statistics say nothing,
const STALE: f64 = 0.5;
/// and where more of them did, not all.
const AGED: f64 = 0.1;
/// How much an index may have grown since the last look at it, in times and in pages.
const GROWN: (f64, f64) = (1.5, 16.0);
/// How often to look again, where somebody locked something between asking who did and going on.
const TRIES: u32 = 4;
/// For smaller ones no page of a table is read, in pages.
const COUNTED_MIN: u32 = 128;
/// In smaller ones it is not looked how much their entries share, in pages.
const SHARED_MIN: u32 = 128;
/// Waiting for a lock ends after this, whatever was overlooked.
const LIMITS: &str =
    "/* brasa */ select set_config('lock_timeout', '100', true), set_config('statement_timeout', '30000', true),
    set_config('transaction_read_only', 'on', true)";
/// What Postgres says then.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// A relation was dropped while it was looked at.
const UNDEFINED: [&str; 3] = ["42P01", "42704", "XX000"];

/// The numbers of a table and of its parts, by its name as it is written in SQL; none where it is not there.
///
/// # Errors
/// What Postgres says.
pub async fn tables_named(connection: &mut PgConnection, name: &str) -> Result<Vec<u32>, sqlx::Error> {
    let query = "/* brasa */ select c.oid from pg_class c
        where c.oid = to_regclass($1) and c.relkind in ('r', 'm', 'p')
           or c.oid in (select relid from pg_partition_tree(to_regclass($1)))";
    let found: Vec<Oid> = sqlx::query_scalar(query).bind(name).fetch_all(connection).await?;
    Ok(found.into_iter().map(|oid| oid.0).collect())
}

/// All that is known of indexes, from the catalogue, the counters and the statistics: a few queries, that wait for nobody.
///
/// # Errors
/// What Postgres says.
pub async fn look(connection: &mut PgConnection, scope: Scope<'_>) -> Result<Vec<Index>, sqlx::Error> {
    let (found, known, page) = facts(connection, scope).await?;
    Ok(found.into_iter().map(|found| found.judged(&known, page, None)).collect())
}

/// The same, and where an estimate hangs on how many different keys there are and nobody has counted them, some pages of
/// the table are read.
///
/// # Errors
/// What Postgres says.
pub async fn look_closer(connection: &mut PgConnection, scope: Scope<'_>) -> Result<Vec<Index>, sqlx::Error> {
    let (mut found, known, page) = facts(connection, scope).await?;
    let mut counting = Counting::new();
    let mut counted = vec![None; found.len()];
    let mut doubtful: Vec<usize> = (0..found.len()).collect();
    doubtful.retain(|place| found.get(*place).is_some_and(|found| found.is_doubtful(&known, page)));
    // The largest first: there is time for a few.
    doubtful.sort_by_key(|place| Reverse(found.get(*place).and_then(|found| found.index.bytes())));
    for place in doubtful {
        if let (Some(found), Some(counted)) = (found.get(place), counted.get_mut(place)) {
            *counted = counting.count(connection, found.index.table_oid, &found.columns).await?;
        }
    }
    Ok(found.drain(..).zip(counted).map(|(found, counted)| found.judged(&known, page, counted)).collect())
}

async fn facts(
    connection: &mut PgConnection,
    scope: Scope<'_>,
) -> Result<(Vec<Found>, Known, u32), sqlx::Error> {
    let mut tries = 1;
    loop {
        match attempt(connection, scope).await {
            Err(sqlx::Error::Database(error)) if tries < TRIES && is_passing(error.code().as_deref()) => {
                tries += 1;
            }
            answer => return answer,
        }
    }
}

fn is_passing(code: Option<&str>) -> bool {
    code.is_some_and(|code| code == LOCK_NOT_AVAILABLE || UNDEFINED.contains(&code))
}

async fn attempt(
    connection: &mut PgConnection,
    scope: Scope<'_>,
) -> Result<(Vec<Found>, Known, u32), sqlx::Error> {
    let oids = |numbers: &[u32]| numbers.iter().copied().map(Oid).collect::<Vec<_>>();
    let (tables, indexes) = match scope {
        Scope::All => (None, None),
        Scope::Tables(tables) => (Some(oids(tables)), None),
        Scope::Indexes(indexes) => (None, Some(oids(indexes))),
    };
    let mut transaction = connection.begin().await?;
    sqlx::query(LIMITS).execute(&mut *transaction).await?;
    let query = sqlx::query_scalar("/* brasa */ select current_setting('block_size')::int");
    let page = query.fetch_one(&mut *transaction).await.map(i32::unsigned_abs)?;
    let found = catalogue::read(&mut transaction, tables.as_deref(), indexes.as_deref()).await?;
    let trees = found.iter().filter(|found| found.refusal(page).is_none());
    let (mut tables, mut columns) = (BTreeSet::new(), BTreeSet::new());
    for found in trees {
        tables.insert(found.index.table_oid);
        columns.extend(found.columns.iter().zip(1..).map(|(column, place)| found.source(*column, place)));
    }
    let tables: Vec<Oid> = tables.into_iter().map(Oid).collect();
    let columns: Vec<(Oid, i16)> =
        columns.into_iter().map(|(relation, place)| (Oid(relation), place)).collect();
    let known = Known::read(&mut transaction, &tables, &columns).await?;
    transaction.rollback().await?;
    Ok((found, known, page))
}

impl Found {
    /// Where ANALYZE keeps what it knows of a column: with the table, or with the index for an expression.
    fn source(&self, column: i16, place: i16) -> (u32, i16) {
        if column > 0 { (self.index.table_oid, column) } else { (self.index.oid, place) }
    }

    /// Why there can be no estimate, whatever the statistics say.
    fn refusal(&self, page: u32) -> Option<Withheld> {
        let index = &self.index;
        if index.is_partitioned || !index.is_valid || !index.is_live || index.size == Size::Locked {
            return Some(Withheld::NotThere);
        }
        if index.method != "btree" {
            return Some(Withheld::Method);
        }
        if index.tuples.is_none() || self.table_tuples < 0.0 {
            return Some(Withheld::NeverLooked);
        }
        self.is_stale(page).then_some(Withheld::Stale)
    }

    /// Whether what was looked at is no longer what is there. The counter of changes is lost in a crash, the size is not.
    fn is_stale(&self, page: u32) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a number of pages")]
        let pages = self.index.bytes().unwrap_or_default() as f64 / f64::from(page);
        self.changed > STALE * self.table_tuples.max(100.0) || pages > self.pages * GROWN.0 + GROWN.1
    }

    /// With its estimate.
    fn judged(self, known: &Known, page: u32, counted: Option<Counted>) -> Index {
        if let Some(why) = self.refusal(page) {
            return Index { estimate: Err(why), ..self.index };
        }
        let tree = Tree { counted, ..self.tree(known, page) };
        let bytes = self.index.bytes().unwrap_or_default();
        let estimate = tree.estimate().map(|estimate| self.aged(estimate)).map(|mut estimate| {
            // Of what is known so badly, it is known at least that a new one is no larger.
            if estimate.trust == Trust::Low {
                estimate.bytes = estimate.bytes.min(bytes);
            }
            estimate
        });
        let is_large = bytes >= u64::from(SHARED_MIN * page) && estimate.is_ok();
        Index { estimate, unshared: is_large.then(|| tree.unshared()).flatten(), ..self.index }
    }

    /// Whether it is worth a look at the table how many different keys there are: a rebuild could give something back, and
    /// it is not known whether it does.
    fn is_doubtful(&self, known: &Known, page: u32) -> bool {
        let bytes = self.index.bytes().unwrap_or_default();
        if self.refusal(page).is_some() || bytes < u64::from(COUNTED_MIN * page) {
            return false;
        }
        let tree = self.tree(known, page);
        let is_plain = |key: &Key| key.column.is_some() && key.class.starts_with("pg_catalog.");
        let is_unknown = self.index.keys.iter().all(is_plain)
            && tree.estimate().is_ok_and(|estimate| estimate.trust == Trust::Low);
        is_unknown && tree.least().is_some_and(|least| least < bytes - bytes / 10)
    }

    fn aged(&self, estimate: Estimate) -> Estimate {
        let is_aged = !self.is_analyzed || self.changed > AGED * self.table_tuples;
        Estimate { trust: estimate.trust.min(if is_aged { Trust::Medium } else { Trust::High }), ..estimate }
    }

    fn tree(&self, known: &Known, page: u32) -> Tree {
        let index = &self.index;
        let columns = self.columns.iter().zip(&self.layouts).zip(&self.not_nulls).zip(1..);
        let columns = columns.map(|(((column, layout), not_null), place)| {
            let (relation, source) = self.source(*column, place);
            let says = self.predicate_says(*column, place);
            Column {
                layout: *layout,
                is_expression: *column == 0,
                is_full: *not_null || says == Says::Full || says == Says::One,
                is_one: says == Says::One,
                is_restricted: says == Says::Something,
                statistics: known.column(relation, source).cloned(),
            }
        });
        let keys = index.keys.len();
        let joint = known.joint(index.table_oid, self.columns.get(..keys).unwrap_or_default());
        let rows = self.table_tuples.max(1.0);
        Tree {
            tuples: index.tuples.unwrap_or_default(),
            page,
            fillfactor: index.fillfactor,
            deduplicates: self.is_equal_image && index.deduplicates && !index.is_unique,
            is_partial: index.predicate.is_some(),
            columns: columns.collect(),
            keys,
            sample: Sample { rows, seen: known.seen(index.table_oid).min(rows) },
            joint,
            counted: None,
        }
    }

    /// What the predicate says of a column, where it is one of the simple ones that most are.
    fn predicate_says(&self, column: i16, place: i16) -> Says {
        let Some(predicate) = self.index.predicate.as_deref() else { return Says::Nothing };
        if !self.predicate_columns.contains(&column) {
            return Says::Nothing;
        }
        let name =
            usize::try_from(place - 1).ok().and_then(|place| self.index.keys.get(place)).map(|key| &key.text);
        let Some(name) = name else { return Says::Something };
        if predicate.contains(" OR ") {
            return Says::Something;
        }
        if predicate.contains(&format!("({name} = ")) || predicate.contains(&format!("(({name})::text = ")) {
            return if predicate.contains("ANY (") { Says::Something } else { Says::One };
        }
        if predicate.contains(&format!("({name} IS NOT NULL)")) { Says::Full } else { Says::Something }
    }
}

/// What a predicate says of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Nothing,
    /// It is not NULL.
    Full,
    /// It has one value.
    One,
    /// Something else.
    Something,
}
