//! What is said where workers of another prefix look after the database.

use std::error::Error;
use std::fmt;

use brasa_shared::db::Owner;

/// What to do about it.
pub(crate) const HELP: &str = "give each installation a database of its own, or both the same prefix and Redis; \
                               `brasa migrate --adopt` makes it ours";
/// What would come of it otherwise.
pub(crate) const WHY: &str = "two installations would take each other's jobs and changes";

/// A database that is looked after by workers of another prefix than ours.
#[derive(Debug)]
pub(crate) struct Foreign {
    owner: Owner,
    ours: String,
}

impl Foreign {
    /// None where it is ours, or nobody's yet.
    pub(crate) fn of(owner: Option<Owner>, ours: &str) -> Option<Self> {
        let owner = owner.filter(|owner| owner.prefix != ours)?;
        Some(Self { owner, ours: ours.to_owned() })
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { prefix, since } = &self.owner;
        write!(
            f,
            "workers with the prefix `{prefix}` look after this database, since {since}; ours is `{}`",
            self.ours
        )
    }
}

impl Error for Foreign {}
