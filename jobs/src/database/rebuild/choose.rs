//! Whether an index is worth a rebuild. Two things must say so: the model of what it would be anew, and what it once was or
//! how full its pages are; or the model alone where it is sure, and half of the index is waste.

use brasa_shared::config::{Indexes, Upserts};

use super::past::{Past, ratio};
use super::upserts::HasUpserts;
use crate::database::indexes::{Index, Size, Trust, Withheld};

/// An index of which more than this is waste needs no second sign.
const SURE: f64 = 0.5;
/// An index that grew back within so many days is made small in vain.
const GROWS_BACK_DAYS: f64 = 14.0;
/// How many bytes a second a build is expected to do, where writes wait for it, and for how long they may.
const BLOCKING: (f64, f64) = (40e6, 0.5);

/// What is to become of an index, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The reason.
    pub reason: Reason,
    /// What a rebuild would give back, in bytes, and how much of the index that is.
    pub gain: Option<(u64, f64)>,
    /// What says so.
    pub sayings: Vec<Saying>,
    /// Whether writes are to wait for it.
    pub is_blocking: bool,
}

/// What says how much of an index is waste.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Saying {
    /// The model of what it would be anew.
    Model(f64, Trust),
    /// What an entry once took.
    Past(f64),
    /// How full its pages are.
    Pages(f64),
}

/// Why an index is rebuilt, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is rebuilt.
    Chosen,
    /// It is for a table of the system, a temporary one, or one of ours.
    System,
    /// It is not whole: see what is said about it elsewhere.
    Invalid,
    /// Its parts are looked at one by one.
    Partitioned,
    /// It belongs to an exclusion constraint, which cannot be rebuilt beside others.
    Exclusion,
    /// Somebody has locked it.
    Locked,
    /// It is too small to matter.
    Small,
    /// It is larger than is allowed where nobody knows how much room there is.
    Large,
    /// There is nothing to go by, and it is not guessed.
    Unknown(Withheld),
    /// It is as it should be.
    Lean,
    /// Only one thing says that it is waste, and not surely.
    OneSign,
    /// It was rebuilt not long ago.
    Cooling,
    /// It grows back as fast as it is made small.
    GrowsBack,
    /// It failed, and is left alone for a while.
    Resting,
    /// It is unique, and rows are upserted into its table: that would fail now and then.
    Upserts,
    /// It is unique, and nobody knows whether rows are upserted into its table.
    PerhapsUpserts,
}

impl Reason {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Chosen => "much of it is waste",
            Self::System => "it is the server's, or ours",
            Self::Invalid => "it is not valid",
            Self::Partitioned => "its parts are looked at one by one",
            Self::Exclusion => "it belongs to an exclusion constraint, which cannot be rebuilt beside others",
            Self::Locked => "somebody has locked it",
            Self::Small => "it is small",
            Self::Large => {
                "it is large, and nobody knows how much room the disk has: set [maintenance.indexes] disk"
            }
            Self::Unknown(Withheld::Method) => "its method has no model, and nothing is known of how it was",
            Self::Unknown(Withheld::NeverLooked) => "its table was never analyzed",
            Self::Unknown(Withheld::NoStatistics) => {
                "this role may not see its statistics, or there are none"
            }
            Self::Unknown(Withheld::Stale) => "its statistics are old: analyze its table first",
            Self::Unknown(Withheld::NotThere) => "it has no pages of its own, or is locked",
            Self::Lean => "it is as it should be",
            Self::OneSign => "only one thing says that it is waste, and not surely",
            Self::Cooling => "it was rebuilt not long ago",
            Self::GrowsBack => {
                "it grows back as fast as it is made small: a lower fillfactor would help more"
            }
            Self::Resting => "it failed, and is left alone for a while",
            Self::Upserts => "it is unique, and upserts into its table would fail while it is rebuilt",
            Self::PerhapsUpserts => {
                "it is unique, and nobody knows whether rows are upserted into its table: let pg_stat_statements count for a \
                 week, or name the table in [maintenance.indexes] without_upserts"
            }
        }
    }

    /// One word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::System => "system",
            Self::Invalid => "invalid",
            Self::Partitioned => "partitioned",
            Self::Exclusion => "exclusion",
            Self::Locked => "locked",
            Self::Small => "small",
            Self::Large => "large",
            Self::Unknown(_) => "unknown",
            Self::Lean => "lean",
            Self::OneSign => "one-sign",
            Self::Cooling => "cooling",
            Self::GrowsBack => "grows-back",
            Self::Resting => "resting",
            Self::Upserts => "upserts",
            Self::PerhapsUpserts => "perhaps-upserts",
        }
    }
}

/// What is known beside the index itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside {
    /// From before.
    pub past: Past,
    /// How many bytes it would have if its pages were full, if somebody read them.
    pub pages: Option<u64>,
    /// Whether rows are upserted into its table.
    pub upserts: HasUpserts,
    /// Whether it is known how much room the disk has.
    pub knows_disk: bool,
}

/// Decides about an index.
pub(super) fn choose(index: &Index, beside: &Beside, rules: &Indexes) -> Choice {
    let (sayings, gain) = signs(index, beside);
    let mut choice = Choice { reason: Reason::Chosen, gain, sayings, is_blocking: false };
    choice.reason = exempt(index, rules)
        .or_else(|| worth(index, &choice, rules))
        .or_else(|| tried(index, beside, rules))
        .unwrap_or(Reason::Chosen);
    if choice.reason == Reason::Chosen && index.is_unique {
        choice = unique(index, beside, rules, choice);
    }
    choice
}

