//! `[redis]`: where the queues and the cache live.

use super::address::Address;
use super::complaint::Complaint;
use super::problem::Origin;
use super::secret::Secret;
use super::section::Section;
use crate::name::check_name;

/// How the address of a Redis may begin. What is reached is the same; some servers are called Valkey.
const SCHEMES: &[&str] = &["redis", "rediss", "redis+unix", "unix", "valkey", "valkeys", "valkey+unix"];

/// The section `[redis]`.
#[derive(Debug, Clone)]
pub struct Redis {
    /// Where the section was written.
    pub origin: Origin,
    /// The address, from `REDIS_URL`, `url` or `url_file`; none if none of them gives one.
    pub url: Option<Secret>,
    /// What the names of all keys begin with; `brasa` by default.
    pub prefix: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self { origin: Origin::default(), url: None, prefix: "brasa".to_owned() }
    }
}

impl Redis {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let address =
            Address { key: "url", file_key: "url_file", variable: Some("REDIS_URL"), schemes: SCHEMES };
        let prefix = section
            .parsed("prefix", |text| check_name(text).map(|()| text.to_owned()).map_err(Complaint::from));
        Self {
            origin: section.origin(),
            url: address.read(section),
            prefix: prefix.unwrap_or_else(|| Self::default().prefix),
        }
    }
}
