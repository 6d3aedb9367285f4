//! Connections: so many at once, each with so much time for the head of a request.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::{Router, middleware};
use brasa_shared::config::{Tls, Token};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::auth::cookie_of;
use crate::desk::Desk;
use crate::guard::{Door, Hosts, Peer, door, dress, host};
use crate::{pages, routes, view};

/// How many connections there are at once.
const CONNECTIONS_MAX: usize = 2_048;
/// For how long the head of a request may be on its way.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// For how long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How large the head of a request may be, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How often the file with the tokens is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Reads the tokens anew; none where they cannot be read.
pub type Reread = Arc<dyn Fn() -> Option<BTreeMap<String, Token>> + Send + Sync>;

/// Why it cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate or its key is of no use.
    #[error("cannot use the certificate {file}: {why}")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The dashboard and the API, ready to be served.
pub struct Server {
    router: Router,
    tls: Option<TlsAcceptor>,
    desk: Desk,
}

impl Server {
    /// Makes it ready for an address.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(desk: Desk, address: SocketAddr) -> Result<Self, ServeError> {
        let web = &desk.site.config.web;
        let tls = web.tls.as_ref().map(acceptor).transpose()?;
        let (router, needs) = routes::router();
        let keys = Arc::clone(&desk.keys);
        let (cookie, _) = cookie_of(web);
        let at = Door { keys, needs: Arc::new(needs), behind_proxy: web.behind_proxy, cookie };
        let router = router
            .fallback(async || axum::http::StatusCode::NOT_FOUND)
            .layer(from_fn_with_state(at, door))
            .layer(from_fn_with_state(Hosts::of(web, address), host))
            .layer(middleware::from_fn(dress))
            .with_state(desk.clone());
        Ok(Self { router, tls, desk })
    }

    /// Where to begin, for whoever started it; with the token, where one was made for this run.
    pub fn address(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        // What stands behind `#` is never sent, and so never logged on its way.
        let made = self.desk.keys.made().map(|token| format!("login#{token}")).unwrap_or_default();
        format!("{scheme}://{address}/{made}")
    }

    /// Serves until it is stopped. `reread` gives the tokens as they stand in the file right now.
    pub async fn serve(self, listener: TcpListener, reread: Option<Reread>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let watching = self.desk.clone();
        if let Some(reread) = reread {
            tokio::spawn(watch(watching, reread, stop.clone()));
        }
        tokio::spawn(view::series::sample(self.desk.clone(), stop.clone()));
        tokio::spawn(pages::events::watch(self.desk.clone(), stop.clone()));
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            let Ok((stream, peer)) = accepted else {
                // No more files may be open, say: whoever waits is served once one is closed.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (router, tls, stop) = (self.router.clone(), self.tls.clone(), stop.clone());
            tokio::spawn(async move {
                match tls {
                    None => talk(stream, peer, router, stop).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await
                        {
                            talk(stream, peer, router, stop).await;
                        }
                    }
                }
                drop(place);
            });
        }
    }
}

/// Serves one connection.
async fn talk<S>(stream: S, peer: SocketAddr, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The router is shared: one of its own for each connection would hold a third of a MiB.
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Puts other tokens in place once the file says others.
async fn watch(desk: Desk, reread: Reread, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_AGAIN);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(tokens) = reread() {
            tracing::info!(tokens = tokens.len(), "the tokens were read again");
            desk.keys.replace(tokens);
        }
    }
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ServeError> {
    let wrong = |file: &Path, why: String| ServeError::Certificate { file: file.display().to_string(), why };
    let chain = CertificateDer::pem_file_iter(&tls.certificate_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&tls.certificate_file, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file);
    let key = key.map_err(|error| wrong(&tls.key_file, error.to_string()))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let config = config.map_err(|error| wrong(&tls.certificate_file, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
