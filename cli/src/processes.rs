//! Putting processes together: a worker, a scheduler, or both, with what they show of themselves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use brasa_jobs::alerts;
use brasa_jobs::http::Exporter;
use brasa_shared::config::{self, Problems};
use brasa_shared::db;
use brasa_shared::store::Fault;
use brasa_shared::telemetry::server::{self, Progress};
use brasa_shared::telemetry::{logs, metrics, vitals};
use brasa_worker::{Shutdown, Tally};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{App, greet_postgres};
use crate::check;
use crate::failure::{Failure, chain};
use crate::owner::{self, Refusal};
use crate::web;

/// How long a Redis may take to load its data.
const LOADING_MAX: Duration = Duration::from_mins(30);

/// How long a message about what is wrong may be on its way when the process ends.
const TELL_MAX: Duration = Duration::from_secs(5);

/// How often a worker makes sure that it is still the one to look after its database.
const OWN_AGAIN: Duration = Duration::from_secs(5);

/// Which roles a process plays, and how.
#[expect(clippy::struct_excessive_bools, reason = "roles are played or not, each by itself")]
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles {
    /// Claim and run jobs.
    pub(crate) worker: bool,
    /// Enqueue what is due.
    pub(crate) scheduler: bool,
    /// Serve the dashboard and the API.
    pub(crate) web: bool,
    /// Where, instead of the configuration's address.
    pub(crate) web_listen: Option<SocketAddr>,
    /// End once the queues are empty.
    pub(crate) until_empty: bool,
    /// How many jobs run at once, instead of the configuration's number.
    pub(crate) concurrency: Option<usize>,
    /// The queues to serve, instead of the configuration's.
    pub(crate) queues: Option<Vec<String>>,
    /// Where to answer for metrics and health, instead of the configuration's address.
    pub(crate) listen: Option<SocketAddr>,
    /// Run suspects and nothing else, for a parent that wants to know.
    pub(crate) is_isolated: bool,
}

/// Asks for shutdown when the process is told to end; a second time means at once.
pub(crate) fn obey_signals(shutdown: &Shutdown) -> Result<(), Failure> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            tracing::info!("asked to end; once more ends at once");
            shutdown.ask();
        }
    });
    Ok(())
}

/// A process for suspects ends with its parent, the only one who would know what it died of. The parent holds the
/// other end of our standard input, and writes nothing.
fn end_with_parent(shutdown: &Shutdown) {
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let ended = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
        tracing::warn!(?ended, "whoever started this process is gone; it hands back what it runs");
        shutdown.drain.cancel();
        shutdown.now.cancel();
    });
}

/// Runs the roles until told to end. Logs and metrics of the whole process are set up here.
pub(crate) async fn serve(mut app: App, roles: Roles) -> Result<Tally, Failure> {
    logs::install(app.config.telemetry.log, &app.config.telemetry.level);
    let shutdown = Shutdown::default();
    obey_signals(&shutdown)?;
    if roles.is_isolated {
        end_with_parent(&shutdown);
    }
    let mut progress = Progress::default();
    let fired = Arc::new(AtomicU64::new(0));
    let place = listen(&app, &roles).await?;
    // Jobs alone are told of.
    let exporter = if roles.worker {
        let (spans, exporter) = Exporter::start(&app.config, &app.clock);
        app.spans = spans;
        exporter
    } else {
        None
    };
    if !roles.is_isolated {
        tokio::spawn(look(app.clone()));
    }
    let running = start(&app, &roles, &mut progress, &shutdown, fired).await?;
    place.answer(progress)?;
    if roles.web {
        web::serve(&app, roles.web_listen, &shutdown).await?;
    }
    let ended = running.ended().await;
    if let Some(exporter) = exporter {
        exporter.end().await;
    }
    ended
}

/// Looks at how this process and what it stands on is, for whoever scrapes it and for the overview of the dashboard.
pub(crate) async fn look(app: App) {
    vitals::watch(app.store.clone(), &app.config.redis.prefix, app.pools.clone(), app.clock.clone()).await;
}

/// The tasks of a process.
pub(crate) struct Running {
    worker: Option<tokio::task::JoinHandle<Result<Tally, brasa_worker::WorkerError>>>,
    scheduler: Option<tokio::task::JoinHandle<()>>,
    alerts: Option<tokio::task::JoinHandle<()>>,
    shutdown: Shutdown,
    scheduler_stop: CancellationToken,
}

impl Running {
    /// Waits until everything has ended in good order.
    pub(crate) async fn ended(self) -> Result<Tally, Failure> {
        let tally = if let Some(worker) = self.worker {
            let ended =
                worker.await.map_err(|error| Failure::environment(format!("the worker broke: {error}")))?;
            ended.map_err(|error| Failure::environment(chain(&error)))?
        } else {
            self.shutdown.drain.cancelled().await;
            Tally::default()
        };
        self.scheduler_stop.cancel();
        if let Some(scheduler) = self.scheduler {
            scheduler.await.map_err(|error| Failure::environment(format!("the scheduler broke: {error}")))?;
        }
        if let Some(alerts) = self.alerts {
            // What was cut off is told by whoever leads next.
            let _ended = tokio::time::timeout(TELL_MAX, alerts).await;
        }
        Ok(tally)
    }
}

