//! `[telemetry] otlp`: who collects spans of traces, and of how many traces.

use std::collections::BTreeMap;
use std::time::Duration;

use super::address::Address;
use super::complaint::Complaint;
use super::http::{check_url, read_headers};
use super::secret::Secret;
use super::section::Section;

/// Where collectors take spans, below their address.
const PATH: &str = "/v1/traces";
/// How long a collector may take to answer, unless it is said otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Whose spans they are, unless it is said otherwise.
const SERVICE: &str = "brasa";

const HELP: &str = r#"write where it is, as in endpoint = "http://collector:4318""#;
const HELP_SAMPLE: &str = "write a share from 0 to 1, as in 0.1";

/// Who collects spans of traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// Where spans are sent, with the path: from `endpoint` or `endpoint_file`, and `/v1/traces`.
    pub endpoint: Secret,
    /// What is sent beside them.
    pub headers: BTreeMap<String, Secret>,
    /// Which share of the traces that begin here is collected; 1 by default. Whoever began others has decided about them.
    pub sample: f64,
    /// Whose spans they are; `brasa` by default.
    pub service_name: String,
    /// How long the collector may take to answer; 5 s by default.
    pub timeout: Duration,
    /// What came from the environment, and is taken out of what is told.
    pub(super) hidden: Vec<Secret>,
}

impl Otlp {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let mut hidden = Vec::new();
        let address = Address {
            key: "endpoint",
            file_key: "endpoint_file",
            variable: None,
            schemes: &["http", "https"],
        };
        let key = if section.has("endpoint_file") { "endpoint_file" } else { "endpoint" };
        // An empty address, of a variable that is not set, is nobody.
        let is_given = section.has("endpoint") || section.has("endpoint_file");
        let read = if is_given { address.read(section) } else { address.required(section, HELP) };
        let complain = |complaint: Complaint| section.report(key, complaint.message, HELP);
        let endpoint = read.and_then(|read| traces_of(&read).map_err(complain).ok());
        let headers = read_headers(section, &mut hidden);
        Some(Self {
            headers,
            sample: section.share("sample", HELP_SAMPLE).unwrap_or(1.0),
            service_name: section.parsed("service_name", name).unwrap_or_else(|| SERVICE.to_owned()),
            timeout: section.duration("timeout", Duration::from_millis(1)).unwrap_or(TIMEOUT),
            hidden,
            endpoint: endpoint?,
        })
    }
}

/// Where a collector takes spans. It was chosen by whoever wrote the file, so it may be inside of the network.
fn traces_of(address: &Secret) -> Result<Secret, Complaint> {
    let mut url = check_url(address.expose(), true)?;
    let path = url.path().trim_end_matches('/');
    if !path.ends_with(PATH) {
        let path = format!("{path}{PATH}");
        url.set_path(&path);
    }
    Ok(Secret::new(url, address.source()))
}

fn name(text: &str) -> Result<String, Complaint> {
    let is_good = !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
    let help = r#"write a name of 255 bytes at most, as in "shop-jobs""#;
    if is_good { Ok(text.to_owned()) } else { Err(Complaint::new("that is not a name", help)) }
}
