//! `[telemetry]`: where the process can be looked at, how it logs, and who collects its traces.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tracing_subscriber::EnvFilter;

use super::complaint::{Complaint, clip};
use super::listen::listen;
use super::otlp::Otlp;
use super::section::Section;
use super::suggest::nearest_or_all;
use crate::telemetry::logs::LogForm;

/// The variable that wins over `listen`.
const LISTEN_VARIABLE: &str = "BRASA_LISTEN";
/// Where it is answered unless it is said otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9600);

/// What `otlp` may be made of.
const OTLP: &str = r#"endpoint = "http://collector:4318""#;

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// The section `[telemetry]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Where `/metrics`, `/live` and `/ready` are served, from `BRASA_LISTEN` or `listen`; 127.0.0.1:9600
    /// by default, nowhere if it is `off`.
    pub listen: Option<SocketAddr>,
    /// Whether the address was asked for; the default one may give way where its port is taken.
    pub listen_explicit: bool,
    /// How lines are written; `auto` by default.
    pub log: LogForm,
    /// What is logged, as a filter of `tracing`; `info` by default.
    pub level: String,
    /// `otlp`: who collects spans of traces; nobody by default.
    pub otlp: Option<Otlp>,
    /// Whether statements that run for a job say so in a comment; not by default.
    pub sql_comments: bool,
}

const FORMS: &[(&str, LogForm)] =
    &[("auto", LogForm::Auto), ("human", LogForm::Human), ("json", LogForm::Json)];

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            listen: Some(LISTEN),
            listen_explicit: false,
            log: LogForm::Auto,
            level: "info".to_owned(),
            otlp: None,
            sql_comments: false,
        }
    }
}

impl Telemetry {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let (listen, listen_explicit) = listen(section, LISTEN_VARIABLE, LISTEN);
        Self {
            listen,
            listen_explicit,
            log: section.choice("log", FORMS).unwrap_or(default.log),
            level: section.parsed("level", level).unwrap_or(default.level),
            otlp: section.optional_table("otlp", OTLP, Otlp::read),
            sql_comments: section.flag("sql_comments").unwrap_or(default.sql_comments),
        }
    }
}

/// A filter, whose bare words are levels: to `tracing` any other word is a target, which hides typing errors.
fn level(text: &str) -> Result<String, Complaint> {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let mut words = text.split(',').map(str::trim);
    if let Some(word) = words.find(|word| !word.contains(['=', '[']) && !is_level(word)) {
        let help =
            nearest_or_all(word, "write a level or `target=level`; levels are", LEVELS.iter().copied());
        return Err(Complaint::new(format!("`{}` is not a level", clip(word)), help));
    }
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| {
        let message = format!("`{}` is not a filter: {error}", clip(text));
        Complaint::new(message, "write it as in \"info\" or \"info,brasa_worker=debug\"")
    })
}
