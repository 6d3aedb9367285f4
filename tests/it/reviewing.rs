//! Reviews of a database: what is planted is found, what is recommended mends it, and what cannot be seen is said.

mod command;
mod matrix;
mod mending;
mod old;
mod plans;
mod seeing;
mod undoing;

use std::sync::Arc;

use brasa_jobs::Reach;
use brasa_jobs::database::review::facts::Facts;
use brasa_jobs::database::review::report::Shown;
use brasa_jobs::database::review::{Limits, Past, Reviewed, gather, limit, review};
use brasa_shared::db::{execute, migrate};
use brasa_tests::World;
use sqlx::{Connection as _, PgConnection};

/// A world with the tables that recommendations are kept in.
pub(crate) async fn scene(sql: &str) -> World {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world.execute(sql).await;
    world
}

/// As usual, but that the server's connections may all be used: other tests use them, too.
fn limits() -> Limits {
    Limits { connections: 2.0, ..Limits::default() }
}

fn reach(world: &World, config: &str) -> Reach {
    Reach::new(Arc::new(world.config(config)), None, world.store.clone(), world.clock.clone())
}

async fn connection(world: &World) -> PgConnection {
    let mut connection = PgConnection::connect_with(&world.pool.connect_options()).await.unwrap();
    limit(&mut connection).await.unwrap();
    connection
}

async fn look_with(world: &World, limits: Limits) -> Reviewed {
    let mut connection = connection(world).await;
    review(&mut connection, &reach(world, ""), Past::default(), limits).await.unwrap()
}

async fn look(world: &World) -> Reviewed {
    look_with(world, limits()).await
}

async fn facts(world: &World, connection: &mut PgConnection, config: &str) -> Facts {
    gather(connection, &reach(world, config), Past::default(), limits()).await.unwrap()
}

/// What a rule recommends.
fn of<'r>(reviewed: &'r Reviewed, rule: &str) -> Vec<&'r Shown> {
    reviewed.report.recommendations.iter().filter(|shown| shown.recommendation.rule == rule).collect()
}

/// The one thing that a rule recommends.
fn only<'r>(reviewed: &'r Reviewed, rule: &str) -> &'r Shown {
    let found = of(reviewed, rule);
    assert_eq!(found.len(), 1, "{rule}: {found:#?}");
    found[0]
}

/// Runs what is recommended, as a person would: one statement after the other.
async fn run(world: &World, sql: &str) {
    let mut connection = PgConnection::connect_with(&world.pool.connect_options()).await.unwrap();
    for statement in sql.lines() {
        let done = execute(&mut connection, statement.trim_end_matches(';'), &[]).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}
