//! Whether rows of equal keys share entries in an index. An index that was built before Postgres 13 has an entry for each row
//! and stays so when the server is upgraded; only its first page tells, which only a superuser may read, by an extension.
//!
//! Most need no look: an index that is smaller than it could be if each row had an entry shares them, whatever its age.

use brasa_shared::db;
use sqlx::{PgConnection, Row as _};

use super::{Facts, Gap, Server, Subject};
use crate::database::indexes::Index;
use crate::database::review::words::many;

/// From this part of its size without shared entries on, an index may have none: pages may be fuller than those of a new one
/// are, and the estimate is off by a little.
const UNSHARED: f64 = 0.85;
/// So many are looked at, the largest.
const MOST: usize = 200;

/// Where the extension is, and whether it is new enough to tell.
const EXTENSION: &str = "/* brasa */ select quote_ident(n.nspname) as schema,
        string_to_array(substring(e.extversion from '^[0-9.]+'), '.')::int[] >= '{1,8}' as tells
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pageinspect'";

/// The indexes that a rebuild would make share their entries, by their numbers, and why it is not known of others.
pub(in crate::database::review) async fn metapages(
    connection: &mut PgConnection,
    server: &Server,
    facts: &Facts,
) -> Result<(Vec<u32>, Option<Gap>), sqlx::Error> {
    let mut suspects: Vec<&Index> = facts.bloated_indexes().filter(|index| may_be_unshared(index)).collect();
    suspects.sort_by_key(|index| std::cmp::Reverse(index.bytes()));
    if suspects.is_empty() {
        return Ok((Vec::new(), None));
    }
    let gap = |rest: &str| {
        let indexes = many(suspects.len(), "index is", "indexes are");
        Gap::new(
            Subject::Metapages,
            format!(
                "{indexes} so large that rows of equal keys may not share entries, as before Postgres 13. {rest}"
            ),
        )
    };
    if !server.is_superuser {
        return Ok((
            Vec::new(),
            Some(gap(
                "Only a superuser with the extension pageinspect can tell; a rebuild gives the room back in any case.",
            )),
        ));
    }
    let found = sqlx::query(EXTENSION).fetch_optional(&mut *connection).await?;
    let Some(found) = found else {
        let gap = gap("The extension pageinspect tells.");
        return Ok((
            Vec::new(),
            Some(Gap { grant: Some("CREATE EXTENSION pageinspect;".to_owned()), ..gap }),
        ));
    };
    if !found.try_get::<bool, _>("tells")? {
        let gap = gap("The extension pageinspect tells from version 1.8 on.");
        let grant = Some("ALTER EXTENSION pageinspect UPDATE;".to_owned());
        return Ok((Vec::new(), Some(Gap { grant, ..gap })));
    }
    let schema: String = found.try_get("schema")?;
    let (mut unshared, mut unread) = (Vec::new(), suspects.len().saturating_sub(MOST));
    for index in suspects.iter().take(MOST) {
        match is_unshared(connection, &schema, index).await {
            Ok(true) => unshared.push(index.oid),
            Ok(false) => {}
            Err(error @ sqlx::Error::Database(_)) => {
                tracing::debug!(%error, index = index.name, "its first page was not read");
                unread += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let rest = format!("The first pages of {unread} of them could not be read now.");
    Ok((unshared, (unread > 0).then(|| gap(&rest).in_part())))
}

/// Whether it is as large as if each row had an entry.
fn may_be_unshared(index: &Index) -> bool {
    let (Some(bytes), Some(unshared)) = (index.bytes(), index.unshared) else { return false };
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let (bytes, unshared) = (bytes as f64, unshared as f64);
    bytes >= unshared * UNSHARED
}

async fn is_unshared(
    connection: &mut PgConnection,
    schema: &str,
    index: &Index,
) -> Result<bool, sqlx::Error> {
    let name = db::array_of_texts(&[&index.name]);
    let sql = format!("/* brasa */ select not allequalimage from {schema}.bt_metap(($1::text[])[1])");
    let rows = db::fetch(connection, &sql, &name.into_iter().collect::<Vec<_>>()).await?;
    rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::indexes::Size;
    use crate::database::review::rules::index_of_tests;

    #[test]
    fn one_that_is_smaller_than_without_shared_entries_shares_them() {
        let of = |bytes: u64, unshared| Index {
            size: Size::Bytes(bytes),
            unshared,
            ..index_of_tests("i", &["a"])
        };
        for (index, may) in [
            (of(100, Some(100)), true),
            (of(500, Some(100)), true),
            (of(90, Some(100)), true),
            (of(80, Some(100)), false),
            (of(100, None), false),
        ] {
            assert_eq!(may_be_unshared(&index), may, "{:?} {:?}", index.size, index.unshared);
        }
    }
}