/// Somebody named it: what it would give back does not matter, what it would break does.
pub(super) fn choose_named(index: &Index, beside: &Beside, rules: &Indexes) -> Choice {
    let (sayings, gain) = signs(index, beside);
    let choice = Choice { reason: Reason::Chosen, gain, sayings, is_blocking: false };
    let named = Indexes { size_min: 0, ..rules.clone() };
    match exempt(index, &named).or_else(|| large(index, beside, rules)) {
        Some(reason) => Choice { reason, ..choice },
        None if index.is_unique => unique(index, beside, rules, choice),
        None => choice,
    }
}

fn exempt(index: &Index, rules: &Indexes) -> Option<Reason> {
    let Size::Bytes(bytes) = index.size else { return Some(Reason::Locked) };
    if index.is_of_system || index.schema == "brasa" {
        return Some(Reason::System);
    }
    if index.is_partitioned {
        return Some(Reason::Partitioned);
    }
    if !index.is_valid || !index.is_ready || !index.is_live || index.is_being_built {
        return Some(Reason::Invalid);
    }
    if index.is_exclusion {
        return Some(Reason::Exclusion);
    }
    (bytes < rules.size_min).then_some(Reason::Small)
}

/// What says that it is waste, and how much it would give back: by the most cautious of those that agree.
fn signs(index: &Index, beside: &Beside) -> (Vec<Saying>, Option<(u64, f64)>) {
    let mut sayings = Vec::new();
    let Some(bytes) = index.bytes() else { return (sayings, None) };
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let size = bytes.max(1) as f64;
    if let (Some((_, share)), Ok(estimate)) = (index.bloat(), index.estimate) {
        sayings.push(Saying::Model(share, estimate.trust));
    }
    if let Some(now) = ratio(index)
        && let Some(was) = beside.past.ratio
    {
        sayings.push(Saying::Past((1.0 - was / now).max(0.0)));
    }
    if let Some(pages) = beside.pages {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = bytes.saturating_sub(pages) as f64 / size;
        sayings.push(Saying::Pages(share));
    }
    // Lists of rows that came apart look full, page by page: the model knows better.
    let share = match sayings.as_slice() {
        [] => None,
        [Saying::Model(share, Trust::High), ..] => Some(*share),
        all => all.iter().map(|saying| saying.share()).min_by(f64::total_cmp),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a size")]
    let gain = share.map(|share| ((size * share) as u64, share));
    (sayings, gain)
}

impl Saying {
    /// How much of the index is waste, between 0 and 1.
    pub fn share(self) -> f64 {
        match self {
            Self::Model(share, _) | Self::Past(share) | Self::Pages(share) => share,
        }
    }
}

fn worth(index: &Index, choice: &Choice, rules: &Indexes) -> Option<Reason> {
    let least = f64::from(rules.bloat_min) / 100.0;
    let Some((gain, _)) = choice.gain else {
        return Some(Reason::Unknown(index.estimate.err().unwrap_or(Withheld::Method)));
    };
    let yes = choice.sayings.iter().filter(|saying| saying.share() >= least).count();
    if yes == 0 || gain < rules.gain_min {
        return Some(Reason::Lean);
    }
    let is_sure = choice.sayings.iter().any(|saying| match saying {
        Saying::Model(share, trust) => *trust == Trust::High && *share >= SURE,
        // Of other methods nothing but their own past is known, and that must speak clearly.
        Saying::Past(share) => index.estimate == Err(Withheld::Method) && *share >= SURE,
        Saying::Pages(_) => false,
    });
    (yes < 2 && !is_sure).then_some(Reason::OneSign)
}

fn tried(index: &Index, beside: &Beside, rules: &Indexes) -> Option<Reason> {
    let past = beside.past;
    if past.is_resting {
        return Some(Reason::Resting);
    }
    if let Some(days) = past.rebuilt_days {
        let grew = index
            .bytes()
            .zip(past.bytes_after)
            .map(|(now, then)| i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(then));
        if days < GROWS_BACK_DAYS
            && grew.zip(past.gained).is_some_and(|(grew, gained)| gained > 0 && grew >= gained)
        {
            return Some(Reason::GrowsBack);
        }
        if days * 86_400.0 < rules.cooldown.as_secs_f64() {
            return Some(Reason::Cooling);
        }
    }
    large(index, beside, rules)
}

fn large(index: &Index, beside: &Beside, rules: &Indexes) -> Option<Reason> {
    let is_large = index.bytes().is_some_and(|bytes| bytes > rules.size_max);
    (is_large && !beside.knows_disk).then_some(Reason::Large)
}

fn unique(index: &Index, beside: &Beside, rules: &Indexes, choice: Choice) -> Choice {
    let reason = match beside.upserts {
        HasUpserts::No => return choice,
        HasUpserts::Yes => Reason::Upserts,
        HasUpserts::Unknown => Reason::PerhapsUpserts,
    };
    // It takes no longer than one of the size that it has.
    let bytes = index.estimate.map_or_else(|_| index.bytes().unwrap_or(u64::MAX), |estimate| estimate.bytes);
    #[expect(clippy::cast_precision_loss, reason = "a guess of a time")]
    let seconds = bytes as f64 / BLOCKING.0;
    match rules.upserts {
        Upserts::Retry => choice,
        Upserts::Blocking if seconds <= BLOCKING.1 => Choice { is_blocking: true, ..choice },
        Upserts::Skip | Upserts::Blocking => Choice { reason, ..choice },
    }
}
