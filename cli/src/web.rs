//! Putting the dashboard and the API together with the rest of the program.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use brasa_jobs::Site;
use brasa_scheduler::{fire_now, plans};
use brasa_shared::config::{Config, Token};
use brasa_shared::telemetry::server;
use brasa_web::{Desk, Reread, Server};
use brasa_worker::Shutdown;

use crate::app::{App, config_path, env};
use crate::failure::{Failure, chain};
use crate::verbs::doctor::Servers;

/// How many connections to Postgres pages and the API use at most.
const CONNECTIONS: u32 = 5;

/// Takes the address, and serves until the process is told to end.
pub(crate) async fn serve(app: &App, listen: Option<SocketAddr>, shutdown: &Shutdown) -> Result<(), Failure> {
    let web = &app.config.web;
    let help = "write [web] listen, or give an address with --listen";
    let Some(address) = listen.or(web.listen) else {
        return Err(Failure::usage(format!(
            "the dashboard is switched off: [web] listen = \"off\"\n  help: {help}"
        )));
    };
    if let Some(why) = web.unguarded(Some(address)) {
        let help = "add a token with `brasa tokens new`, and write `tls` or behind_proxy = true into [web]";
        return Err(Failure::usage(format!("the dashboard is not served: {why}\n  help: {help}")));
    }
    let is_named = listen.is_some() || web.listen_explicit;
    let listener = server::bind(address, !is_named).await.map_err(|error| {
        Failure::environment(format!("cannot listen at {address}: {error}\n  help: {help}"))
    })?;
    let address = listener.local_addr()?;
    let pool = app.pool_for("web", CONNECTIONS)?;
    let desk = Desk::new(app.site().clone(), pool, fire(app.site()), doctor(app)?);
    let server = Server::new(desk, address).map_err(|error| Failure::usage(chain(&error)))?;
    tracing::info!(%address, "serving the dashboard and the API");
    // Not through the log, which others read and keep: it may hold the token of this run.
    announce(&server.address(address));
    tokio::spawn(server.serve(listener, reread(app), shutdown.drain.child_token()));
    Ok(())
}

/// Says where it is, on standard error.
fn announce(address: &str) {
    use std::io::Write as _;
    let _told = writeln!(std::io::stderr(), "the dashboard is at {address}");
}

/// Enqueues a job of a schedule at once.
fn fire(site: &Site) -> brasa_web::Fire {
    let site = site.clone();
    Arc::new(move |name| {
        let site = site.clone();
        Box::pin(async move {
            let plans =
                plans(&site.config, &site.catalog, &site.queues()).map_err(|error| error.to_string())?;
            let plan = plans.into_iter().find(|plan| plan.name == name);
            let plan = plan.ok_or_else(|| format!("there is no schedule `{name}`"))?;
            site.fleet().add_queue(plan.queue.name()).await.map_err(|error| chain(&error))?;
            fire_now(&plan, &site.clock).await.map_err(|error| chain(&error))
        })
    })
}

/// Examines the servers, as `brasa doctor` does where no jobs run.
fn doctor(app: &App) -> Result<brasa_web::Doctor, Failure> {
    let servers = Arc::new(Servers::seen_by_a_dashboard(app)?);
    Ok(Arc::new(move || {
        let servers = Arc::clone(&servers);
        Box::pin(async move { servers.examine().await })
    }))
}

/// Reads the tokens again when the file has changed.
fn reread(app: &App) -> Option<Reread> {
    let path = config_path(app.config_path.as_deref());
    let last = Mutex::new(changed(&path));
    last.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?;
    Some(Arc::new(move || tokens(&path, &last)))
}

fn tokens(path: &Path, last: &Mutex<Option<SystemTime>>) -> Option<BTreeMap<String, Token>> {
    let now = changed(path);
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if now.is_none() || now == *last {
        return None;
    }
    *last = now;
    drop(last);
    let read = Config::read_tokens(path, &env);
    read.inspect_err(|why| {
        tracing::warn!(why, "the configuration has changed and cannot be read: tokens stay as they were");
    })
    .ok()
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(PathBuf::from(path)).and_then(|data| data.modified()).ok()
}
