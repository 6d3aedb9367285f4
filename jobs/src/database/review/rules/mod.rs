//! What is recommended on which facts. A rule is a plain function and a line in [`RULES`].

mod activity;
mod bloat;
mod cover;
mod duplicates;
mod foreign_keys;
mod invalid;
mod names;
mod scans;
mod sequences;
mod server;
mod settings;
mod statements;
mod statistics;
mod tables;
mod unused;
mod vacuum;

use super::facts::{Facts, Subject};
use super::recommendation::Recommendation;

#[cfg(test)]
pub(super) use cover::tests::index as index_of_tests;
pub use unused::Note;
pub(super) use unused::notes;

/// A rule: its number, what it has to know, and what it recommends.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its number: `R04`.
    pub id: &'static str,
    /// What it is about, for people.
    pub about: &'static str,
    /// What has to be known: without any of it nothing is recommended, and only with all of it does "nothing to
    /// recommend" mean that all is well.
    pub needs: &'static [Subject],
    /// What it recommends.
    pub judge: fn(&Facts) -> Vec<Recommendation>,
}

macro_rules! rules {
    ($($id:literal $about:literal [$($subject:ident),*] $judge:path;)*) => {
        &[$(Rule { id: $id, about: $about, needs: &[$(Subject::$subject),*], judge: $judge }),*]
    };
}

/// Every rule, in order.
pub const RULES: &[Rule] = rules! {
    "R01" "bloated indexes" [Indexes] bloat::bloated;
    "R02" "bloated unique indexes that are written with ON CONFLICT" [Indexes, StatementUses] bloat::bloated_in_upserts;
    "R03" "indexes that bloat again soon" [Indexes, Ledger] bloat::bloated_again;
    "R04" "unused indexes" [Indexes, IndexUses, ForeignKeys] unused::unused;
    "R05" "duplicate indexes" [Indexes, ForeignKeys] duplicates::duplicates;
    "R06" "indexes that another one covers" [Indexes, ForeignKeys] duplicates::redundant;
    "R07" "invalid indexes that a rebuild of ours left" [Indexes, Ledger] invalid::ours;
    "R08" "invalid indexes of others" [Indexes] invalid::of_others;
    "R09" "copies that an interrupted rebuild left" [Indexes] invalid::copies;
    "R10" "foreign keys without an index" [Indexes, ForeignKeys] foreign_keys::uncovered;
    "R11" "missing indexes" [Plans, StatementUses, Indexes] scans::missing;
    "R12" "tables that are read as a whole" [Tables, TableUses] scans::heavy;
    "R13" "indexes from before Postgres 13" [Indexes, Metapages] bloat::unshared;
    "R14" "indexes without a model that are larger than they were" [Indexes, Ledger] bloat::outgrown;
    "R15" "stale statistics" [Tables] statistics::stale;
    "R16" "partitioned tables without statistics" [Tables, Statistics] statistics::without;
    "R17" "counters that were lost" [Tables, Spells] statistics::lost;
    "R18" "dead rows" [Tables] vacuum::dead;
    "R19" "what holds back VACUUM" [Holders] vacuum::held;
    "R20" "wraparound of transaction numbers" [Server, Tables] vacuum::wraparound;
    "R21" "slow statements" [StatementUses] statements::slow;
    "R22" "statements that became slower" [StatementUses] statements::regressed;
    "R23" "statements that spill to disk" [StatementUses, Server] statements::spilling;
    "R24" "memory for the database" [Server] server::memory;
    "R25" "caches that miss" [Caches] server::caches;
    "R26" "connections" [Activity] activity::connections;
    "R27" "sessions that idle in a transaction" [Activity] activity::idle;
    "R28" "sessions that others wait for" [Activity] activity::blocking;
    "R29" "sequences that come to their end" [Sequences] sequences::ending;
    "R30" "tables without a primary key" [Tables, Indexes] tables::without_key;
    "R31" "rows that have expired" [Expired] tables::expired;
    "R32" "replication that lags" [Replication] server::replication;
    "R33" "checkpoints that come too often" [Server] settings::checkpoints;
    "R34" "pg_stat_statements" [Server] settings::statements;
    "R35" "unsafe versions" [Server] settings::version;
    "R36" "rights" [Server] settings::rights;
};

