//! R21, R22 and R23: what statements cost.

use crate::database::history::StatementUse;
use crate::database::review::facts::Facts;
use crate::database::review::recommendation::{Confidence, Recommendation, Severity};
use crate::database::review::words::{count, float, millis, percent, seconds, size, unsigned};

/// How much of a statement's text is shown, in characters.
const TEXT_MAX: usize = 300;
/// How large a block is, in bytes. Builds with others are rare, and the figure is for people.
const BLOCK: u64 = 8_192;
/// From how many bytes of temporary files a call spills, in the mean.
const SPILL: u64 = 1 << 20;

/// Statements that are slow, or that cost much however fast they are.
pub(super) fn slow(facts: &Facts) -> Vec<Recommendation> {
    let limits = &facts.limits;
    let mut found = Vec::new();
    for statement in facts.statement_uses.iter().filter(|one| one.calls >= limits.slow_calls) {
        let is_slow = statement.mean_ms >= limits.slow_ms && statement.share >= limits.heavy / 10.0;
        if !is_slow && statement.share < limits.heavy {
            continue;
        }
        let title = format!(
            "One statement takes {} of the time of all: {} calls, {} each in the mean.",
            percent(statement.share),
            count(statement.calls),
            millis(statement.mean_ms)
        );
        let is_grave = is_slow && statement.share >= limits.heavy;
        let severity = if is_grave { Severity::Warning } else { Severity::Info };
        found.push(told("R21", severity, title, statement).clears_when(
            "It takes a smaller share of the time, or a call takes less: look whether R11 names an index.",
        ));
    }
    found
}

/// Statements that became slower.
pub(super) fn regressed(facts: &Facts) -> Vec<Recommendation> {
    let mut found = Vec::new();
    for statement in facts.statement_uses.iter().filter(|statement| statement.is_regressed) {
        let Some((usual, spread)) = statement.usual_ms else { continue };
        let title = format!(
            "A statement that usually takes {} takes {} now, in the mean.",
            millis(usual),
            millis(statement.mean_ms)
        );
        let severity = if statement.share >= facts.limits.heavy { Severity::Warning } else { Severity::Info };
        found.push(
            told("R22", severity, title, statement)
                .shows(
                    "Usual time of a call, and how far it usually is from that",
                    format!("{} ± {}", millis(usual), millis(spread)),
                )
                .clears_when(
                    "It is as fast as it was: look for a dropped index, a changed plan, or more rows.",
                ),
        );
    }
    found
}

/// Statements whose sorts and hashes do not fit into memory.
pub(super) fn spilling(facts: &Facts) -> Vec<Recommendation> {
    let mut found = Vec::new();
    for statement in facts.statement_uses.iter().filter(|one| one.calls >= facts.limits.slow_calls) {
        let bytes = unsigned(statement.temp).saturating_mul(BLOCK);
        let each = bytes.checked_div(unsigned(statement.calls)).unwrap_or_default();
        if each < SPILL {
            continue;
        }
        let title = format!(
            "A statement writes {} to temporary files in each call, as `work_mem` is {}.",
            size(each),
            size(facts.server.work_mem)
        );
        found.push(
            told("R23", Severity::Info, title, statement)
                .with(Confidence::Medium)
                .shows(
                    "Written to temporary files",
                    format!("{} in {}", size(bytes), seconds(statement.seconds)),
                )
                .clears_when(
                    "It sorts fewer rows, an index gives them in order, or its role has a higher `work_mem`: \
                     ALTER ROLE … SET work_mem.",
                ),
        );
    }
    found
}

fn told(rule: &str, severity: Severity, title: String, statement: &StatementUse) -> Recommendation {
    let mut text: String = statement.text.chars().take(TEXT_MAX).collect();
    if text.len() < statement.text.len() {
        text.push('…');
    }
    let blocks = statement.hit + statement.read;
    let each = float(unsigned(blocks)) / float(unsigned(statement.calls).max(1));
    Recommendation::new(rule, &format!("statement {}", statement.fingerprint), severity, title)
        .shows("Statement", text)
        .shows("Calls", format!("{} in {}", count(statement.calls), seconds(statement.seconds)))
        .shows("Time in all", millis(statement.total_ms))
        .shows(
            "Mean and standard deviation of a call",
            format!("{} ± {}", millis(statement.mean_ms), millis(statement.deviation_ms)),
        )
        .shows("Share of the time of all statements", percent(statement.share))
        .shows("Blocks that a call touches", format!("{each:.0}"))
}

#[cfg(test)]
pub(in crate::database::review) mod tests {
    use super::*;

    /// A statement with a mean and a number of calls.
    pub(in crate::database::review) fn statement(text: &str, mean_ms: f64, calls: u32) -> StatementUse {
        StatementUse {
            is_ours: false,
            fingerprint: format!("{:08x}", brasa_shared::hash::fnv1a(text) >> 32),
            text: text.to_owned(),
            seconds: 86_400.0,
            calls: i64::from(calls),
            total_ms: mean_ms * f64::from(calls),
            mean_ms,
            deviation_ms: 1.0,
            share: 0.05,
            rows: 0,
            hit: 0,
            read: 0,
            temp: 0,
            usual_ms: None,
            is_regressed: false,
        }
    }

    fn with(statement: StatementUse) -> Facts {
        Facts { statement_uses: vec![statement], ..Facts::default() }
    }

    #[test]
    fn a_statement_is_slow_by_its_mean_or_its_share() {
        let one = statement("select 1", 150.0, 100);
        assert_eq!(slow(&with(one.clone()))[0].severity, Severity::Info);
        assert_eq!(slow(&with(StatementUse { share: 0.3, ..one.clone() }))[0].severity, Severity::Warning);
        assert_eq!(slow(&with(StatementUse { calls: 19, ..one.clone() })), []);
        assert_eq!(slow(&with(StatementUse { mean_ms: 99.0, ..one.clone() })), []);
        assert_eq!(slow(&with(StatementUse { mean_ms: 1.0, share: 0.2, ..one })).len(), 1);
    }

    #[test]
    fn a_statement_is_slower_only_where_its_past_says_so() {
        let one = StatementUse {
            is_regressed: true,
            usual_ms: Some((10.0, 1.0)),
            ..statement("select 1", 50.0, 100)
        };
        assert!(regressed(&with(one.clone()))[0].title.contains("usually takes 10 ms takes 50 ms"));
        assert_eq!(regressed(&with(StatementUse { is_regressed: false, ..one.clone() })), []);
        assert_eq!(regressed(&with(StatementUse { usual_ms: None, ..one })), []);
    }

    #[test]
    fn a_statement_spills_from_a_megabyte_a_call_on() {
        let one = StatementUse { temp: 12_800, ..statement("select 1", 50.0, 100) };
        assert!(spilling(&with(one.clone()))[0].title.contains("1 MB to temporary files"));
        assert_eq!(spilling(&with(StatementUse { temp: 12_000, ..one })), []);
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let one = slow(&with(statement(&"ä".repeat(400), 150.0, 100)));
        let text = &one[0].evidence[0].1;
        assert_eq!((text.chars().count(), text.ends_with('…')), (301, true));
    }
}
