//! Only under its own names: a name that somebody else's DNS leads here is answered nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use brasa_shared::config::Web;

use crate::error::Refused;

/// The names under which this may be called.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Arc<Vec<String>>);

impl Hosts {
    /// Those of the configuration, and the address at which it listens.
    pub(crate) fn of(web: &Web, address: SocketAddr) -> Self {
        let port = address.port();
        let mut names = vec![address.to_string()];
        if address.ip().is_loopback() {
            names.extend([format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
        }
        for name in &web.hosts {
            names.push(name.clone());
            // Browsers leave out the usual port, and name any other.
            if !name.contains(':') {
                names.push(format!("{name}:{port}"));
            }
        }
        Self(Arc::new(names))
    }

    fn has(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let named = hosts.next().and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
        hosts.next().is_none() && named.is_some_and(|named| self.0.contains(&named))
    }
}

/// Refuses what was sent to another host.
pub(crate) async fn host(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    if hosts.has(request.headers()) {
        return next.run(request).await;
    }
    let help = r#"write the name into the configuration, as in [web] hosts = ["brasa.example.com"]"#;
    Refused::new(StatusCode::MISDIRECTED_REQUEST, "this is not a name of this server", help).into_response()
}
