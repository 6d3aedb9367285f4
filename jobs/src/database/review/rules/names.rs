//! Names for indexes that are proposed, and the statements that make and drop indexes.

use std::collections::{BTreeMap, BTreeSet};

use brasa_shared::db::{literal, quoted};
use brasa_shared::hash::fnv1a;

use crate::database::indexes::Index;
use crate::database::review::facts::Facts;

/// How long a name may be, in bytes.
const NAME_MAX: usize = 63;

/// An index that is proposed.
#[derive(Debug, Clone)]
pub(super) struct Proposal<'a> {
    pub(super) schema: &'a str,
    /// The table without its schema, as it is called.
    pub(super) bare: &'a str,
    /// The table, as it is written in SQL.
    pub(super) table: &'a str,
    pub(super) columns: &'a [String],
}

/// The names that are taken, and those that a review gives: one to each index that it proposes, whichever rule does.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<(String, String)>,
    given: BTreeMap<(String, String, Vec<String>), String>,
}

impl Names {
    /// All that are taken and given by a review of these facts.
    pub(super) fn of(facts: &Facts) -> Self {
        let of_indexes = facts.indexes.iter().map(|index| (index.schema.clone(), index.bare.clone()));
        let taken = of_indexes.chain(facts.relations.iter().cloned()).collect();
        let mut names = Self { taken, ..Self::default() };
        super::foreign_keys::name(facts, &mut names);
        super::scans::name(facts, &mut names);
        names
    }

    /// A name that no relation of the schema has, and no other proposed index gets.
    pub(super) fn give(&mut self, proposal: &Proposal<'_>) -> String {
        let (schema, bare) = (proposal.schema.to_owned(), proposal.bare.to_owned());
        let key = (schema.clone(), bare, proposal.columns.to_vec());
        if let Some(name) = self.given.get(&key) {
            return name.clone();
        }
        let wished = format!("{}_{}_idx", proposal.bare, proposal.columns.join("_"));
        let mut name = clipped(&wished, "");
        let mut number = 1;
        while !self.taken.insert((schema.clone(), name.clone())) {
            name = clipped(&wished, &number.to_string());
            number += 1;
        }
        self.given.insert(key, name.clone());
        name
    }

    /// The statement that makes it without blocking writes, and the one that drops it again.
    pub(super) fn statements(&mut self, proposal: &Proposal<'_>) -> (String, String) {
        let name = quoted(&self.give(proposal));
        let columns: Vec<String> = proposal.columns.iter().map(|column| quoted(column)).collect();
        let make =
            format!("CREATE INDEX CONCURRENTLY {name} ON {} ({});", proposal.table, columns.join(", "));
        (make, format!("DROP INDEX CONCURRENTLY {}.{name};", quoted(proposal.schema)))
    }
}

/// A name with an ending that is as long as a name may be. What is cut off is told apart by a hash.
fn clipped(name: &str, ending: &str) -> String {
    if name.len() + ending.len() <= NAME_MAX {
        return format!("{name}{ending}");
    }
    let hash = format!("_{:08x}_idx{ending}", fnv1a(name) >> 32);
    let mut end = NAME_MAX - hash.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{hash}", name.get(..end).unwrap_or_default())
}

/// The statement that drops an index: without blocking writes, where the server can do that.
pub(super) fn drop_index(index: &Index) -> String {
    // The common index of a partitioned table is dropped with those of its parts, which nothing does concurrently.
    let how = if index.is_partitioned { "" } else { " CONCURRENTLY" };
    format!("DROP INDEX{how} {};", index.name)
}

/// The statement that makes an index again after it was dropped.
pub(super) fn make_again(index: &Index) -> String {
    let text = index.definition.trim_end_matches(';');
    if index.is_partitioned {
        // What the catalogue gives would make it on the partitioned table alone.
        return format!("{};", text.replacen(" ON ONLY ", " ON ", 1));
    }
    let make = format!("{};", text.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1));
    match &index.tablespace {
        None => make,
        // What the catalogue gives does not say where it lies.
        Some(name) => {
            format!("SET default_tablespace = {};\n{make}\nRESET default_tablespace;", literal(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::review::rules::cover::tests::index;

    #[test]
    fn a_proposal_has_a_name_that_is_free_and_not_too_long() {
        let columns = ["customer".to_owned()];
        let wanted = Proposal { schema: "public", bare: "orders", table: "public.orders", columns: &columns };
        let (make, undo) = Names::default().statements(&wanted);
        assert_eq!(make, r#"CREATE INDEX CONCURRENTLY "orders_customer_idx" ON public.orders ("customer");"#);
        assert_eq!(undo, r#"DROP INDEX CONCURRENTLY "public"."orders_customer_idx";"#);
        let name = ("public".to_owned(), "orders_customer_idx".to_owned());
        let facts = Facts { relations: vec![name], ..Facts::default() };
        let (make, _) = Names::of(&facts).statements(&wanted);
        assert!(make.contains(r#""orders_customer_idx1""#), "a table may be called so: {make}");
        let facts = Facts { indexes: vec![index("orders_customer_idx", &["x"])], ..Facts::default() };
        assert!(Names::of(&facts).statements(&wanted).0.contains(r#""orders_customer_idx1""#));
        let long = "ü".repeat(31);
        let (make, _) = Names::default().statements(&Proposal { bare: &long, ..wanted });
        let name = make.split('"').nth(1).unwrap();
        assert!(name.len() <= 63 && name.ends_with("_idx"), "{name}");
    }

    #[test]
    fn an_index_is_made_again_where_it_lay() {
        let away = Index { tablespace: Some("fast disk".to_owned()), ..index("i", &["a"]) };
        assert_eq!(
            make_again(&away).lines().collect::<Vec<_>>(),
            [
                "SET default_tablespace = 'fast disk';",
                "CREATE INDEX CONCURRENTLY i ON public.t USING btree (a);",
                "RESET default_tablespace;",
            ]
        );
    }

    #[test]
    fn two_that_would_be_called_the_same_get_names_of_their_own() {
        let part = |bare, columns| Proposal { schema: "public", bare, table: bare, columns };
        let (short, long) = (["c".to_owned()], ["b_c".to_owned()]);
        let mut names = Names::default();
        assert_eq!(names.give(&part("a", &long)), "a_b_c_idx");
        assert_eq!(names.give(&part("a_b", &short)), "a_b_c_idx1");
        assert_eq!(names.give(&part("a", &long)), "a_b_c_idx", "it is the same index");
    }
}
