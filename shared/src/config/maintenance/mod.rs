//! `[maintenance]`: care of the database beyond statements of one's own.

mod indexes;
mod prune;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

pub use self::indexes::{Indexes, Upserts};
pub use self::prune::Prune;
pub use self::window::{Window, Windows};

use super::address::Address;
use super::postgres::SCHEMES;
use super::problem::Origin;
use super::schedules::zone;
use super::secret::Secret;
use super::section::Section;

/// How long a run may take, unless it is said otherwise, and at least.
const BUDGET: (Duration, Duration) = (Duration::from_hours(2), Duration::from_secs(1));

/// `[maintenance]`
#[derive(Debug, Clone, Default)]
pub struct Maintenance {
    /// Where it was written.
    pub origin: Origin,
    /// How far it may go; to the end by default, for nothing is done that was not scheduled.
    pub mode: CareMode,
    /// Where changes are made: Postgres itself and no pooler, as a role that owns the tables; from `url` or `url_file`. By
    /// default the address of `[postgres]`.
    pub url: Option<Secret>,
    /// When changes may be made; at any time by default.
    pub windows: Windows,
    /// How long a run may take; 2 h by default.
    pub budget: Budget,
    /// `[maintenance.indexes]`
    pub indexes: Indexes,
    /// `[maintenance.prune.NAME]`
    pub prune: BTreeMap<String, Prune>,
}

/// How far database care may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CareMode {
    /// `observe`: it looks, and says what it sees.
    Observe,
    /// `plan`: it says what it would do, too, and changes nothing.
    Plan,
    /// `apply`: it does it.
    #[default]
    Apply,
}

/// How long a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(pub Duration);

impl Default for Budget {
    fn default() -> Self {
        Self(BUDGET.0)
    }
}

const MODES: &[(&str, CareMode)] =
    &[("apply", CareMode::Apply), ("observe", CareMode::Observe), ("plan", CareMode::Plan)];

impl CareMode {
    /// The word for it.
    pub fn word(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("apply", |(word, _)| word)
    }
}

impl Maintenance {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let address = Address { key: "url", file_key: "url_file", variable: None, schemes: SCHEMES };
        let url = address.read(section);
        let zone = section.parsed("zone", zone).unwrap_or(TimeZone::UTC);
        let windows = section.parsed_each("windows", Window::parse).unwrap_or_default();
        Self {
            origin: section.origin(),
            mode: section.choice("mode", MODES).unwrap_or_default(),
            url,
            windows: Windows { windows, zone },
            budget: section.duration("budget", BUDGET.1).map_or_else(Budget::default, Budget),
            indexes: section.table("indexes", Indexes::read),
            prune: section.named("prune", Prune::read),
        }
    }
}
