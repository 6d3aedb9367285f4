//! Indexes of every nature that a rebuild may meet.

/// A table with an index that is to be rebuilt.
#[derive(Debug, Clone)]
pub struct Shape {
    /// What is special about it.
    pub name: &'static str,
    /// Makes the table and its index.
    pub sql: String,
    /// The table that the index is on, as it is written in SQL.
    pub table: String,
    /// The index, as it is written in SQL.
    pub index: String,
}

/// A name that is as long as names may be, with a quote in it, and one whose characters are two bytes each.
fn names() -> (String, String) {
    (format!("\"a long \"\"name\"\" {}\"", "x".repeat(63 - 14)), format!("\"{}\"", "é".repeat(31)))
}

/// All of them. What is in the tables is mostly gone, so that a rebuild is worth it.
pub fn shapes() -> Vec<Shape> {
    let (long, wide) = names();
    let shape = |name, sql: String, table: &str, index: &str| Shape {
        name,
        sql: format!(
            "{sql}; insert into items (id, k) select n, n % 5000 from generate_series(1, 5000) n;
             delete from items where id % 10 > 0; vacuum analyze items"
        ),
        table: table.to_owned(),
        index: index.to_owned(),
    };
    let items = "create table items (id int, k int, note text)";
    vec![
        shape("plain", format!("{items}; create index items_k on items (k)"), "items", "items_k"),
        shape("unique", format!("{items}; create unique index items_id on items (id)"), "items", "items_id"),
        shape(
            "of a primary key that others refer to",
            "create table items (id int primary key, k int, note text); create table parts (item int references items)"
                .to_owned(),
            "items",
            "items_pkey",
        ),
        shape(
            "of a constraint that is checked at the end",
            "create table items (id int, k int, note text, constraint items_id unique (id) deferrable initially deferred)"
                .to_owned(),
            "items",
            "items_id",
        ),
        shape("of a long name", format!("{items}; create index {long} on items (k)"), "items", &long),
        shape("of a name in two bytes", format!("{items}; create index {wide} on items (k)"), "items", &wide),
        shape(
            "of a part",
            "create table items (id int, k int, note text) partition by range (id);
             create table low partition of items for values from (0) to (10000); create index items_k on items (k)"
                .to_owned(),
            "low",
            "low_k_idx",
        ),
    ]
}
