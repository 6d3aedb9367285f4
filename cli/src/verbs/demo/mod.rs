//! `brasa demo`: private servers, real data, everything at work, and a live summary.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use brasa_jobs::Catalog;
use brasa_shared::telemetry::logs::{self, LogForm};
use brasa_shared::telemetry::server::Progress;
use brasa_shared::units::parse_duration;
use brasa_worker::Shutdown;
use clap::Args;

use crate::app::App;
use crate::failure::{Failure, chain};
use crate::output::Output;
use crate::processes::{Roles, listen, look, obey_signals, start};
use crate::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};

mod application;
mod data;
mod summary;

use application::{Application, Reads};
use summary::Summary;

/// How often the live summary is drawn.
const DRAW_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End by itself after this long, such as 20s; else on Ctrl-C
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<String>,
}

impl Demo {
    pub(crate) async fn obey(self, catalog: Catalog, out: &mut Output) -> Result<(), Failure> {
        let duration = self.duration.as_ref().map(|text| {
            parse_duration(text).map_err(|error| Failure::usage(format!("--for: {error}; {}", error.help())))
        });
        let duration = duration.transpose()?;
        logs::install(LogForm::Human, "warn");
        let shutdown = Shutdown::default();
        obey_signals(&shutdown)?;

        let begun = Instant::now();
        out.line("Starting a Redis and a Postgres of its own …")?;
        let (redis, postgres) = servers()?;
        let (config, folder) = data::config(redis.url(), &postgres.url("postgres"))?;
        let app = App::with(config, catalog)?;
        out.line(format!("  {:.1?}", begun.elapsed()))?;
        let pool = app.pool_needed()?;
        out.line("Loading the flights that left New York City in 2013 …")?;
        let rows = data::load(&pool).await?;
        out.line(format!("  {rows} rows, {:.1?}", begun.elapsed()))?;
        application::keep_figures(&app, &pool).await?;

        let mut progress = Progress::default();
        let fired = Arc::new(AtomicU64::new(0));
        let roles = Roles { worker: true, scheduler: true, ..Roles::default() };
        let place = listen(&app, &roles).await?;
        tokio::spawn(look(app.clone()));
        let running = start(&app, &roles, &mut progress, &shutdown, Arc::clone(&fired)).await?;
        place.answer(progress)?;
        crate::web::serve(&app, None, &shutdown).await?;
        out.line("Warming the caches for the first time …")?;
        application::warm_all(&app, &shutdown).await?;
        out.line(format!("  every key is there, {:.1?}", begun.elapsed()))?;

        let program = std::env::args().next().unwrap_or_else(|| "brasa".to_owned());
        out.line("Look around meanwhile, in another terminal:")?;
        // The environment wins over the file, and would lead to servers of yours.
        let config = folder.config().display().to_string();
        out.line(format!("  env -u REDIS_URL -u DATABASE_URL {program} --config {config} cache status"))?;

        let reads = Arc::new(Reads::default());
        let application = Application::start(&app, Arc::clone(&reads), &shutdown).await?;
        let mut summary =
            Summary::new(&app, pool, reads, fired, !out.json && std::io::stdout().is_terminal());
        watch(&mut summary, duration, &shutdown, out).await?;
        shutdown.drain.cancel();
        application.ended().await;
        let tally = running.ended().await?;
        summary.close(tally, out).await?;
        // The servers stop here, last.
        drop((folder, redis, postgres));
        Ok(())
    }
}

fn servers() -> Result<(RedisServer, PostgresServer), Failure> {
    let failed = |error: crate::servers::ServersError| Failure::environment(chain(&error));
    let redis = RedisServer::start(RedisOptions::default()).map_err(failed)?;
    let postgres = PostgresServer::start(PostgresOptions::default()).map_err(failed)?;
    Ok((redis, postgres))
}

/// Draws until the time is over or somebody ends it.
async fn watch(
    summary: &mut Summary,
    duration: Option<Duration>,
    shutdown: &Shutdown,
    out: &mut Output,
) -> Result<(), Failure> {
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut draw = tokio::time::interval(DRAW_EVERY);
    loop {
        tokio::select! {
            () = &mut over => return Ok(()),
            () = shutdown.drain.cancelled() => return Ok(()),
            _ = draw.tick() => summary.draw(out).await?,
        }
    }
}
