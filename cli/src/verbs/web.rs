//! `brasa web`: the dashboard and the HTTP API.

use std::net::SocketAddr;

use clap::Args;

use crate::app::App;
use crate::failure::Failure;
use crate::processes::{Roles, serve};

#[derive(Debug, Args)]
pub(crate) struct Web {
    /// Where to serve it, instead of the configuration's address
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Web {
    pub(crate) async fn obey(self, app: App) -> Result<(), Failure> {
        let roles = Roles { web: true, web_listen: self.listen, ..Roles::default() };
        serve(app, roles).await.map(drop)
    }
}