/// Makes sure that everything is there, then starts the roles.
pub(crate) async fn start(
    app: &App,
    roles: &Roles,
    progress: &mut Progress,
    shutdown: &Shutdown,
    fired: Arc<AtomicU64>,
) -> Result<Running, Failure> {
    let problems = check::offline(&app.config, &app.catalog);
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    wait_while_loading(app, shutdown).await?;
    app.greet_redis().await?;
    let pool = if roles.worker { app.pool()? } else { None };
    match &pool {
        Some(pool) => {
            greet_postgres(pool).await?;
            own(app, pool, shutdown).await?;
        }
        None if !roles.worker => {}
        None => tracing::warn!("no address of Postgres: jobs that need it will fail; set DATABASE_URL"),
    }
    for name in app.queues().keys() {
        if let Err(error) = app.fleet().add_queue(name).await {
            // A full Redis takes no new names, and must be drained all the same.
            tracing::warn!(queue = name, error = %chain(&error), "could not name a queue for others to list");
        }
    }
    let scheduler_stop = shutdown.drain.child_token();
    let leading = Arc::<AtomicBool>::default();
    let (mut scheduler, mut alerts) = (None, None);
    if roles.scheduler {
        scheduler = Some(schedule(app, progress, fired, Arc::clone(&leading), &scheduler_stop)?);
        alerts = watch(app, leading, &scheduler_stop)?;
    }
    let history = if roles.worker { app.history().await? } else { None };
    let worker =
        if roles.worker { Some(worker(app, roles, (pool, history), progress, shutdown)?) } else { None };
    Ok(Running { worker, scheduler, alerts, shutdown: shutdown.clone(), scheduler_stop })
}

/// Makes sure that the database is that of our prefix: of what is noted there each row goes to whoever asks first.
async fn own(app: &App, pool: &sqlx::PgPool, shutdown: &Shutdown) -> Result<(), Failure> {
    match refusal(pool, &app.config.redis.prefix).await {
        Ok(Some(refusal)) => {
            let (address, why, help) = (db::address(pool), owner::WHY, refusal.help());
            return Err(Failure::environment(format!("{address}: {refusal}: {why}\n  help: {help}")));
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(error = %chain(&error), "could not note whose workers look after the database");
        }
    }
    tokio::spawn(own_on(pool.clone(), app.config.redis.prefix.clone(), shutdown.clone()));
    Ok(())
}

