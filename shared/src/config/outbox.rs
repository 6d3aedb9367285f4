//! `[outbox]`: jobs that are enqueued in SQL.

use super::section::Section;

/// The section `[outbox]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbox {
    /// Whether workers with Postgres relay what `brasa.enqueue` puts in; true by default.
    pub enabled: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Outbox {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self { enabled: section.flag("enabled").unwrap_or(Self::default().enabled) }
    }
}
