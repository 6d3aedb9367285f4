//! Is our schema there, and as new as this program?

use brasa_shared::db::Standing;
use brasa_shared::finding::Finding;

use super::facts::Facts;
use crate::owner::{self, Refusal};
use brasa_shared::db::quoted;

/// What `brasa migrate` would do.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let why = "this program counts on what the migrations make";
    vec![match &facts.schema {
        Ok(Standing { is_there: false, .. }) => {
            Finding::problem("schema", "there is no schema `brasa`", why, "brasa migrate")
        }
        Ok(Standing { missing: missing @ 1.., .. }) => {
            let found = format!("{missing} migration(s) of schema `brasa` have not run");
            Finding::problem("schema", found, why, "brasa migrate")
        }
        Ok(Standing { unknown: unknown @ 1.., .. }) => Finding::note(
            "schema",
            format!("{unknown} migration(s) ran that this program does not know"),
            "a newer Brasa has been here; schemas are made so that the release before still works on them",
            "deploy the newer version everywhere",
        ),
        Ok(_) => Finding::fine("schema", "schema `brasa` is up to date"),
        Err(refused) => Finding::note(
            "schema",
            format!("schema `brasa` could not be looked at: {refused}"),
            why,
            format!(
                "grant usage on schema brasa to {0}; grant select on all tables in schema brasa to {0}",
                quoted(&facts.role)
            ),
        ),
    }]
}

/// Whose workers look after the database.
pub(super) fn owner(facts: &Facts) -> Vec<Finding> {
    let finding =
        |refusal: &Refusal| Finding::problem("owner", refusal.to_string(), owner::WHY, refusal.help());
    facts.refusal.iter().map(finding).collect()
}
