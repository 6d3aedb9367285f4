//! Is it new enough, and is it known to be vulnerable?

use brasa_shared::finding::Finding;

use super::facts::Facts;
use crate::app::{REDIS_MIN, VALKEY_MIN};

type Version = (u32, u32, u32);

/// The first releases in which CVE-2025-49844 is mended: who may run a script could run code on the host.
const REDIS_MENDED: &[Version] = &[(7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)];
const VALKEY_MENDED: &[Version] = &[(7, 2, 11), (8, 0, 6), (8, 1, 4)];

/// Old servers lack what the scripts use; vulnerable ones are worth knowing of.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let valkey = facts.info.text("valkey_version");
    let (called, text, least, mended) = if valkey.is_empty() {
        ("Redis", facts.info.text("redis_version"), REDIS_MIN, REDIS_MENDED)
    } else {
        ("Valkey", valkey, VALKEY_MIN, VALKEY_MENDED)
    };
    let version = parse(text);
    let found = format!("{called} {text}");
    if (version.0, version.1) < least {
        let why = "its scripts lack what the queue engine uses, and no process starts on it";
        let help = format!("upgrade to {called} {}.{} or newer", least.0, least.1);
        return vec![Finding::problem("version", found, why, help)];
    }
    let mut findings = vec![Finding::fine("version", found)];
    if is_vulnerable(version, mended) {
        let found = format!("{called} {text} is older than the release that mends CVE-2025-49844");
        let why = "whoever may run a script there may be able to run code on its host";
        let newest = mended.iter().map(|(a, b, c)| format!("{a}.{b}.{c}")).collect::<Vec<_>>().join(", ");
        let help = format!(
            "upgrade: it is mended in {newest}; a distribution may have mended it without changing the number"
        );
        findings.push(Finding::note("advisories", found, why, help));
    }
    findings
}

/// Whether its line was mended later, or never. A line that is newer than all of them was never broken.
fn is_vulnerable(version: Version, mended: &[Version]) -> bool {
    let line = mended.iter().find(|mended| (mended.0, mended.1) == (version.0, version.1));
    match line {
        Some(mended) => version < *mended,
        None => mended.last().is_none_or(|newest| version < *newest),
    }
}

fn parse(text: &str) -> Version {
    let mut parts = text.trim().split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use brasa_shared::finding::Level::{self, Note, Ok, Problem};
    use brasa_shared::telemetry::vitals::Info;

    fn levels(info: &str) -> Vec<Level> {
        let facts = Facts { info: Info::parse(info), ..Facts::default() };
        check(&facts).iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn old_servers_are_a_problem_and_vulnerable_ones_a_note() {
        for (version, expected) in [
            ("6.2.20", vec![Problem]),
            ("7.0.15", vec![Ok, Note]),
            ("7.2.10", vec![Ok, Note]),
            ("7.2.11", vec![Ok]),
            ("7.4.5", vec![Ok, Note]),
            ("8.0.4", vec![Ok]),
            ("8.2.1", vec![Ok, Note]),
            ("8.4.0", vec![Ok]),
        ] {
            assert_eq!(levels(&format!("redis_version:{version}\r\n")), expected, "Redis {version}");
        }
    }

    #[test]
    fn valkey_is_known_by_its_own_number() {
        for (version, expected) in
            [("7.0.1", vec![Problem]), ("8.0.5", vec![Ok, Note]), ("8.1.4", vec![Ok]), ("9.0.0", vec![Ok])]
        {
            let info = format!("redis_version:7.2.4\r\nvalkey_version:{version}\r\n");
            assert_eq!(levels(&info), expected, "Valkey {version}");
        }
    }
}
