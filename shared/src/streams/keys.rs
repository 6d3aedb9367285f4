//! Every key of the streams.

/// The key of a stream.
pub(super) fn stream(prefix: &str, name: &str, part: i32) -> String {
    format!("{prefix}:writes:{{{name}:{part}}}")
}

/// Where it is remembered for a while what a call was answered, in the slot of its stream.
pub(super) fn told(stream: &str, token: u64) -> String {
    format!("{stream}:told:{token:016x}")
}
