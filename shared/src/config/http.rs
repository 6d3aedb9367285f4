//! `[http.NAME]`: the application's own endpoints, which jobs call by name.
//!
//! Where a call goes is said here and nowhere else: a job names an endpoint and brings a body. So whoever can enqueue
//! can make Brasa call what the configuration lists, and nothing beside it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;
use url::{Host, Url};

use super::address::{Address, source};
use super::complaint::{Complaint, clip};
use super::hiding::{hide, hide_in};
use super::interpolate::interpolate;
use super::otlp::Otlp;
use super::problem::Origin;
use super::secret::Secret;
use super::section::Section;
use crate::network::{Realm, realm};

/// What a request may be.
const METHODS: &[(&str, Methods)] =
    &[("POST", Methods::Post), ("PUT", Methods::Put), ("PATCH", Methods::Patch), ("DELETE", Methods::Delete)];

/// How long a call may take, unless it is said otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read: unless it is said otherwise, and at most.
const RESPONSE_BYTES: (u64, u64) = (64 << 10, 16 << 20);
/// How large a body may be, unless it is said otherwise. No job is larger.
const BODY_BYTES: u64 = 256 << 10;
/// A shorter secret can be guessed.
const SECRET_BYTES_MIN: usize = 16;
/// What is shorter is hidden in no answer: half of the text would go with it.
const HIDDEN_BYTES_MIN: usize = 6;

const HELP_URL: &str = r#"write where it is, as in url = "https://app.example.com/jobs""#;
const HELP_SECRET: &str = r#"make one with `openssl rand -hex 32`, and write secret = "${NAME}""#;
const HELP_HEADERS: &str = r#"write texts, as in headers = { authorization = "Bearer ${TOKEN}" }"#;

/// Headers that Brasa sets itself, or that would change where the request ends.
const OURS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// One of `[http.NAME]`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where the endpoint was written.
    pub origin: Origin,
    /// What is called; tokens in it are hidden with the rest.
    pub url: Secret,
    /// How; `POST` by default.
    pub method: Method,
    /// How long a call may take, from the look-up of the name to the last byte of the answer; 10 s by default.
    pub timeout: Duration,
    /// What is sent beside the headers that Brasa sets itself.
    pub headers: BTreeMap<String, Secret>,
    /// What requests are signed with, the newest first; none by default, and two while one takes over from the other.
    pub secrets: Vec<Secret>,
    /// Whether it may be at an address that is not in the internet.
    pub private: bool,
    /// How much of an answer is read; 64 KiB by default.
    pub response_bytes_max: u64,
    /// How large a body may be; 256 KiB by default.
    pub body_bytes_max: u64,
    /// What came from the environment or from a file, and is taken out of answers that are shown.
    hidden: Vec<Secret>,
}

/// Words for methods: those of `http` are not `Copy`.
#[derive(Debug, Clone, Copy)]
enum Methods {
    Post,
    Put,
    Patch,
    Delete,
}

impl Endpoint {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let mut hidden = Vec::new();
        let private = section.flag("private").unwrap_or(false);
        let url = read_url(section, private, &mut hidden);
        let method = section.choice("method", METHODS).unwrap_or(Methods::Post);
        let headers = read_headers(section, &mut hidden);
        let secrets = read_secrets(section, &mut hidden);
        hidden.retain(|secret| secret.expose().len() >= HIDDEN_BYTES_MIN);
        // A secret that holds another one goes first.
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Some(Self {
            origin: section.origin(),
            method: method.into(),
            timeout: section.duration("timeout", Duration::from_millis(1)).unwrap_or(TIMEOUT),
            headers,
            secrets,
            private,
            response_bytes_max: read_size(section, "max_response", RESPONSE_BYTES),
            body_bytes_max: read_size(section, "max_body", (BODY_BYTES, BODY_BYTES)),
            hidden,
            url: url?,
        })
    }

    /// What messages about troubles are sent to, whose whole path is a secret.
    pub fn of_alerts(url: &Secret, private: bool) -> Self {
        let hidden = Url::parse(url.expose()).map(|url| url.path().to_owned()).unwrap_or_default();
        let hidden = Some(hidden).filter(|path| path.len() >= HIDDEN_BYTES_MIN);
        Self {
            origin: Origin::default(),
            url: url.clone(),
            method: Method::POST,
            timeout: TIMEOUT,
            headers: BTreeMap::new(),
            secrets: Vec::new(),
            private,
            response_bytes_max: RESPONSE_BYTES.0,
            body_bytes_max: BODY_BYTES,
            hidden: hidden.map(|path| Secret::new(path, url.source())).into_iter().collect(),
        }
    }

    /// Where spans of traces are sent.
    pub fn of_collector(otlp: &Otlp) -> Self {
        let mut endpoint = Self::of_alerts(&otlp.endpoint, true);
        endpoint.timeout = otlp.timeout;
        endpoint
            .hidden
            .extend(otlp.hidden.iter().filter(|one| one.expose().len() >= HIDDEN_BYTES_MIN).cloned());
        endpoint.hidden.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        endpoint
    }

    /// A text that an endpoint answered, without the secrets that it was sent: some echo what they get. It may be JSON.
    pub fn hide(&self, text: &str) -> String {
        hide(text, &self.hidden)
    }

    /// The same of an answer that was read as JSON, which it stays.
    pub fn hide_in(&self, answer: Value) -> Value {
        hide_in(answer, &self.hidden)
    }
}

