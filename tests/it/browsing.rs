//! The dashboard in a real browser: every page, what can be done there and what comes of it, and what others planted.
//!
//! Where there is no Chromium or no Node the tests pass, and say so on standard error.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

mod acting;
mod browser;
mod clicking;
mod full;
mod looking;
mod planting;
mod searching;
mod sowing;

use std::net::SocketAddr;

use brasa_shared::config::Token;
use brasa_shared::store::Store;
use brasa_tests::World;
use brasa_tests::process::{Brasa, Running};
use serde_json::json;

use browser::Browser;

/// The token of whoever may do everything.
const TOKEN: &str = "browsing-0123456789abcdef0123456789abcdef";

/// A worker, a scheduler and a dashboard that run.
struct Scene {
    world: World,
    brasa: Brasa,
    _running: Running,
    browser: Browser,
}

/// What is configured: statements of which one always fails, and a schedule.
const CONFIG: &str = r#"
[queues.default]
[queues.mail]
[sql.wrong]
sql = "select 1/0"
[sql.fine]
sql = "select 1"
[schedules.nightly]
job = "sql.run"
args = { name = "fine" }
cron = "30 3 * * *"
zone = "America/Bogota"
[web]
"#;

impl Scene {
    /// Nothing where there is no browser, which is said.
    async fn new() -> Option<Self> {
        Self::prepared(CONFIG, async |_, _| {}).await
    }

    /// The same with more of a configuration, where `KEY` is the prefix of this world, once its database is as it
    /// should be.
    async fn prepared(config: &str, prepare: impl AsyncFnOnce(&World, &Brasa)) -> Option<Self> {
        let program = browser::installed().await?;
        let world = World::new().await;
        let hash = Token::spell(&Token::hash_of(TOKEN));
        let token = format!("[web.tokens.ann]\nrole = \"admin\"\nhash = \"{hash}\"\n");
        let config = format!("{}{token}", config.replace("KEY", &world.prefix));
        let brasa = Brasa::configured(&world, &config).env("BRASA_WEB_LISTEN", "127.0.0.1:0");
        drop(brasa.run(["migrate"]).await.with_code(0));
        prepare(&world, &brasa).await;
        let running = brasa.start(["run"]);
        let address: SocketAddr = running.address().await;
        let browser = Browser::start(&program, address);
        Some(Self { world, brasa, _running: running, browser })
    }

    /// Somebody who may do everything.
    async fn log_in(&mut self) {
        self.browser.step(json!({ "step": "log_in", "token": TOKEN })).await;
    }

    /// Whoever may write into Redis.
    fn store(&self) -> &Store {
        &self.world.store
    }
}
