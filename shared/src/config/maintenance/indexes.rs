//! `[maintenance.indexes]`: which indexes are worth a rebuild.

use std::time::Duration;

use crate::config::problem::Origin;
use crate::config::section::Section;
use crate::config::writes::TableName;

/// The section `[maintenance.indexes]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexes {
    /// Where it was written.
    pub origin: Origin,
    /// Smaller ones are left alone, in bytes; 16 MiB by default.
    pub size_min: u64,
    /// Larger ones are left alone where nobody knows how much room the disk has, in bytes; 10 GiB by default.
    pub size_max: u64,
    /// How much of an index must be waste, in per cent; 30 by default.
    pub bloat_min: u32,
    /// How much a rebuild must give back, in bytes; 8 MiB by default.
    pub gain_min: u64,
    /// How long an index is left alone after a rebuild; 10 days by default.
    pub cooldown: Duration,
    /// How many are rebuilt in a run at most; 20 by default.
    pub builds_max: u32,
    /// How much the disk of the database holds, in bytes: then what is free is known everywhere.
    pub disk: Option<u64>,
    /// What becomes of unique indexes whose tables have upserts.
    pub upserts: Upserts,
    /// Tables of which it is known that nobody upserts into them, as they are written in SQL.
    pub without_upserts: Vec<String>,
}

/// What becomes of unique indexes of tables with upserts. While such an index is rebuilt beside others,
/// `ON CONFLICT` fails now and then: Postgres takes the new index for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upserts {
    /// `skip`: they are left alone, and recommended to a person.
    Skip,
    /// `retry`: they are rebuilt, for the application tries again after errors 23505 and 42P10.
    Retry,
    /// `blocking`: they are rebuilt while writes wait, where that takes half a second at most.
    Blocking,
}

const UPSERTS: &[(&str, Upserts)] =
    &[("blocking", Upserts::Blocking), ("retry", Upserts::Retry), ("skip", Upserts::Skip)];

impl Default for Indexes {
    fn default() -> Self {
        Self {
            origin: Origin::default(),
            size_min: 16 << 20,
            size_max: 10 << 30,
            bloat_min: 30,
            gain_min: 8 << 20,
            cooldown: Duration::from_hours(240),
            builds_max: 20,
            disk: None,
            upserts: Upserts::Skip,
            without_upserts: Vec::new(),
        }
    }
}

impl Indexes {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            origin: section.origin(),
            size_min: section.size("min_size").unwrap_or(default.size_min),
            size_max: section.size("max_size").unwrap_or(default.size_max),
            bloat_min: section.whole("bloat", 1..=99).unwrap_or(default.bloat_min),
            gain_min: section.size("min_gain").unwrap_or(default.gain_min),
            cooldown: section.duration("cooldown", Duration::ZERO).unwrap_or(default.cooldown),
            builds_max: section.whole("max_builds", 1..=10_000).unwrap_or(default.builds_max),
            disk: section.size("disk"),
            upserts: section.choice("upserts", UPSERTS).unwrap_or(default.upserts),
            without_upserts: section
                .parsed_each("without_upserts", |text| TableName::parse(text).map(|name| name.to_string()))
                .unwrap_or_default(),
        }
    }
}