/// What all rules recommend, the worst first, and each once.
pub(super) fn judge(facts: &Facts) -> Vec<Recommendation> {
    let has_facts = |rule: &&Rule| rule.needs.iter().all(|subject| !facts.misses(*subject));
    let mut all: Vec<_> = RULES.iter().filter(has_facts).flat_map(|rule| (rule.judge)(facts)).collect();
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|one| seen.insert((one.rule.clone(), one.object.clone())));
    once_dropped(&mut all);
    all.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| a.rule.cmp(&b.rule)).then_with(|| a.object.cmp(&b.object))
    });
    all
}

/// Leaves one of the rules that drop the same index: a duplicate is one whatever else covers it, and whatever another
/// covers is not needed, however seldom it is used.
fn once_dropped(all: &mut Vec<Recommendation>) {
    const DROPS: [&str; 3] = ["R05", "R06", "R04"];
    let place = |one: &Recommendation| DROPS.iter().position(|rule| *rule == one.rule);
    let mut best = std::collections::BTreeMap::new();
    for one in all.iter() {
        if let Some(place) = place(one) {
            let known = best.entry(one.object.clone()).or_insert(place);
            *known = place.min(*known);
        }
    }
    all.retain(|one| place(one).is_none_or(|place| best.get(&one.object) == Some(&place)));
}

/// The rules all of whose facts are known: what they no longer recommend is done with.
pub(super) fn conclusive(facts: &Facts) -> Vec<&'static str> {
    let knows = |rule: &&Rule| rule.needs.iter().all(|subject| facts.knows(*subject));
    RULES.iter().filter(knows).map(|rule| rule.id).collect()
}

#[cfg(test)]
mod tests {
    use super::cover::tests::index;
    use super::*;
    use crate::database::review::facts::Gap;

    #[test]
    fn there_are_thirty_rules_at_least_each_with_a_number_of_its_own() {
        let mut ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), RULES.len());
        assert!(ids.len() >= 30 && ids.is_sorted(), "{ids:?}");
    }

    #[test]
    fn a_rule_concludes_nothing_from_facts_that_could_not_be_had() {
        let mut facts = Facts::default();
        assert_eq!(conclusive(&facts).len(), RULES.len());
        facts.gaps.push(Gap::new(Subject::Activity, "the role may not look"));
        let left = conclusive(&facts);
        assert!(!left.contains(&"R27") && left.contains(&"R29"), "{left:?}");
    }

    #[test]
    fn a_rule_is_silent_without_any_facts_and_speaks_with_some() {
        let mut facts = Facts { indexes: vec![index("x", &["a"]), index("y", &["a"])], ..Facts::default() };
        let rules = |facts: &Facts| judge(facts).into_iter().map(|one| one.rule).collect::<Vec<_>>();
        assert!(rules(&facts).contains(&"R05".to_owned()));
        facts.gaps = vec![Gap::new(Subject::ForeignKeys, "it took too long")];
        assert!(!rules(&facts).contains(&"R05".to_owned()));
        facts.gaps = vec![Gap::new(Subject::Indexes, "one is locked").in_part()];
        assert!(rules(&facts).contains(&"R05".to_owned()));
        assert!(!conclusive(&facts).contains(&"R05"));
    }

    #[test]
    fn an_index_is_proposed_to_be_dropped_once() {
        let one = |rule| Recommendation::new(rule, "public.i", crate::database::review::Severity::Info, "");
        let mut all = vec![one("R01"), one("R04"), one("R06"), one("R05")];
        once_dropped(&mut all);
        assert_eq!(all.iter().map(|one| &*one.rule).collect::<Vec<_>>(), ["R01", "R05"]);
        let facts = Facts {
            indexes: vec![index("x", &["a"]), index("y", &["a"]), index("z", &["a", "b"])],
            ..Facts::default()
        };
        let mut objects: Vec<_> = judge(&facts).into_iter().map(|one| one.object).collect();
        objects.retain(|object| object.starts_with("public."));
        objects.sort();
        assert_eq!(objects, ["public.x", "public.y"], "each once, and the longer one stays");
    }

    #[test]
    fn of_nothing_nothing_is_recommended_that_warns() {
        let mut facts = Facts::default();
        facts.server.version = 150_018;
        let said: Vec<_> = judge(&facts).into_iter().map(|one| (one.rule, one.severity)).collect();
        assert_eq!(said, [("R34".to_owned(), crate::database::review::Severity::Info)]);
    }
}
