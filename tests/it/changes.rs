//! The change log: what triggers and applications write down for the cache, and who takes it from there.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

mod hot;
mod installing;
mod log;
mod logging;
mod parts;
mod removing;
mod rights;
mod snapshots;
mod sql;

use std::time::Duration;

use brasa_shared::db::changes::triggers::{
    Removal, TableState, TriggerError, TriggerPlan, TriggerStatus, install, plan, remove, status,
};
use brasa_shared::db::changes::{Change, ChangeLog, Dependency};
use brasa_shared::db::migrate;
use brasa_tests::World;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

/// So long that what happens in a test did not happen because of it.
const LONG: Duration = Duration::from_secs(10);
/// So short that a test need not wait for it.
const SHORT: Duration = Duration::from_millis(50);

/// The table that most tests write into.
const FLIGHTS: &str = "create table flights (id int primary key, origin text, day date, price numeric)";

/// A world with a change log, and a connection of the application.
struct Scene {
    world: World,
    log: ChangeLog,
    app: PoolConnection<Postgres>,
}

impl Scene {
    /// With the tables that this SQL makes.
    async fn with(tables: &str) -> Self {
        let world = World::new().await;
        migrate(&world.pool).await.unwrap();
        let log = ChangeLog::of(world.pool.clone());
        let app = world.pool.acquire().await.unwrap();
        let mut scene = Self { world, log, app };
        scene.run(tables).await;
        scene
    }

    /// With flights that these things depend on, and nothing in the log.
    async fn watching(dependencies: &[&str]) -> Self {
        let mut scene = Self::with(FLIGHTS).await;
        scene.install(dependencies).await.unwrap();
        scene.take_all().await;
        scene
    }

    async fn run(&mut self, sql: &str) {
        run(&mut self.app, sql).await.unwrap();
    }

    async fn text(&mut self, sql: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *self.app).await.unwrap()
    }

    async fn install(&mut self, dependencies: &[&str]) -> Result<Vec<TriggerPlan>, TriggerError> {
        install(&mut self.app, &read(dependencies), LONG).await
    }

    async fn plan(&mut self, dependencies: &[&str]) -> Result<Vec<TriggerPlan>, TriggerError> {
        plan(&mut self.app, &read(dependencies)).await
    }

    async fn status(&mut self, dependencies: &[&str]) -> TriggerStatus {
        status(&mut self.app, &read(dependencies)).await.unwrap()
    }

    /// How the only table stands.
    async fn state(&mut self, dependencies: &[&str]) -> TableState {
        let mut tables = self.status(dependencies).await.tables;
        assert_eq!(tables.len(), 1, "{tables:?}");
        tables.remove(0).state
    }

    async fn remove(&mut self, only: Option<&[&str]>) -> Result<Vec<Removal>, TriggerError> {
        let only = only.map(read);
        remove(&mut self.app, only.as_deref(), LONG).await
    }

    /// Everything that is in the log, which is empty afterwards.
    async fn take_all(&self) -> Vec<Change> {
        let taken = self.log.take(1_000_000).await.unwrap();
        let changes = taken.changes.clone();
        taken.done().await.unwrap();
        changes
    }

    /// The same, as sorted texts such as `table:public.flights(origin) MAD`.
    async fn logged(&self) -> Vec<String> {
        let mut shown: Vec<_> = self.take_all().await.iter().map(shown).collect();
        shown.sort();
        shown
    }

    /// What these statements log.
    async fn logged_by(&mut self, sql: &str) -> Vec<String> {
        self.run(sql).await;
        self.logged().await
    }
}

fn shown(change: &Change) -> String {
    match &change.keys {
        Some(keys) => format!("{} {}", change.dep, keys.join("|")),
        None => format!("{} *", change.dep),
    }
}

fn read(dependencies: &[&str]) -> Vec<Dependency> {
    dependencies.iter().map(|text| Dependency::parse(text).unwrap()).collect()
}

/// Runs statements of an application, in the simple protocol.
async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// No lines.
const NOTHING: [&str; 0] = [];
