//! What is to be done about a trouble, from what is remembered of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// After which time it is told again that something is still so.
const REMIND_AFTER: Duration = Duration::from_hours(24);
/// Whoever has claimed a trouble for longer than this has died over it.
const CLAIM_MAX: Duration = Duration::from_mins(2);

/// What is remembered of a trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Since when it is there, ms since 1970.
    pub since_ms: i64,
    /// When it was told last, ms since 1970; none where it was not.
    pub told_ms: Option<i64>,
    /// What is wrong, as it was last told or found.
    pub text: String,
    /// Who is telling it at present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// Who tells something, since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// A process.
    pub by: String,
    /// Since when, ms since 1970.
    pub at_ms: i64,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Wrong,
    Well,
    /// Nobody could look.
    Unknown,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// It was not worth a word.
    Forget,
    Tell(Word),
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Began,
    Still,
    Ended,
}

impl Known {
    /// A trouble that begins.
    pub(super) fn begin(now_ms: i64, text: &str) -> Self {
        Self { since_ms: now_ms, told_ms: None, text: text.to_owned(), claim: None }
    }

    /// What is to be done now, where something is told that was so for `lasting`.
    pub(super) fn step(&self, found: Found, now_ms: i64, lasting: Duration) -> Step {
        if self.claim.as_ref().is_some_and(|claim| !has_passed(claim.at_ms, now_ms, CLAIM_MAX)) {
            return Step::Nothing;
        }
        match (found, self.told_ms) {
            (Found::Well, None) => Step::Forget,
            (Found::Well, Some(_)) => Step::Tell(Word::Ended),
            (Found::Wrong, None) if has_passed(self.since_ms, now_ms, lasting) => Step::Tell(Word::Began),
            (Found::Wrong, Some(told_ms)) if has_passed(told_ms, now_ms, REMIND_AFTER) => {
                Step::Tell(Word::Still)
            }
            (Found::Wrong | Found::Unknown, _) => Step::Nothing,
        }
    }
}

fn has_passed(since_ms: i64, now_ms: i64, span: Duration) -> bool {
    u128::try_from(now_ms.saturating_sub(since_ms)).is_ok_and(|passed| passed >= span.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const LASTING: Duration = Duration::from_mins(5);

    fn known(told_ms: Option<i64>) -> Known {
        Known { told_ms, ..Known::begin(0, "so") }
    }

    #[test]
    fn what_lasts_is_told_once_and_again_after_a_day() {
        let step = |told, minute| known(told).step(Found::Wrong, minute * MINUTE, LASTING);
        assert_eq!(step(None, 4), Step::Nothing);
        assert_eq!(step(None, 5), Step::Tell(Word::Began));
        assert_eq!(step(Some(5 * MINUTE), 6), Step::Nothing);
        assert_eq!(step(Some(5 * MINUTE), 5 + 24 * 60 - 1), Step::Nothing);
        assert_eq!(step(Some(5 * MINUTE), 5 + 24 * 60), Step::Tell(Word::Still));
    }

    #[test]
    fn what_is_over_is_told_only_where_it_was_told_that_it_began() {
        assert_eq!(known(None).step(Found::Well, 3 * MINUTE, LASTING), Step::Forget);
        assert_eq!(known(Some(1)).step(Found::Well, 9 * MINUTE, LASTING), Step::Tell(Word::Ended));
    }

    #[test]
    fn what_nobody_could_look_at_stays_as_it_was() {
        for told in [None, Some(1)] {
            assert_eq!(known(told).step(Found::Unknown, 99 * MINUTE, LASTING), Step::Nothing);
        }
    }

    #[test]
    fn what_another_tells_is_left_to_it_unless_it_has_died_over_it() {
        let claim = Some(Claim { by: "another".to_owned(), at_ms: 5 * MINUTE });
        let claimed = Known { claim, ..known(None) };
        assert_eq!(claimed.step(Found::Wrong, 6 * MINUTE, LASTING), Step::Nothing);
        assert_eq!(claimed.step(Found::Well, 6 * MINUTE, LASTING), Step::Nothing);
        assert_eq!(claimed.step(Found::Wrong, 7 * MINUTE, LASTING), Step::Tell(Word::Began));
    }
}
