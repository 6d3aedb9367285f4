//! Whether indexes do what another one, or a foreign key, needs.

use crate::database::indexes::{Index, Key, Size};
use crate::database::review::facts::{Facts, ForeignKey};

/// Queries may use it, and it stays.
pub(super) fn is_usable(index: &Index) -> bool {
    index.is_valid && index.is_ready && index.is_live && !index.is_being_built
}

/// Whether all of it is known. Of one that somebody has locked the conditions and expressions are not, so it is neither
/// held against others nor dropped.
pub(super) fn is_told(index: &Index) -> bool {
    index.size != Size::Locked && !index.definition.is_empty()
}

/// Whether a table has an index of which not all is known.
pub(super) fn is_in_the_dark(facts: &Facts, table: u32) -> bool {
    facts.indexes.iter().any(|index| index.table_oid == table && !is_told(index))
}

/// Whether an index finds all rows that refer to a row: its first columns are those of the key, in any order, compared
/// as the columns are. In a part of the table they may have other numbers.
pub(super) fn covers(index: &Index, key: &ForeignKey, numbers: &[i16]) -> bool {
    let leading = index.keys.get(..numbers.len()).unwrap_or_default();
    let has = |(place, number): (usize, &i16)| {
        let collation = key.collations.get(place).cloned().flatten();
        leading.iter().any(|part| part.column == Some(*number) && part.collation == collation)
    };
    is_usable(index)
        && is_told(index)
        && !numbers.is_empty()
        && (index.method == "btree" || index.method == "hash" && numbers.len() == 1)
        && numbers.iter().enumerate().all(has)
        && index.predicate.as_deref().is_none_or(|text| asks_for_presence(text, &key.columns))
}

/// Whether a condition only says that columns of the key are there, which those of a row that refers always are.
fn asks_for_presence(predicate: &str, columns: &[String]) -> bool {
    predicate.split(" AND ").all(|part| {
        let part = part.trim_matches(['(', ')', ' ']);
        let name = part.strip_suffix(" IS NOT NULL").map(|name| name.trim_matches(['(', ')', ' ']));
        name.is_some_and(|name| columns.iter().any(|column| is_name(name, column)))
    })
}

/// Whether this is how a column is written in SQL, with or without quotes.
fn is_name(text: &str, column: &str) -> bool {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\"") == column,
        None => text == column,
    }
}

/// The indexes of a table that find all rows that refer by a foreign key: of the table that has it, or of a part.
pub(super) fn of_key<'f>(facts: &'f Facts, key: &ForeignKey, table: u32) -> Vec<&'f Index> {
    let part = || key.parts.iter().find(|part| part.oid == table).map(|part| &part.numbers);
    let numbers = if key.table_oid == table { Some(&key.numbers) } else { part() };
    let Some(numbers) = numbers else { return Vec::new() };
    let of_table = facts.indexes.iter().filter(|index| index.table_oid == table);
    of_table.filter(|index| covers(index, key, numbers)).collect()
}

/// Whether rows that refer are found by an index: one of the table, or one of each of its parts.
pub(super) fn is_covered(facts: &Facts, key: &ForeignKey) -> bool {
    let in_part = |table: u32| !of_key(facts, key, table).is_empty();
    in_part(key.table_oid) || !key.parts.is_empty() && key.parts.iter().all(|part| in_part(part.oid))
}

/// Whether all that an index can do another one of the same table can do, too: it has the same keys or begins with
/// them.
pub(super) fn does_for(other: &Index, index: &Index) -> bool {
    let begins = || {
        let leading = other.keys.get(..index.keys.len());
        leading.is_some_and(|leading| leading == index.keys.as_slice() || is_reverse(leading, &index.keys))
    };
    let is_longer_btree = index.method == "btree" && begins();
    // Of other methods the parameters say what an index can do: only one that is the same does the same.
    let is_equal = other.keys == index.keys
        && (matches!(&*index.method, "btree" | "hash") || other.signature == index.signature);
    let has = |name: &String| other.included.contains(name) || other.keys.iter().any(|key| key.text == *name);
    other.oid != index.oid
        && other.table_oid == index.table_oid
        && is_usable(other)
        && is_told(other)
        && is_told(index)
        && other.method == index.method
        && other.predicate == index.predicate
        && (is_equal || is_longer_btree)
        && index.included.iter().all(has)
}

/// Whether one is the other read from its end. Of one column only: of more, people who wrote both meant both.
fn is_reverse(one: &[Key], other: &[Key]) -> bool {
    let ([one], [other]) = (one, other) else { return false };
    let turned = Key { is_descending: !one.is_descending, nulls_first: !one.nulls_first, ..one.clone() };
    turned == *other
}

/// Whether two indexes are the same in all but their names.
pub(super) fn is_same(one: &Index, other: &Index) -> bool {
    let includes = |index: &Index| {
        let mut names = index.included.clone();
        names.sort();
        names
    };
    let are_told = is_told(one) && is_told(other);
    are_told
        && one.table_oid == other.table_oid
        && (matches!(&*one.method, "btree" | "hash") || one.signature == other.signature)
        && one.method == other.method
        && one.keys == other.keys
        && one.predicate == other.predicate
        && one.is_unique == other.is_unique
        && one.nulls_not_distinct == other.nulls_not_distinct
        && one.is_immediate == other.is_immediate
        && one.is_exclusion == other.is_exclusion
        && includes(one) == includes(other)
}

