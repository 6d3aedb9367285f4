//! Is it of a version that Brasa is tried on?

use brasa_shared::finding::Finding;

use super::facts::Facts;
use crate::app::POSTGRES_MIN;

/// The first version that Brasa has not been tried on.
const UNTRIED: i32 = 180_000;

/// Older ones are refused by every process, newer ones are new to us.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let found = format!("Postgres {}", facts.version);
    vec![match facts.version_number {
        older if older < POSTGRES_MIN => {
            let why = "no process starts on it, and nobody mends it any more";
            Finding::problem("version", found, why, "upgrade it: Brasa needs 13 or newer")
        }
        newer if newer >= UNTRIED => {
            let why = "Brasa has been tried on 13 to 17";
            Finding::note("version", found, why, "run `brasa check`, and try your statements first")
        }
        _ => Finding::fine("version", found),
    }]
}
