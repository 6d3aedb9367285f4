//! The text of the functions and triggers of one table.
//!
//! What a function may never do is to make a statement of the application fail. So columns that are not there
//! any more are caught, names are taken from nowhere but the catalogue and our schema, and everything is in
//! quotes.

use crate::db::changes::triggers::catalog::Relation;
use crate::db::{literal, quoted};
use crate::hash::fnv1a;

/// More different values than this in one statement are written down as "every row".
const KEYS_MAX: usize = 1_000;

/// What makes the text of a value the same in every session. Not needed by types whose text is always the
/// same.
const TEXT_SETTINGS: &str = "
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'";

/// What happens to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Insert,
    Update,
    Delete,
    Truncate,
}

impl Event {
    pub(super) const ALL: [Self; 4] = [Self::Insert, Self::Update, Self::Delete, Self::Truncate];

    fn word(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }

    /// The rows that a function sees.
    fn tables(self) -> &'static str {
        match self {
            Self::Insert => " referencing new table as new_rows",
            Self::Update => " referencing old table as old_rows new table as new_rows",
            Self::Delete => " referencing old table as old_rows",
            Self::Truncate => "",
        }
    }

    /// Those of them that are there if any row was touched.
    fn touched(self) -> &'static str {
        if self == Self::Delete { "old_rows" } else { "new_rows" }
    }
}

/// The columns that something depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Keys {
    /// What the log calls them.
    pub(super) dep: String,
    /// None where every row is meant.
    pub(super) columns: Vec<Column>,
}

/// A column, and whether its text is the same in every session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_plain: bool,
}

/// The functions and triggers of one table.
#[derive(Debug)]
pub(super) struct Definition {
    /// The table, as people are shown it.
    pub(super) table: String,
    keys: Vec<Keys>,
    /// Says which table it is.
    pub(super) id: String,
    /// Says what the functions do.
    version: String,
}

impl Definition {
    pub(super) fn new(table: String, mut keys: Vec<Keys>) -> Self {
        keys.sort();
        keys.dedup_by(|one, other| one.dep == other.dep);
        let id = format!("{:016x}", fnv1a(&table));
        let mut made = Self { table, keys, id, version: String::new() };
        let text: String = Event::ALL.iter().map(|event| made.header() + &made.body(*event)).collect();
        made.version = format!("{:016x}", fnv1a(&text));
        made
    }

    pub(super) fn trigger(&self, event: Event) -> String {
        format!("cache_{}_{}", event.word(), self.id)
    }

    pub(super) fn function(&self, event: Event) -> String {
        format!("cache_{}_{}_{}", event.word(), self.id, self.version)
    }

    /// What makes a function ours alone, and what it is.
    pub(super) fn create_function(&self, event: Event) -> [String; 3] {
        let (name, body) = (self.function(event), self.body(event));
        let mut tag = "$brasa$".to_owned();
        while body.contains(&tag) {
            tag.insert(1, '_');
        }
        let create = format!("create or replace function brasa.{name}() returns trigger{}", self.header());
        let what = format!("Tells the cache of each {} of {}. Made by Brasa.", event.word(), self.table);
        [
            format!("{create}\nas {tag}{body}{tag}"),
            format!("revoke all on function brasa.{name}() from public"),
            format!("comment on function brasa.{name}() is {}", literal(&what)),
        ]
    }

    /// From Postgres 14 on a trigger can be replaced without the lock that readers wait for.
    pub(super) fn create_trigger(&self, event: Event, on: &Relation, may_replace: bool) -> String {
        format!(
            "create {}trigger {} after {} on {}{} for each statement execute function brasa.{}()",
            if may_replace { "or replace " } else { "" },
            self.trigger(event),
            event.word(),
            on.quoted(),
            event.tables(),
            self.function(event),
        )
    }

    /// Says that every row may have changed: what was cached before there were triggers is not to be
    /// believed.
    pub(super) fn begin_anew(&self) -> String {
        let rows: Vec<_> = self.keys.iter().map(|keys| format!("({})", literal(&keys.dep))).collect();
        format!("insert into brasa.cache_log (dep) values {}", rows.join(", "))
    }