/// Asks again, and ends the process once others were made to look after the database.
async fn own_on(pool: sqlx::PgPool, prefix: String, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(OWN_AGAIN);
    while shutdown.drain.run_until_cancelled(ticks.tick()).await.is_some() {
        match refusal(&pool, &prefix).await {
            Ok(Some(refusal)) => {
                tracing::error!(help = refusal.help(), "{refusal}: this worker ends");
                shutdown.drain.cancel();
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(error = %chain(&error), "could not see whose the database is"),
        }
    }
}

async fn refusal(pool: &sqlx::PgPool, prefix: &str) -> Result<Option<Refusal>, sqlx::Error> {
    Refusal::of(db::own(&mut *pool.acquire().await?, prefix).await, prefix)
}

/// A process that starts together with its Redis waits until that has read its data back.
async fn wait_while_loading(app: &App, shutdown: &Shutdown) -> Result<(), Failure> {
    let begun = Instant::now();
    while let Err(error) = app.store.run::<String>("answer", &redis::cmd("PING")).await {
        if error.fault != Fault::Loading || begun.elapsed() > LOADING_MAX {
            return Err(error.into());
        }
        if shutdown.drain.is_cancelled() {
            return Err(Failure::silent(0));
        }
        tracing::warn!(address = app.store.address(), "Redis is loading its data; waiting for it");
    }
    Ok(())
}

fn schedule(
    app: &App,
    progress: &mut Progress,
    fired: Arc<AtomicU64>,
    leading: Arc<AtomicBool>,
    stop: &CancellationToken,
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let plans = brasa_scheduler::plans(&app.config, &app.catalog, &app.queues());
    let settings = brasa_scheduler::Settings {
        plans: plans.map_err(|error| Failure::usage(error.to_string()))?,
        fleet: app.fleet(),
        clock: app.clock.clone(),
        pulse: progress.part("scheduling"),
        fired,
        leading,
    };
    Ok(tokio::spawn(brasa_scheduler::run(settings, stop.clone())))
}

/// Tells somebody what is wrong while this scheduler leads, where the configuration names somebody.
fn watch(
    app: &App,
    leading: Arc<AtomicBool>,
    stop: &CancellationToken,
) -> Result<Option<tokio::task::JoinHandle<()>>, Failure> {
    if app.config.alerts.webhook.is_none() {
        return Ok(None);
    }
    let (watcher, stop) = (alerts::Watcher::new(app.site().clone())?, stop.clone());
    Ok(Some(tokio::spawn(async move {
        if let Err(nobody) = alerts::watch(watcher, leading, stop).await {
            tracing::error!("{nobody}");
        }
    })))
}

fn worker(
    app: &App,
    roles: &Roles,
    (pool, history): (Option<sqlx::PgPool>, Option<brasa_worker::history::Settings>),
    progress: &mut Progress,
    shutdown: &Shutdown,
) -> Result<tokio::task::JoinHandle<Result<Tally, brasa_worker::WorkerError>>, Failure> {
    let section = &app.config.worker;
    let all = app.queues();
    let names = roles.queues.clone().or_else(|| section.queues.clone());
    let names = names.unwrap_or_else(|| all.keys().cloned().collect());
    let mut queues = Vec::with_capacity(names.len());
    for name in &names {
        let queue = all.get(name).ok_or_else(|| crate::app::unknown("queue", name, all.keys()))?;
        let weight = app.config.queues.get(name).map_or(1, |section| section.weight);
        let queue = queue.clone();
        let queue = if history.is_some() { queue.telling(app.telling()) } else { queue };
        queues.push((queue, weight));
    }
    let outbox = app.outbox()?.map(|table| brasa_worker::outbox::Settings {
        table,
        queues: all.values().cloned().collect(),
        pace: brasa_worker::outbox::Pace::default(),
    });
    let settings = brasa_worker::Settings {
        queues,
        fleet: app.fleet(),
        catalog: app.catalog.clone(),
        reach: app.reach(pool)?,
        concurrency: roles.concurrency.unwrap_or(section.concurrency),
        lease: section.lease,
        shutdown_grace: section.shutdown_grace,
        crashes_max: section.crashes_max,
        until_empty: roles.until_empty,
        order: match section.order {
            config::Order::Weighted => brasa_worker::Order::Weighted,
            config::Order::Strict => brasa_worker::Order::Strict,
        },
        isolation: if section.isolate && !roles.is_isolated { isolation(app, &names) } else { None },
        is_isolated: roles.is_isolated,
        outbox,
        cache: if roles.is_isolated { None } else { app.cache(&all)? },
        aggregates: if roles.is_isolated { None } else { app.aggregates()? },
        writes: if roles.is_isolated { None } else { app.writes()? },
        history: history.filter(|_| !roles.is_isolated),
    };
    let pulses = brasa_worker::Pulses::of(progress);
    Ok(tokio::spawn(brasa_worker::run(settings, pulses, shutdown.clone())))
}

/// How this program runs suspects: as another process of itself.
fn isolation(app: &App, queues: &[String]) -> Option<brasa_worker::Isolation> {
    let program = std::env::current_exe().ok()?;
    let mut args: Vec<std::ffi::OsString> =
        vec!["worker".into(), "--suspects".into(), "--queues".into(), queues.join(",").into()];
    if let Some(path) = &app.config_path {
        args.extend(["--config".into(), path.into()]);
    }
    Some(brasa_worker::Isolation { program, args })
}

/// A place where the process answers for `/metrics`, `/live` and `/ready`; none where that is switched off.
pub(crate) struct Place(Option<(TcpListener, PrometheusHandle)>);

/// Takes the address, before anything is claimed: a process that cannot have it must not have begun.
pub(crate) async fn listen(app: &App, roles: &Roles) -> Result<Place, Failure> {
    if roles.is_isolated {
        return Ok(Place(None));
    }
    let telemetry = &app.config.telemetry;
    let Some(address) = roles.listen.or(telemetry.listen) else { return Ok(Place(None)) };
    let named = roles.listen.is_some() || telemetry.listen_explicit;
    // Only an address that nobody asked for gives way to another.
    let listener = server::bind(address, !named).await.map_err(|error| {
        Failure::environment(format!(
            "cannot listen at {address}: {error}\n  help: give another with --listen"
        ))
    })?;
    let handle = metrics::install().map_err(|error| Failure::environment(format!("no metrics: {error}")))?;
    Ok(Place(Some((listener, handle))))
}

impl Place {
    /// Starts to answer.
    pub(crate) fn answer(self, progress: Progress) -> Result<(), Failure> {
        let Some((listener, handle)) = self.0 else { return Ok(()) };
        tracing::info!(address = %listener.local_addr()?, "answering /metrics, /live and /ready");
        tokio::spawn(metrics::upkeep(handle.clone()));
        tokio::spawn(async move {
            if let Err(error) = server::serve(listener, handle, progress).await {
                tracing::error!(%error, "metrics and health are no longer answered");
            }
        });
        Ok(())
    }
}
