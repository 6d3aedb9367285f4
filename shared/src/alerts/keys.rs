//! Every key of what is remembered of troubles.

/// hash: trouble -> since when it is there, and what was told of it, JSON.
pub(super) fn troubles(prefix: &str) -> String {
    format!("{prefix}:troubles")
}
