//! "Did you mean": the known word nearest to one that is not known.

use std::fmt::Display;

/// The candidate nearest to `word`, if one is near enough to be a slip of the finger.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distance_max = 1.max(word.chars().count() / 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A help that names the nearest candidate, if one is near enough: "did you mean `ttl`?".
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// A help that names the nearest candidate, or else, after a few words, all of them.
pub(super) fn nearest_or_all<'a>(
    word: &str,
    words_before: &str,
    candidates: impl Iterator<Item = &'a str> + Clone,
) -> String {
    did_you_mean(word, candidates.clone()).unwrap_or_else(|| format!("{words_before}: {}", list(candidates)))
}

/// "`a`, `b`, `c`".
pub(super) fn list(words: impl IntoIterator<Item = impl Display>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised() {
        let known = ["url", "ttl", "shutdown_grace", "sql"];
        assert_eq!(nearest("tll", known), Some("ttl"));
        assert_eq!(nearest("TTL", known), Some("ttl"));
        assert_eq!(nearest("shutdwon_grace", known), Some("shutdown_grace"));
        assert_eq!(nearest("aggregates", known), None);
        assert_eq!(nearest("", []), None);
    }

    #[test]
    fn without_a_near_one_all_are_named() {
        assert_eq!(
            nearest_or_all("x9", "known here", ["late", "zone"].into_iter()),
            "known here: `late`, `zone`"
        );
    }
}
