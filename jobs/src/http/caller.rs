//! One call of an endpoint: a request to an address that was looked at, and as much of the answer as is wanted.

use std::sync::{Arc, OnceLock};

use brasa_shared::config::Endpoint;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Response, StatusCode, retry};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use super::resolver::{Refused, Resolver};

/// Of how many certificates it is said why they could not be read.
const FAULTS: usize = 5;

/// What a process calls endpoints with, made when it is first needed.
///
/// There are two, for a connection that stays open is as good as its address: what may be private must not serve what
/// may not.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    public: OnceLock<Caller>,
    private: OnceLock<Caller>,
}

#[derive(Debug)]
struct Caller {
    client: Client,
    /// Why nobody can be called through TLS, if that is so.
    trustless: Option<String>,
}

/// What an endpoint answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// As it was sent, where it was.
    pub(super) retry_after: Option<String>,
    /// As much of it as is wanted.
    pub(super) body: Vec<u8>,
    /// Whether that is all of it.
    pub(super) is_whole: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The address must not be called.
    Refused(String),
    /// It took too long.
    Timeout,
    /// It is not there, or the connection broke off.
    Unreachable(anyhow::Error),
}

impl Callers {
    /// Calls an endpoint, and reads what it answers.
    pub(super) async fn call(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
        body: impl Into<Body>,
    ) -> Result<Answer, Fault> {
        let url = Url::parse(endpoint.url.expose()).map_err(|error| Fault::Refused(error.to_string()))?;
        look_at(&url, endpoint.private)?;
        let caller = self.caller(endpoint.private)?;
        if let Some(why) = caller.trustless.as_ref().filter(|_| url.scheme() == "https") {
            return Err(Fault::Unreachable(anyhow::Error::msg(why.clone())));
        }
        let request = caller.client.request(endpoint.method.clone(), url).headers(headers).body(body);
        let response = request.timeout(endpoint.timeout).send().await.map_err(judge)?;
        read(response, endpoint.response_bytes_max).await
    }

    fn caller(&self, private: bool) -> Result<&Caller, Fault> {
        let place = if private { &self.private } else { &self.public };
        if let Some(caller) = place.get() {
            return Ok(caller);
        }
        let caller = build(private).map_err(Fault::Unreachable)?;
        Ok(place.get_or_init(|| caller))
    }
}

/// Whom the machine trusts, and why nobody, if that is so.
fn trusted() -> (RootCertStore, Option<String>) {
    let (found, mut roots) = (rustls_native_certs::load_native_certs(), RootCertStore::empty());
    let (_, unfit) = roots.add_parsable_certificates(found.certs);
    let mut faults: Vec<String> = found.errors.iter().take(FAULTS).map(ToString::to_string).collect();
    if unfit > 0 {
        faults.push(format!("{unfit} of them are no certificates"));
    }
    let faults = faults.join("; ");
    if !roots.is_empty() {
        if !faults.is_empty() {
            tracing::warn!(
                faults,
                "some certificates of this machine could not be read: who shows one of them is not called"
            );
        }
        return (roots, None);
    }
    let cause = if faults.is_empty() { faults } else { format!(" ({faults})") };
    let help = "help: install ca-certificates or set SSL_CERT_FILE, and start the worker again";
    (roots, Some(format!("no trusted certificates on this machine{cause}; {help}")))
}

fn build(private: bool) -> anyhow::Result<Caller> {
    let (roots, trustless) = trusted();
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Resolver { private })
        .redirect(Policy::none())
        .referer(false)
        // Trying again is the queue's affair.
        .retry(retry::never())
        .no_proxy();
    Ok(Caller { client: client.build()?, trustless })
}

/// An address that is written as a number never gets to the resolver.
fn look_at(url: &Url, private: bool) -> Result<(), Fault> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        _ => return Ok(()),
    };
    Refused::of(address, private).map_or(Ok(()), |why| Err(Fault::Refused(why.to_string())))
}

async fn read(mut response: Response, most: u64) -> Result<Answer, Fault> {
    let (status, most) = (response.status(), usize::try_from(most).unwrap_or(usize::MAX));
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(str::to_owned);
    let (mut body, mut is_whole) = (Vec::new(), true);
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
            Ok(Some(chunk)) => {
                body.extend_from_slice(chunk.get(..most - body.len()).unwrap_or_default());
                is_whole = false;
                break;
            }
            // Nobody knows whether an answer that breaks off was a good one. A bad one is bad all the same.
            Err(error) if status.is_success() => return Err(judge(error)),
            Err(_) => {
                is_whole = false;
                break;
            }
        }
    }
    Ok(Answer { status, retry_after, body, is_whole })
}

fn judge(error: reqwest::Error) -> Fault {
    // The url may hold a token.
    let error = error.without_url();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return Fault::Refused(refused.to_string());
        }
        cause = inner.source();
    }
    if error.is_timeout() { Fault::Timeout } else { Fault::Unreachable(anyhow::Error::new(error)) }
}

/// A value that is not shown by whoever prints the headers.
pub(super) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
