//! Whose database it is, as far as it concerns us: what is said where our workers must not look after it.

use std::error::Error;
use std::fmt;

use brasa_shared::db::Owner;

use crate::failure::is_forbidden;

/// What would come of it otherwise.
pub(crate) const WHY: &str = "two installations would take each other's jobs and changes";

/// Why our workers must not look after a database.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Workers of another prefix than ours do.
    Foreign { owner: Owner, ours: String },
    /// Our role may take what is there, and may not see whose it is.
    Unseen,
}

impl Refusal {
    /// None where the database is ours, or nobody's yet.
    ///
    /// # Errors
    /// What was found, where that says nothing about whose it is.
    pub(crate) fn of(
        found: Result<Option<Owner>, sqlx::Error>,
        ours: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        match found {
            Ok(owner) => {
                let foreign = owner.filter(|owner| owner.prefix != ours);
                Ok(foreign.map(|owner| Self::Foreign { owner, ours: ours.to_owned() }))
            }
            Err(error) if is_forbidden(&error) => Ok(Some(Self::Unseen)),
            Err(error) => Err(error),
        }
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Foreign { .. } => {
                "give each installation a database of its own, or both the same prefix and Redis; \
                 `brasa migrate --adopt` makes it ours, and workers of the other prefix end"
            }
            Self::Unseen => {
                "let the role that ran `brasa migrate` say: grant select, insert on brasa.owner to ROLE"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { owner: Owner { prefix, since }, ours } => write!(
                f,
                "workers with the prefix `{prefix}` look after this database, since {since}; ours is `{ours}`"
            ),
            Self::Unseen => f.write_str("this role may not see whose workers look after this database"),
        }
    }
}

impl Error for Refusal {}