/// Why an address must not be called, in words; nothing where it may be.
pub fn forbidden(address: std::net::IpAddr, private: bool) -> Option<String> {
    match realm(address) {
        Realm::Public => None,
        Realm::Private(_) if private => None,
        Realm::Private(what) => Some(format!("its address {address} is {what}, and not in the internet")),
        Realm::Never(what) => Some(format!("its address {address} is {what}, and is never called")),
    }
}

/// What to do about an address that must not be called.
pub const HELP_PRIVATE: &str = "if the endpoint is one of your own inside the network, write private = true";

impl From<Methods> for Method {
    fn from(word: Methods) -> Self {
        match word {
            Methods::Post => Self::POST,
            Methods::Put => Self::PUT,
            Methods::Patch => Self::PATCH,
            Methods::Delete => Self::DELETE,
        }
    }
}

fn read_url(section: &mut Section<'_>, private: bool, hidden: &mut Vec<Secret>) -> Option<Secret> {
    let address = Address { key: "url", file_key: "url_file", variable: None, schemes: &["https", "http"] };
    let written = section.text("url");
    let key = if written.is_some() { "url" } else { "url_file" };
    let read = address.required(section, HELP_URL)?;
    let url = check_url(read.expose(), private).map_err(|complaint| section.complain(key, complaint)).ok()?;
    match written {
        Some(written) => drop(fill(section, "url", &written, hidden)),
        // All of it is a secret, and the path is what endpoints repeat when they do not know it.
        None => hidden.push(Secret::new(url.path(), read.source())),
    }
    Some(read)
}

/// What can be said of a url before anybody looks up its name.
pub(super) fn check_url(text: &str, private: bool) -> Result<Url, Complaint> {
    // Never quotes it: it may hold a token.
    let url = Url::parse(text).map_err(|error| Complaint::new(format!("it is no url: {error}"), HELP_URL))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Complaint::new("there is a name or a password before its host", HELP_HEADERS));
    }
    if url.fragment().is_some() {
        return Err(Complaint::new("what is behind `#` is never sent", "leave it out"));
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) => return Ok(url),
        None => return Err(Complaint::new("it names no host", HELP_URL)),
    };
    match forbidden(address, private) {
        None => Ok(url),
        Some(why) => {
            let help = if matches!(realm(address), Realm::Private(_)) { HELP_PRIVATE } else { HELP_URL };
            Err(Complaint::new(why, help))
        }
    }
}

pub(super) fn read_headers(section: &mut Section<'_>, hidden: &mut Vec<Secret>) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    for (name, value) in section.json("headers").unwrap_or_default() {
        let name = name.to_lowercase();
        let complaint = match &value {
            _ if HeaderName::from_bytes(name.as_bytes()).is_err() => {
                Complaint::new(format!("`{}` is not the name of a header", clip(&name)), HELP_HEADERS)
            }
            _ if OURS.contains(&name.as_str()) || name.starts_with("brasa-") => {
                Complaint::new(format!("Brasa sets `{name}` itself"), "leave it out")
            }
            _ if headers.contains_key(&name) => {
                Complaint::new(format!("`{name}` is written twice"), "keep one: capitals do not count")
            }
            Value::String(text) => match fill(section, "headers", text, hidden) {
                Some(secret) if HeaderValue::from_str(secret.expose()).is_ok() => {
                    headers.insert(name, secret);
                    continue;
                }
                // What is wrong with its variables has been said.
                None => continue,
                Some(_) => {
                    let help = "a value has no line breaks and no control characters";
                    Complaint::new(format!("the value of `{name}` cannot be sent"), help)
                }
            },
            _ => Complaint::new(format!("the value of `{name}` is not a text"), HELP_HEADERS),
        };
        section.complain("headers", complaint);
    }
    headers
}

/// One secret or two.
fn read_secrets(section: &mut Section<'_>, hidden: &mut Vec<Secret>) -> Vec<Secret> {
    let is_list = section.take("secret").is_some_and(|value| value.get_ref().is_array());
    let written = if is_list {
        section.parsed_each("secret", |text| Ok(text.to_owned())).unwrap_or_default()
    } else {
        section.text("secret").into_iter().collect()
    };
    if is_list && !(1..=2).contains(&written.len()) {
        let help = "write the new one first, and the one that it takes over from";
        section.report("secret", format!("there are {} secrets", written.len()), help);
    }
    let mut secrets = Vec::new();
    for text in written {
        let Some(secret) = fill(section, "secret", &text, hidden) else { continue };
        if secret.expose().len() < SECRET_BYTES_MIN {
            let message = format!("a secret of less than {SECRET_BYTES_MIN} characters can be guessed");
            section.report("secret", message, HELP_SECRET);
        }
        hidden.push(secret.clone());
        secrets.push(secret);
    }
    secrets
}

fn read_size(section: &mut Section<'_>, key: &'static str, (default, most): (u64, u64)) -> u64 {
    let size = section.size(key).unwrap_or(default);
    if size > most {
        section.report(key, "that is too much", format!("write at most \"{}KiB\"", most >> 10));
    }
    size
}

/// Puts variables in, and notes what they held as something to hide.
fn fill(section: &Section<'_>, key: &str, text: &str, hidden: &mut Vec<Secret>) -> Option<Secret> {
    let held = RefCell::new(Vec::new());
    let variable = |name: &str| {
        let value = section.reader().raw_variable(name);
        held.borrow_mut().extend(value.clone());
        value
    };
    let filled = interpolate(text, &variable);
    let from = source(section, key);
    hidden.extend(held.into_inner().into_iter().map(|value| Secret::new(value.trim(), from.as_str())));
    match filled {
        Ok(filled) => Some(Secret::new(filled.trim(), from)),
        Err(complaints) => {
            for complaint in complaints {
                section.complain(key, complaint);
            }
            None
        }
    }
}
