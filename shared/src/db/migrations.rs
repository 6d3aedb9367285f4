//! The migrations of schema `brasa`, embedded one line each.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The table that records what has run; in our own schema, not among the application's tables.
pub(crate) const RECORD: &str = "brasa._sqlx_migrations";

/// Version, description, text. Forward only; see `migrations/README.md`.
const ALL: &[(i64, &str, &str)] = &[
    (1, "create schema", include_str!("../../../migrations/0001_create_schema.sql")),
    (2, "create outbox", include_str!("../../../migrations/0002_create_outbox.sql")),
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
