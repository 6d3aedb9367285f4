//! May the role write down what became of jobs?

use brasa_shared::finding::Finding;

use super::facts::Facts;

/// Nothing where nobody wants it, or `brasa migrate` is to run first.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let why = "what became of jobs is not kept, and what waits in Redis is dropped when there is no more room for it";
    match &facts.history {
        Some(rights) if rights.may_write => {
            vec![Finding::fine("history", "what became of jobs can be written down")]
        }
        Some(rights) => {
            let found = format!("role `{}` may not write down what became of jobs", rights.role);
            vec![Finding::warning("history", found, why, rights.help())]
        }
        None => Vec::new(),
    }
}