    fn header(&self) -> String {
        let is_plain = self.keys.iter().flat_map(|keys| &keys.columns).all(|column| column.is_plain);
        let settings = if is_plain { "" } else { TEXT_SETTINGS };
        format!("\nlanguage plpgsql security definer\nset search_path = pg_catalog, brasa, pg_temp{settings}")
    }

    /// What stands between the dollars.
    pub(super) fn body(&self, event: Event) -> String {
        if event == Event::Truncate {
            return format!("\nbegin\n    {};\n    return null;\nend\n", self.begin_anew());
        }
        let (chosen, whole): (Vec<_>, Vec<_>) = self.keys.iter().partition(|keys| !keys.columns.is_empty());
        let variables = (1..=chosen.len()).map(|place| format!("\n    keys{place} text[];"));
        let whole = whole.iter().map(|keys| {
            let (dep, rows) = (literal(&keys.dep), event.touched());
            format!("\n    insert into brasa.cache_log (dep) select {dep} where exists (select from {rows});")
        });
        let mut text = vec!["\ndeclare".to_owned()];
        text.extend(variables);
        text.push("\nbegin".to_owned());
        if !chosen.is_empty() {
            text.push(read_all(&chosen, event));
        }
        text.extend(chosen.iter().enumerate().map(|(place, keys)| append(keys, place + 1)));
        text.extend(whole);
        text.push("\n    return null;\nend\n".to_owned());
        text.concat()
    }
}

/// Reads the different values of all lists of columns.
fn read_all(chosen: &[&Keys], event: Event) -> String {
    let reads = chosen.iter().enumerate();
    let reads =
        reads.map(|(place, keys)| format!("        keys{} := array({});\n", place + 1, values(keys, event)));
    let forget = (1..=chosen.len()).map(|place| format!("        keys{place} := null;\n"));
    let deps: Vec<_> = chosen.iter().map(|keys| literal(&keys.dep)).collect();
    format!(
        "
    begin
{}    exception when undefined_column then
        -- One was renamed or dropped: the statement goes on, and every row may have changed.
{}        insert into brasa.cache_log (dep) select unnest(array[{}]) where exists (select from {});
    end;",
        reads.collect::<String>(),
        forget.collect::<String>(),
        deps.join(", "),
        event.touched()
    )
}

/// The different values of a list of columns. Where there is more than one column, each is the text of an
/// array. In the collation that takes no two texts for the same.
fn values(keys: &Keys, event: Event) -> String {
    let each = |make: &dyn Fn(&Column) -> String, between: &str| {
        keys.columns.iter().map(make).collect::<Vec<_>>().join(between)
    };
    let from = match event {
        Event::Update => {
            let columns = each(&|column| format!("one.{}", quoted(&column.name)), ", ");
            format!("(select {columns} from old_rows one union all select {columns} from new_rows one)")
        }
        _ => event.touched().to_owned(),
    };
    let is_there = each(&|column| format!("changed.{} is distinct from null", quoted(&column.name)), " and ");
    let texts = each(&text_of, ", ");
    let value = if keys.columns.len() == 1 { texts } else { format!("array[{texts}]::text") };
    format!(
        "select distinct {value} collate \"C\" from {from} changed where {is_there} limit {}",
        KEYS_MAX + 1
    )
}

/// The text of a column. A cast could call a function of whoever made the type, which would run with our
/// rights.
fn text_of(column: &Column) -> String {
    let name = quoted(&column.name);
    if column.is_plain { format!("changed.{name}::text") } else { format!("format('%s', changed.{name})") }
}

/// Appends what was read for one list of columns.
fn append(keys: &Keys, place: usize) -> String {
    let dep = literal(&keys.dep);
    let is_one = keys.columns.len() == 1;
    let only = if is_one { format!("keys{place}") } else { format!("keys{place}[1]::text[]") };
    let each = if is_one { "array[key]" } else { "key::text[]" };
    format!(
        "
    if cardinality(keys{place}) = 1 then
        insert into brasa.cache_log (dep, keys) values ({dep}, {only});
    elsif cardinality(keys{place}) > {KEYS_MAX} then
        insert into brasa.cache_log (dep) values ({dep});
    elsif cardinality(keys{place}) > 1 then
        insert into brasa.cache_log (dep, keys) select {dep}, {each} from unnest(keys{place}) as key;
    end if;"
    )
}
