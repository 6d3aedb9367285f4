//! What every process of a run needs in the end.

use std::fs;
use std::path::Path;
use std::process::Child;

/// How much of what a failed program said is worth repeating.
const TAIL_CHARS: usize = 300;

/// Kills a child. That it has ended already is fine, and that it cannot be waited for helps nobody.
pub(super) fn end(child: &mut Child) {
    child.kill().and_then(|()| child.wait()).map_or_else(drop, drop);
}

/// The last that a program said, in one line.
pub(super) fn tail(log: &Path) -> String {
    let said = fs::read_to_string(log).unwrap_or_default();
    let words: Vec<_> = said.split_whitespace().collect();
    let said = words.join(" ");
    let begin = said.char_indices().rev().nth(TAIL_CHARS).map_or(0, |(place, _)| place);
    if said.is_empty() { "it said nothing".to_owned() } else { said[begin..].to_owned() }
}
