//! `[web]`: where the dashboard and the HTTP API are, and who gets in.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

mod token;

pub use token::{Role, Token};

use super::complaint::{Complaint, clip};
use super::listen::listen;
use super::problem::Origin;
use super::section::Section;

/// The variable that wins over `listen`.
const LISTEN_VARIABLE: &str = "BRASA_WEB_LISTEN";
/// Where it is answered unless it is said otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9700);
/// How long a login lasts: unless it is said otherwise, and at least.
const SESSION: (Duration, Duration) = (Duration::from_hours(12), Duration::from_mins(1));

/// What `tls` is made of.
const TLS: &str = r#"certificate_file = "tls.crt", key_file = "tls.key""#;

const HELP_HOST: &str = r#"write what browsers send, as in hosts = ["brasa.example.com"]"#;
const HELP_OPEN: &str = "add a token with `brasa tokens new`, and write `tls` or behind_proxy = true";

/// The section `[web]`.
#[derive(Debug, Clone)]
pub struct Web {
    /// Where it was written.
    pub origin: Origin,
    /// Whether it was written: only then `brasa run` serves it beside a worker and a scheduler.
    pub is_written: bool,
    /// Where it is served, from `BRASA_WEB_LISTEN` or `listen`; 127.0.0.1:9700 by default, nowhere if it is `off`.
    pub listen: Option<SocketAddr>,
    /// Whether the address was asked for; the default one may give way where its port is taken.
    pub listen_explicit: bool,
    /// Whether something in front of it ends TLS and says so; not by default.
    pub behind_proxy: bool,
    /// The names under which it may be called, beside the address at which it listens.
    pub hosts: Vec<String>,
    /// The files of its certificate and its key; none by default.
    pub tls: Option<Tls>,
    /// How long a login lasts; 12 h by default.
    pub session: Duration,
    /// `[web.tokens.NAME]`: who gets in.
    pub tokens: BTreeMap<String, Token>,
}

/// Where a certificate and its key are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and what signed it.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            origin: Origin::default(),
            is_written: false,
            listen: Some(LISTEN),
            listen_explicit: false,
            behind_proxy: false,
            hosts: Vec::new(),
            tls: None,
            session: SESSION.0,
            tokens: BTreeMap::new(),
        }
    }
}

/// The section of the document.
pub(super) fn read(root: &mut Section<'_>) -> Web {
    let is_written = root.has_table("web");
    root.table("web", |section| Web::read(section, is_written))
}

impl Web {
    fn read(section: &mut Section<'_>, is_written: bool) -> Self {
        let default = Self::default();
        let (listen, listen_explicit) = listen(section, LISTEN_VARIABLE, LISTEN);
        let web = Self {
            origin: section.origin(),
            is_written,
            listen,
            listen_explicit,
            behind_proxy: section.flag("behind_proxy").unwrap_or(false),
            hosts: section.parsed_each("hosts", host).unwrap_or_default(),
            tls: section.optional_table("tls", TLS, Tls::read),
            session: section.duration("session", SESSION.1).unwrap_or(default.session),
            tokens: section.named("tokens", Token::read),
        };
        if let Some(why) = web.unguarded(web.listen) {
            section.report("listen", why, HELP_OPEN);
        }
        web
    }

    /// Why it must not listen there, in words; nothing where it may.
    ///
    /// Who is on this machine needs a token as anybody else; from elsewhere one could also be read on its way.
    pub fn unguarded(&self, address: Option<SocketAddr>) -> Option<String> {
        let address = address.filter(|address| !address.ip().is_loopback())?;
        let missing = match (self.tokens.is_empty(), self.tls.is_none() && !self.behind_proxy) {
            (false, false) => return None,
            (true, false) => "there is no token",
            (false, true) => "what is sent there is not encrypted",
            (true, true) => "there is no token, and what is sent there is not encrypted",
        };
        Some(format!("{address} can be reached from elsewhere, and {missing}"))
    }
}

impl Tls {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let help = format!("write tls = {{ {TLS} }}");
        let (certificate, key) = (section.text("certificate_file"), section.text("key_file"));
        if certificate.is_none() || key.is_none() {
            section.report_missing("needs both `certificate_file` and `key_file`", help);
        }
        let path = |text: String| section.reader().resolve(&text);
        Some(Self { certificate_file: certificate.map(path)?, key_file: key.map(path)? })
    }
}

/// A name as it stands in the header `Host`, with a port or without.
fn host(text: &str) -> Result<String, Complaint> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if text.is_empty() || !text.chars().all(is_fine) {
        return Err(Complaint::new(format!("`{}` is not the name of a host", clip(text)), HELP_HOST));
    }
    Ok(text.to_ascii_lowercase())
}