#[cfg(test)]
pub(in crate::database::review) mod tests {
    use super::*;
    use crate::database::indexes::Withheld;

    /// A plain index of table 1, whose columns `a`, `b`, `c`, ... have the numbers 1, 2, 3, ...
    pub(in crate::database::review) fn index(name: &str, columns: &[&str]) -> Index {
        let key = |column: &&str| Key {
            text: (*column).to_owned(),
            column: column.bytes().next().map(|letter| i16::from(letter.saturating_sub(b'a')) + 1),
            class: "pg_catalog.int4_ops".to_owned(),
            collation: None,
            is_descending: false,
            nulls_first: false,
            is_not_null: false,
        };
        Index {
            oid: u32::try_from(brasa_shared::hash::fnv1a(name) >> 33).unwrap(),
            table_oid: 1,
            schema: "public".to_owned(),
            bare: name.to_owned(),
            name: format!("public.{name}"),
            table: "public.t".to_owned(),
            method: "btree".to_owned(),
            keys: columns.iter().map(key).collect(),
            included: Vec::new(),
            predicate: None,
            is_unique: false,
            nulls_not_distinct: false,
            is_primary: false,
            is_exclusion: false,
            is_immediate: true,
            is_valid: true,
            is_ready: true,
            is_live: true,
            is_replica_identity: false,
            is_clustered: false,
            constraint: None,
            is_of_extension: false,
            is_of_system: false,
            is_partitioned: false,
            parent: None,
            fillfactor: 90,
            deduplicates: true,
            tablespace: None,
            tuples: Some(1_000_000.0),
            size: Size::Bytes(100 << 20),
            scans: 0,
            read: 0,
            scanned_at: None,
            definition: format!("CREATE INDEX {name} ON public.t USING btree ({})", columns.join(", ")),
            signature: columns.join(","),
            is_being_built: false,
            estimate: Err(Withheld::NoStatistics),
            unshared: None,
        }
    }

    /// A foreign key of table 1.
    pub(in crate::database::review) fn key(columns: &[&str]) -> ForeignKey {
        ForeignKey {
            name: "t_fkey".to_owned(),
            table_oid: 1,
            schema: "public".to_owned(),
            bare: "t".to_owned(),
            table: "public.t".to_owned(),
            target: "public.target".to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            numbers: index("x", columns).keys.iter().filter_map(|key| key.column).collect(),
            collations: vec![None; columns.len()],
            rows: Some(1_000_000.0),
            ..ForeignKey::default()
        }
    }

    #[test]
    fn an_index_covers_a_key_by_its_first_columns_in_any_order() {
        let covered = |columns: &[&str], made: &Index| {
            let key = key(columns);
            covers(made, &key, &key.numbers)
        };
        assert!(covered(&["a", "b"], &index("i", &["b", "a", "c"])));
        assert!(!covered(&["a", "b"], &index("i", &["a", "c", "b"])));
        assert!(!covered(&["a"], &index("i", &["b", "a"])));
        let partial = |text: &str| Index { predicate: Some(text.to_owned()), ..index("i", &["a"]) };
        assert!(covered(&["a"], &partial("(a IS NOT NULL)")));
        assert!(covered(&["a"], &partial("a IS NOT NULL")));
        assert!(!covered(&["a"], &partial("(a > 5)")));
        assert!(!covered(&["a"], &partial("((a IS NOT NULL) AND (b IS NOT NULL))")));
        let mut other = index("i", &["a"]);
        other.keys[0].collation = Some("pg_catalog.\"C\"".to_owned());
        assert!(!covered(&["a"], &other), "the key is compared by another collation");
        assert!(!covered(&["a"], &Index { size: Size::Locked, ..index("i", &["a"]) }));
        assert!(!covered(&["a"], &Index { is_valid: false, ..index("i", &["a"]) }));
        assert!(!covered(&["a"], &Index { method: "brin".to_owned(), ..index("i", &["a"]) }));
        assert!(covered(&["a"], &Index { method: "hash".to_owned(), ..index("i", &["a"]) }));
    }

    #[test]
    fn a_partitioned_table_is_covered_by_an_index_of_each_part() {
        use crate::database::review::facts::Part;
        let part = |oid, number| Part { oid, numbers: vec![number], ..Part::default() };
        let key = ForeignKey { parts: vec![part(2, 1), part(3, 2)], ..key(&["a"]) };
        let of = |table_oid, column| Index { table_oid, oid: table_oid, ..index("i", &[column]) };
        let mut facts = Facts { indexes: vec![of(2, "a")], ..Facts::default() };
        assert!(!is_covered(&facts, &key));
        facts.indexes.push(of(3, "b"));
        assert!(is_covered(&facts, &key), "the column has another number there");
    }
}
