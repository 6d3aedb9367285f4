//! Names for indexes that are proposed, and the statements that make and drop indexes.

use brasa_shared::db::{literal, quoted};
use brasa_shared::hash::fnv1a;

use crate::database::indexes::Index;

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

impl Proposal<'_> {
    /// A name that no index of the schema has.
    fn name(&self, known: &[Index]) -> String {
        let wished = format!("{}_{}_idx", self.bare, self.columns.join("_"));
        let is_free =
            |name: &str| known.iter().all(|index| index.schema != self.schema || index.bare != name);
        let mut name = clipped(&wished, "");
        let mut number = 1;
        while !is_free(&name) {
            name = clipped(&wished, &number.to_string());
            number += 1;
        }
        name
    }

    /// The statement that makes it without blocking writes, and the one that drops it again.
    pub(super) fn statements(&self, known: &[Index]) -> (String, String) {
        let name = self.name(known);
        let columns: Vec<String> = self.columns.iter().map(|column| quoted(column)).collect();
        let make = format!(
            "CREATE INDEX CONCURRENTLY {} ON {} ({});",
            quoted(&name),
            self.table,
            columns.join(", ")
        );
        (make, format!("DROP INDEX CONCURRENTLY {}.{};", quoted(self.schema), quoted(&name)))
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
        let (make, undo) = wanted.statements(&[]);
        assert_eq!(make, r#"CREATE INDEX CONCURRENTLY "orders_customer_idx" ON public.orders ("customer");"#);
        assert_eq!(undo, r#"DROP INDEX CONCURRENTLY "public"."orders_customer_idx";"#);
        let taken = [index("orders_customer_idx", &["x"])];
        assert!(wanted.statements(&taken).0.contains(r#""orders_customer_idx1""#));
        let long = "ü".repeat(31);
        let (make, _) = Proposal { bare: &long, ..wanted }.statements(&[]);
        let name = make.split('"').nth(1).unwrap();
        assert!(name.len() <= 63 && name.ends_with("_idx"), "{name}");
    }
}
