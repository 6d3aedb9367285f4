//! What others wrote, as it can be told on a terminal or in a log.

/// A text that moves no cursor and breaks no line.
pub(crate) fn harmless(written: impl IntoIterator<Item = char>) -> String {
    let mut harmless = String::new();
    for c in written {
        if c.is_control() { harmless.extend(c.escape_default()) } else { harmless.push(c) }
    }
    harmless
}
