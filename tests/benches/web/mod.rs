//! How long the dashboard takes for a page while a million jobs wait and a hundred thousand are dead, and what the API
//! adds to the enqueuing of a job: a server in this process, asked over one connection, beside private servers.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use brasa::servers::{PostgresOptions, PostgresServer};
use brasa_jobs::{Site, catalog};
use brasa_shared::config::Token;
use brasa_shared::db::migrate;
use brasa_tests::World;
use brasa_tests::bench::{Redis, Report, Row, Stage, say};
use brasa_web::{Desk, Server};
use futures_util::FutureExt as _;
use reqwest::{Client, RequestBuilder};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::rustls::crypto::ring;
use tokio_util::sync::CancellationToken;

mod calls;
mod guesses;
mod pages;

/// Who asks.
const TOKEN: &str = "admin-0123456789abcdef0123456789abcdef01";
/// Measures a part.
type Part = fn(&Ground) -> Result<Vec<Row>>;

/// How often each is measured.
const REPEATS: usize = 7;

/// Measures all of it, or what `PART` names.
pub(super) fn measure(stage: &Stage) -> Result<Report> {
    let ground = Ground::new(stage.is_quick)?;
    let only = std::env::var("PART").ok();
    let parts: [(&str, Part); 3] =
        [("calls", calls::rows), ("guesses", guesses::rows), ("pages", pages::rows)];
    let mut report = Report::default();
    for (what, rows) in parts {
        if only.as_deref().is_none_or(|only| only == what) {
            say(what);
            let rows = rows(&ground);
            let failed = |error| vec![Row::new(what, "").ours(&Err(format!("{error:#}")))];
            report.extend(rows.unwrap_or_else(failed));
        }
    }
    Ok(report)
}

/// No process of ours but this one is measured.
pub(super) fn play(_: &[String]) -> Result<()> {
    anyhow::bail!("this family has no roles")
}

/// What everything is measured on.
struct Ground {
    runtime: Runtime,
    world: World,
    address: SocketAddr,
    client: Client,
    is_quick: bool,
    _servers: (Redis, PostgresServer),
}

impl Ground {
    fn new(is_quick: bool) -> Result<Self> {
        let runtime = Runtime::new().context("start a runtime")?;
        let postgres =
            PostgresServer::start(PostgresOptions::default()).context("start a Postgres for the bench")?;
        let redis = Redis::start(true)?;
        let (world, address) = runtime.block_on(async {
            let world = World::on_servers(redis.url(), &postgres.url("postgres")).await;
            migrate(&world.pool).await?;
            let address = serve(&world).await?;
            anyhow::Ok((world, address))
        })?;
        // Whoever asked first has chosen.
        let _chosen = ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build()?;
        Ok(Self { runtime, world, address, client, is_quick, _servers: (redis, postgres) })
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A request of somebody who may do everything.
    fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address)).bearer_auth(TOKEN)
    }
}

/// Serves the dashboard and the API of a world for as long as the process lives.
async fn serve(world: &World) -> Result<SocketAddr> {
    let hash = Token::spell(&Token::hash_of(TOKEN));
    let text = format!(
        "[sql.nothing]\nsql = \"select 1\"\n[queues.big]\n[queues.dead]\n[queues.calls]\n\
         [web.tokens.admin]\nrole = \"admin\"\nhash = \"{hash}\"\n"
    );
    let site = Site::open(world.config(&text), catalog())?;
    let pool = site.pool_for("web", 5)?;
    let fire = Arc::new(|_| async { Err("there are no schedules here".to_owned()) }.boxed());
    let doctor = Arc::new(|| async { Vec::new() }.boxed());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::new(Desk::new(site, pool, fire, doctor), address)?;
    tokio::spawn(server.serve(listener, None, CancellationToken::new()));
    Ok(address)
}
