//! Scripts that held Redis for long: while one runs, nobody else is served.

use brasa_shared::finding::Finding;

use super::super::timing::span;
use super::facts::{Facts, SlowCall};
use super::millis;

/// A script that took longer than this is a burden on everybody, in µs.
const LONG_US: u64 = 100_000;

/// What the log of slow commands has of scripts.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let calls = match &facts.slow {
        Ok(calls) => calls,
        Err(refused) => {
            let found = format!("SLOWLOG could not be read ({refused})");
            let why = "scripts that hold Redis for long are not looked at";
            let help = "ACL SETUSER this user with +slowlog|get";
            return vec![Finding::note("slow scripts", found, why, help)];
        }
    };
    let (ours, theirs): (Vec<_>, Vec<_>) =
        calls.iter().filter(|call| is_script(call)).partition(|call| is_ours(call, &facts.prefix));
    let mut findings = Vec::new();
    for (whose, calls) in [("ours", ours), ("of somebody else", theirs)] {
        let Some(slowest) = calls.iter().max_by_key(|call| call.took_us) else { continue };
        let latest_s = calls.iter().map(|call| call.at_s).max().unwrap_or_default();
        let found = format!(
            "{} {whose}, the slowest took {}, the latest was {} ago",
            calls.len(),
            millis(slowest.took_us),
            span((facts.now_ms - latest_s * 1_000).max(0))
        );
        let why = "while a script runs Redis serves nobody: claims, renewals and the application wait";
        let help = "look at SLOWLOG GET and at the host (swap? too few cores?); SLOWLOG RESET begins afresh";
        findings.push(if slowest.took_us > LONG_US {
            Finding::warning("slow scripts", found, why, help)
        } else {
            Finding::note("slow scripts", found, why, help)
        });
    }
    if findings.is_empty() {
        findings.push(Finding::fine("slow scripts", "none in SLOWLOG"));
    }
    findings
}

fn is_script(call: &SlowCall) -> bool {
    let command = call.words.first().map(String::as_str).unwrap_or_default();
    ["EVALSHA", "EVAL", "FCALL"].iter().any(|name| command.eq_ignore_ascii_case(name))
}

/// Ours have a key of ours first: EVALSHA, the script, the number of keys, the keys.
fn is_ours(call: &SlowCall, prefix: &str) -> bool {
    let key = call.words.get(3).and_then(|key| key.strip_prefix(prefix));
    key.is_some_and(|rest| rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use brasa_shared::finding::Level;

    fn facts(calls: &[(&str, u64)]) -> Facts {
        let call = |(command, took_us): &(&str, u64)| SlowCall {
            at_s: 1_000,
            took_us: *took_us,
            words: command.split(' ').map(ToOwned::to_owned).collect(),
        };
        let slow = Ok(calls.iter().map(call).collect());
        Facts { slow, prefix: "shop".to_owned(), now_ms: 1_090_000, ..Facts::default() }
    }

    #[test]
    fn slow_scripts_are_told_apart_by_whose_they_are() {
        let calls = [("EVALSHA ab 2 shop:{default}:jobs x", 20_000), ("evalsha cd 1 shopping:x", 300_000)];
        let findings = check(&facts(&calls));

        assert_eq!(findings[0].level, Level::Note);
        assert_eq!(findings[0].found, "1 ours, the slowest took 20.0 ms, the latest was 90 s ago");
        assert_eq!(findings[1].level, Level::Warning);
        assert!(findings[1].found.starts_with("1 of somebody else"), "{findings:?}");
    }

    #[test]
    fn other_slow_commands_are_not_our_affair() {
        assert_eq!(check(&facts(&[("KEYS *", 900_000)]))[0].level, Level::Ok);
    }
}
