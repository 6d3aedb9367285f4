//! Every key of what happened lately.

/// hash: what was done in one step of time: `done`, `failed`, and by how much each bucket of `r` (how long runs took)
/// and `w` (how long jobs waited) has grown. `number` counts steps of `step_s` seconds since 1970.
pub(super) fn work(prefix: &str, step_s: i64, number: i64) -> String {
    format!("{prefix}:work:{step_s}:{number}")
}

/// hash: process -> how it and its machine were in one minute, JSON. `number` counts minutes since 1970.
pub(super) fn vitals(prefix: &str, number: i64) -> String {
    format!("{prefix}:vitals:{number}")
}
