//! The migrations of schema `brasa`, embedded one line each.

use std::collections::BTreeSet;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Executor as _, PgConnection, Row as _, SqlSafeStr};

/// The table that records what has run; in our own schema, not among the application's tables.
pub(crate) const RECORD: &str = "brasa._sqlx_migrations";

/// Version, description, text. Forward only; see `migrations/README.md`.
const ALL: &[(i64, &str, &str)] = &[
    (1, "create schema", include_str!("../../../migrations/0001_create_schema.sql")),
    (2, "create outbox", include_str!("../../../migrations/0002_create_outbox.sql")),
    (3, "create cache log", include_str!("../../../migrations/0003_create_cache_log.sql")),
    (4, "create writes", include_str!("../../../migrations/0004_create_writes.sql")),
    (5, "create aggregates", include_str!("../../../migrations/0005_create_aggregates.sql")),
    (6, "number writes", include_str!("../../../migrations/0006_number_writes.sql")),
    (7, "create care ledger", include_str!("../../../migrations/0007_create_care_ledger.sql")),
    (8, "create care history", include_str!("../../../migrations/0008_create_care_history.sql")),
    (
        9,
        "create care recommendations",
        include_str!("../../../migrations/0009_create_care_recommendations.sql"),
    ),
    (10, "create owner", include_str!("../../../migrations/0010_create_owner.sql")),
    (11, "create audit", include_str!("../../../migrations/0011_create_audit.sql")),
    (12, "create history", include_str!("../../../migrations/0012_create_history.sql")),
    (13, "trace outbox", include_str!("../../../migrations/0013_trace_outbox.sql")),
];

/// What `brasa migrate` runs.
pub(crate) fn migrator() -> Migrator {
    let migrations = ALL.iter().map(|&(version, description, sql)| {
        let alone = sql.starts_with("-- no-transaction");
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), alone)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.create_schema("brasa");
    migrator.dangerous_set_table_name(RECORD);
    migrator
}

/// How far schema `brasa` is, compared with what this build has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether there is a record of migrations at all.
    pub is_there: bool,
    /// Migrations of this build that have not run.
    pub missing: usize,
    /// Migrations that ran and that this build does not know: a newer one has been here.
    pub unknown: usize,
}

/// Looks how far schema `brasa` is, without changing anything. In the simple protocol, so that poolers of
/// every kind can be asked through.
///
/// # Errors
/// The database is out of reach, or the role may not look.
pub async fn standing(connection: &mut PgConnection) -> Result<Standing, sqlx::Error> {
    let ask = "select to_regclass('brasa._sqlx_migrations') is not null";
    let is_there: bool = connection.fetch_one(ask).await?.try_get(0)?;
    let known: BTreeSet<i64> = ALL.iter().map(|(version, ..)| *version).collect();
    if !is_there {
        return Ok(Standing { is_there, missing: known.len(), unknown: 0 });
    }
    let rows = connection.fetch_all("select version from brasa._sqlx_migrations where success").await?;
    let ran = rows.iter().map(|row| row.try_get(0)).collect::<Result<BTreeSet<i64>, _>>()?;
    let (missing, unknown) = (known.difference(&ran).count(), ran.difference(&known).count());
    Ok(Standing { is_there, missing, unknown })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_migration_file_is_embedded_under_its_number() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.rsplit_once('.').is_some_and(|(_, kind)| kind == "sql"));
        names.sort();
        let known = super::ALL
            .iter()
            .map(|(version, description, _)| format!("{version:04}_{}.sql", description.replace(' ', "_")));
        assert_eq!(names, known.collect::<Vec<_>>());
    }
}
