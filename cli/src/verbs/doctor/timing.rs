//! Answer times and clocks, judged the same for every server.

use std::time::Duration;

use brasa_shared::finding::Finding;

/// How often a server is asked; the fastest answer says most about it and least about the moment.
pub(super) const ROUNDS: usize = 5;

/// From here on an answer is slow enough to be worth knowing, and to be a burden on every job.
const SLOW: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));
/// From here on clocks differ by too much, and by so much that one of them must be wrong, in ms.
const SKEW_MS: (i64, i64) = (2_000, 60_000);

/// Why clocks matter.
const CLOCKS: &str = "leases and delays go by Redis' clock, ticks of schedules by the schedulers', and what a \
                      statement calls now() by Postgres'";

/// How far a server's clock is from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skew {
    /// By how much the server is ahead of us, ms.
    ahead_ms: i64,
    /// By how much that may be wrong, ms: half of the time that asking took.
    doubt_ms: i64,
}

impl Skew {
    /// One question: asked at `asked_ms` by our clock, answered with `theirs_ms` after `took`. The server is
    /// taken to have looked at its clock half-way.
    pub(super) fn of(asked_ms: i64, took: Duration, theirs_ms: i64) -> Self {
        let half_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX / 4) / 2;
        // Both clocks are read in whole ms.
        Self { ahead_ms: theirs_ms - asked_ms - half_ms, doubt_ms: half_ms + 1 }
    }

    /// The one of the two that was measured better.
    pub(super) fn better(self, other: Self) -> Self {
        if other.doubt_ms < self.doubt_ms { other } else { self }
    }

    /// What it means.
    pub(super) fn judge(self) -> Finding {
        let Self { ahead_ms, doubt_ms } = self;
        let off_ms = ahead_ms.abs();
        let found = match ahead_ms {
            _ if off_ms <= doubt_ms => format!("as this host's, as far as can be told within {doubt_ms} ms"),
            ..0 => format!("{} behind this host, give or take {doubt_ms} ms", span(off_ms)),
            _ => format!("{} ahead of this host, give or take {doubt_ms} ms", span(off_ms)),
        };
        let help = "keep both clocks in step: `timedatectl set-ntp true`, or chrony, on both hosts";
        // What slow answers leave open is not held against anybody.
        match off_ms - doubt_ms {
            sure if sure > SKEW_MS.1 => Finding::problem("clock", found, CLOCKS, help),
            sure if sure > SKEW_MS.0 => Finding::warning("clock", found, CLOCKS, help),
            _ => Finding::fine("clock", found),
        }
    }
}

/// What the fastest of several answers means.
pub(super) fn answers(best: Duration) -> Finding {
    let found = format!("within {:.1} ms", best.as_secs_f64() * 1_000.0);
    let why = "every job costs some of these round trips, and a worker claims no faster than they allow";
    let help = "move the processes closer to the server, or look at its load";
    match best {
        _ if best >= SLOW.1 => Finding::warning("answers", found, why, help),
        _ if best >= SLOW.0 => Finding::note("answers", found, why, help),
        _ => Finding::fine("answers", found),
    }
}

/// A time for people.
pub(super) fn span(ms: i64) -> String {
    match ms {
        ..10_000 => format!("{ms} ms"),
        10_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brasa_shared::finding::Level;

    fn level(ahead_ms: i64, took_ms: u64) -> Level {
        let half_ms = i64::try_from(took_ms).unwrap() / 2;
        Skew::of(1_000_000, Duration::from_millis(took_ms), 1_000_000 + half_ms + ahead_ms).judge().level
    }

    #[test]
    fn clocks_that_differ_are_warned_of_and_wrong_ones_are_a_problem() {
        for (ahead_ms, expected) in [
            (0, Level::Ok),
            (2_000, Level::Ok),
            (-2_000, Level::Ok),
            (2_100, Level::Warning),
            (-59_000, Level::Warning),
            (61_000, Level::Problem),
            (-90_000_000, Level::Problem),
        ] {
            assert_eq!(level(ahead_ms, 2), expected, "{ahead_ms}");
        }
    }

    #[test]
    fn a_slow_answer_is_not_taken_for_a_wrong_clock() {
        // The server may have looked at its clock at either end of these four seconds.
        assert_eq!(level(3_500, 4_000), Level::Ok);
        assert_eq!(level(4_100, 4_000), Level::Warning);
    }

    #[test]
    fn the_fastest_question_measures_best() {
        let (slow, fast) = (Skew { ahead_ms: 900, doubt_ms: 500 }, Skew { ahead_ms: 20, doubt_ms: 1 });
        assert_eq!((slow.better(fast), fast.better(slow)), (fast, fast));
    }

    #[test]
    fn slow_answers_are_noted_and_very_slow_ones_warned_of() {
        let levels = [1, 10, 100].map(|ms| answers(Duration::from_millis(ms)).level);
        assert_eq!(levels, [Level::Ok, Level::Note, Level::Warning]);
    }
}
