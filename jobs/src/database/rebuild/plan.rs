//! What would be rebuilt, and why nothing else would.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use brasa_shared::config::Indexes;
use sqlx::PgConnection;

use super::choose::{Beside, Choice, Reason, choose, choose_named};
use super::past::{Pasts, recall};
use super::upserts::{HasUpserts, upserts};
use super::{disk, past};
use crate::database::indexes::{Index, Scope, exact, look_closer};

/// Of how many bytes of indexes the pages are read in one plan at most.
const READ_MAX: u64 = 4 << 30;

/// An index, and what is to become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The index.
    pub index: Index,
    /// What is to become of it.
    pub choice: Choice,
}

/// What is to become of all indexes: those that are rebuilt first, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// All that were looked at.
    pub items: Vec<Item>,
    /// What the plan is known by: it is another one as soon as an index that is to be rebuilt is another.
    pub hash: String,
    /// How many more are worth a rebuild than a run does.
    pub left_over: usize,
}

impl Item {
    /// The statement that rebuilds it.
    pub fn statement(&self) -> String {
        let beside = if self.choice.is_blocking { "" } else { "concurrently " };
        format!("reindex index {beside}{}", self.index.name)
    }

    /// What somebody agrees to who agrees to it: its number, and whether writes wait for it meanwhile.
    pub fn agreement(&self) -> (u32, bool) {
        (self.index.oid, self.choice.is_blocking)
    }
}

impl Plan {
    /// Those that are worth a rebuild, in order.
    pub fn chosen(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.choice.reason == Reason::Chosen)
    }

    /// Those that one run is to rebuild, in order: these are what the plan is known by.
    pub fn to_build(&self, rules: &Indexes) -> impl Iterator<Item = &Item> {
        self.chosen().take(rules.builds_max as usize)
    }
}

const HASH: &str = "/* brasa */ select left(encode(sha256(convert_to($1, 'UTF8')), 'hex'), 12)";
const NAMED: &str =
    "/* brasa */ select c.oid::bigint, c.relkind::text from pg_class c where c.oid = to_regclass($1)";

/// Looks at all indexes and says what is to become of each. Nothing is changed. `work` is of the role that rebuilds, `notes`
/// of the one that owns schema `brasa`.
///
/// # Errors
/// What Postgres says.
pub async fn plan(
    work: &mut PgConnection,
    notes: &mut PgConnection,
    rules: &Indexes,
    named: &[String],
) -> Result<Result<Plan, String>, sqlx::Error> {
    let numbers = match find(work, named).await? {
        Ok(numbers) => numbers,
        Err(why) => return Ok(Err(why)),
    };
    let scope = if named.is_empty() { Scope::All } else { Scope::Indexes(&numbers) };
    let indexes = look_closer(work, scope).await?;
    let known = Known {
        pasts: recall(notes, &indexes).await?,
        upserts: upserts(work, notes, &indexes, rules).await?,
        knows_disk: disk::free(work, rules.disk).await?.is_some(),
    };
    let mut items = Vec::new();
    let mut to_read = READ_MAX;
    for index in indexes {
        let mut beside = known.beside(&index);
        let decide = |beside: &Beside| {
            if named.is_empty() { choose(&index, beside, rules) } else { choose_named(&index, beside, rules) }
        };
        let mut choice = decide(&beside);
        let bytes = index.bytes().unwrap_or(u64::MAX);
        // Only where one thing says so is it worth to read all its pages.
        if choice.reason == Reason::OneSign && bytes <= to_read {
            beside.pages = exact(work, &index).await?;
            to_read -= bytes;
            choice = decide(&beside);
        }
        items.push(Item { index, choice });
    }
    Ok(Ok(finish(work, items, rules).await?))
}

/// What gives back most for its size comes first; what there is no time for is left for the next run.
async fn finish(work: &mut PgConnection, mut items: Vec<Item>, rules: &Indexes) -> Result<Plan, sqlx::Error> {
    let gain = |item: &Item| item.choice.gain.map_or(0, |(gain, _)| gain);
    let is_chosen = |item: &Item| item.choice.reason == Reason::Chosen;
    items.sort_by_key(|item| Reverse((is_chosen(item), gain(item))));
    let mut plan = Plan { items, ..Plan::default() };
    let line = |item: &Item| format!("{}\t{}\t{}", item.statement(), item.index.oid, item.index.signature);
    let mut text: Vec<String> = plan.to_build(rules).map(line).collect();
    text.sort_unstable();
    plan.left_over = plan.chosen().count() - text.len();
    plan.hash = sqlx::query_scalar(HASH).bind(text.join("\n")).fetch_one(work).await?;
    Ok(plan)
}

struct Known {
    pasts: Pasts,
    upserts: BTreeMap<u32, HasUpserts>,
    knows_disk: bool,
}

impl Known {
    fn beside(&self, index: &Index) -> Beside {
        let past: Option<&past::Past> = self.pasts.get(&(index.schema.clone(), index.bare.clone()));
        Beside {
            past: past.copied().unwrap_or_default(),
            pages: None,
            upserts: self.upserts.get(&index.table_oid).copied().unwrap_or_default(),
            knows_disk: self.knows_disk,
        }
    }
}

/// The numbers of the indexes that somebody named, as they are written in SQL.
async fn find(work: &mut PgConnection, named: &[String]) -> Result<Result<Vec<u32>, String>, sqlx::Error> {
    let mut numbers = Vec::new();
    for name in named {
        let row: Option<(i64, String)> = sqlx::query_as(NAMED).bind(name).fetch_optional(&mut *work).await?;
        match row {
            Some((oid, kind)) if kind == "i" || kind == "I" => numbers.extend(u32::try_from(oid)),
            Some(_) => return Ok(Err(format!("`{name}` is no index: name the index itself"))),
            None => return Ok(Err(format!("there is no index `{name}` that this role can see"))),
        }
    }
    Ok(Ok(numbers))
}
