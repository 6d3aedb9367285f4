//! What is asked of a primary.

use std::time::{Duration, Instant};

use brasa_jobs::history::{Rights, rights};
use brasa_shared::db::{self, Standing};
use sqlx::{Executor as _, PgConnection, PgPool, Row as _};

use super::super::timing::{ROUNDS, Skew};
use super::cache::{self, Told};
use super::pooler::{self, Pids};
use super::{connect, within};
use crate::app::App;
use crate::failure::chain;
use crate::owner::Refusal;

/// The server, and the role that we have there. Memberships of a superuser say nothing: it may do everything.
const SERVER: &str = r#"
select current_setting('server_version_num')::int as version_number,
       split_part(current_setting('server_version'), ' ', 1) as version,
       pg_is_in_recovery() as is_in_recovery,
       current_user::text as role,
       current_user = 'brasa' and current_setting('search_path') like '%"$user"%' as is_namesake,
       array_to_string(array[
         case when r.rolsuper then 'SUPERUSER' end,
         case when r.rolbypassrls then 'BYPASSRLS' end,
         case when r.rolcreaterole then 'CREATEROLE' end,
         case when not r.rolsuper and pg_has_role('pg_execute_server_program', 'usage')
              then 'pg_execute_server_program' end,
         case when not r.rolsuper and pg_has_role('pg_read_server_files', 'usage')
              then 'pg_read_server_files' end,
         case when not r.rolsuper and pg_has_role('pg_write_server_files', 'usage')
              then 'pg_write_server_files' end
       ], ' ') as powers,
       current_setting('max_connections')::int as connections_max,
       current_setting('superuser_reserved_connections')::int as reserved,
       coalesce((select sum(numbackends) from pg_stat_database), 0)::int as used,
       current_setting('track_counts') as track_counts,
       current_setting('autovacuum') as autovacuum,
       current_setting('fsync') as fsync
from pg_roles r where r.rolname = current_user"#;

/// What the primary says about itself.
#[derive(Debug)]
pub(super) struct Facts {
    /// The fastest of a few answers.
    pub(super) answers: Duration,
    /// As `server_version_num` counts.
    pub(super) version_number: i32,
    /// As people write it.
    pub(super) version: String,
    /// Whether it replays what another one wrote.
    pub(super) is_in_recovery: bool,
    /// Who we are there.
    pub(super) role: String,
    /// Whether our schema comes first for what that role makes.
    pub(super) is_namesake: bool,
    /// What that role may do and need not.
    pub(super) powers: Vec<String>,
    /// Connections: what the server has, keeps for superusers, and has given out.
    pub(super) connections: Connections,
    /// `on` or `off`, by name.
    pub(super) switches: Vec<(&'static str, String)>,
    /// How far our schema is; or why it could not be seen.
    pub(super) schema: Result<Standing, String>,
    /// Whose workers look after it, where it is not ours.
    pub(super) refusal: Option<Refusal>,
    /// What the role may do with the history of jobs; none where nobody wants one.
    pub(super) history: Option<Rights>,
    /// Which server processes two connections of ours met; none where no second one was to be had.
    pub(super) pids: Option<Pids>,
    /// The difference of the clocks.
    pub(super) skew: Skew,
    /// How changes of tables are told to the cache; none where nothing is cached.
    pub(super) told: Option<Told>,
}

/// Connections of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connections {
    /// The most that there can be.
    pub(super) max: i32,
    /// Of them, kept for superusers.
    pub(super) reserved: i32,
    /// Given out.
    pub(super) used: i32,
    /// The most that one worker of ours takes.
    pub(super) pool: u32,
}

/// Asks for everything.
pub(super) async fn gather(pool: &PgPool, app: &App, has_jobs: bool) -> Result<Facts, sqlx::Error> {
    let mut connection = connect(pool).await?;
    let answers = knock(&mut connection).await?;
    let skew = skew(&mut connection, app).await?;
    let row = within(connection.fetch_one(SERVER)).await?;
    let switches = ["track_counts", "autovacuum", "fsync"];
    let switches = switches.into_iter().map(|name| Ok((name, row.try_get(name)?)));
    let powers: String = row.try_get("powers")?;
    let schema = within(db::standing(&mut connection)).await.map_err(|error| chain(&error));
    // A connection that breaks is told of by what is asked next.
    let refusal = Refusal::of(within(db::owner(&mut connection)).await, &app.config.redis.prefix);
    let wants_history = has_jobs && app.config.history.enabled != Some(false);
    let history =
        if wants_history { within(rights(&mut connection)).await.unwrap_or_default() } else { None };
    Ok(Facts {
        answers,
        version_number: row.try_get("version_number")?,
        version: row.try_get("version")?,
        is_in_recovery: row.try_get("is_in_recovery")?,
        role: row.try_get("role")?,
        is_namesake: row.try_get("is_namesake")?,
        powers: powers.split_whitespace().map(ToOwned::to_owned).collect(),
        connections: Connections {
            max: row.try_get("connections_max")?,
            reserved: row.try_get("reserved")?,
            used: row.try_get("used")?,
            pool: app.config.postgres.pool.max,
        },
        switches: switches.collect::<Result<_, sqlx::Error>>()?,
        schema,
        refusal: refusal.unwrap_or_default(),
        history,
        told: cache::ask(pool, app).await,
        pids: pooler::meet(pool, connection).await,
        skew,
    })
}

/// The fastest of a few answers.
pub(super) async fn knock(connection: &mut PgConnection) -> Result<Duration, sqlx::Error> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let asked = Instant::now();
        within(connection.execute("select 1")).await?;
        best = best.min(asked.elapsed());
    }
    Ok(best)
}

async fn skew(connection: &mut PgConnection, app: &App) -> Result<Skew, sqlx::Error> {
    let ask = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
    let mut best: Option<Skew> = None;
    for _ in 0..ROUNDS {
        let (asked_ms, asked) = (app.clock.now().as_millisecond(), Instant::now());
        let row = within(connection.fetch_one(ask)).await?;
        let next = Skew::of(asked_ms, asked.elapsed(), row.try_get(0)?);
        best = Some(best.map_or(next, |best| best.better(next)));
    }
    Ok(best.unwrap_or(Skew::of(0, Duration::ZERO, 0)))
}
