//! Every key of what is published, beside those that the configuration names.

/// Which version of each key of an aggregate was published last.
pub(super) fn versions(prefix: &str, name: &str) -> String {
    format!("{prefix}:boards:{{{name}}}:versions")
}
