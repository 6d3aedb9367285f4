//! `brasa run`, `worker` and `scheduler`: the processes.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;
use crate::processes::{Roles, serve};

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Only these roles
    #[arg(long, value_delimiter = ',', value_name = "ROLES")]
    only: Vec<Role>,
    /// Where to answer /metrics, /live and /ready
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Worker,
    Scheduler,
    Web,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// End once nothing is waiting, delayed or running
    #[arg(long)]
    drain: bool,
    /// How many jobs run at once, instead of the configuration's number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: Option<u32>,
    /// Serve only these queues
    #[arg(long, value_delimiter = ',', value_name = "QUEUES")]
    queues: Option<Vec<String>>,
    /// Where to answer /metrics, /live and /ready
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Run jobs that are suspected of taking workers down, one at a time, until there are none
    #[arg(long, hide = true)]
    suspects: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Scheduler {
    /// Where to answer /metrics, /live and /ready
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Run {
    pub(crate) async fn obey(self, app: App) -> Result<(), Failure> {
        let plays = |role| self.only.is_empty() || self.only.contains(&role);
        let roles = Roles {
            worker: plays(Role::Worker),
            scheduler: plays(Role::Scheduler),
            // Nobody is served who did not ask for it.
            web: self.only.contains(&Role::Web) || (self.only.is_empty() && app.config.web.is_written),
            listen: self.listen,
            ..Roles::default()
        };
        serve(app, roles).await.map(drop)
    }
}

impl Worker {
    pub(crate) async fn obey(self, app: App, out: &mut Output) -> Result<(), Failure> {
        let roles = Roles {
            worker: true,
            until_empty: self.drain || self.suspects,
            is_isolated: self.suspects,
            concurrency: if self.suspects { Some(1) } else { self.concurrency.map(|count| count as usize) },
            queues: self.queues,
            listen: self.listen,
            ..Roles::default()
        };
        let quiet = self.suspects;
        let tally = serve(app, roles).await?;
        if quiet {
            return Ok(());
        }
        out.value(&json!({ "done": tally.done, "failed": tally.failed }))
    }
}

impl Scheduler {
    pub(crate) async fn obey(self, app: App) -> Result<(), Failure> {
        let roles = Roles { scheduler: true, listen: self.listen, ..Roles::default() };
        serve(app, roles).await.map(drop)
    }
}
