//! `brasa health`: is the process that listens there ready? For health checks of containers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::env;
use crate::failure::Failure;
use crate::output::Output;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Where it listens; else `BRASA_LISTEN`, else 127.0.0.1:9600
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Health {
    pub(crate) async fn obey(self, out: &mut Output) -> Result<(), Failure> {
        let text = self.listen.or_else(|| env("BRASA_LISTEN")).unwrap_or_else(|| "127.0.0.1:9600".to_owned());
        let mut address: SocketAddr = text
            .parse()
            .map_err(|_| Failure::usage(format!("`{text}` is not an address such as 127.0.0.1:9600")))?;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let answer = tokio::time::timeout(TIMEOUT, ask(address)).await;
        let answer = answer.map_err(|_| Failure::environment(format!("{address} does not answer")))?;
        let answer =
            answer.map_err(|error| Failure::environment(format!("{address} does not answer: {error}")))?;
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim().to_owned();
        if answer.split(' ').nth(1) != Some("200") {
            return Err(Failure::environment(format!("{address} is not ready: {body}")));
        }
        out.line(&body)?;
        out.value(&serde_json::json!({ "ready": true }))
    }
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /ready HTTP/1.0\r\nhost: localhost\r\n\r\n").await?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer).await?;
    Ok(answer)
}
