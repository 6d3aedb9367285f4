//! The rest of the fleet, as it can be seen in Redis: workers, what they serve, and who leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brasa_shared::finding::Finding;
use brasa_shared::queue::{Counts, FleetKeys, WorkerInfo};
use brasa_shared::seal::Keyring;
use redis::cmd;

use crate::app::App;
use crate::failure::Failure;

/// A worker that has not been seen for this long is taken for gone, in ms. They report every few seconds.
const GONE_AFTER_MS: i64 = 60_000;
/// How many names are told one by one.
const SHOWN_MAX: usize = 8;

/// The checks, in the order in which they are told. One more is one more line.
const CHECKS: &[fn(&Facts) -> Vec<Finding>] = &[workers, versions, keys, queues, kinds, leader];

/// What is known of the processes and of what waits for them.
#[derive(Debug, Default)]
struct Facts {
    /// Workers seen lately.
    workers: Vec<WorkerInfo>,
    /// What is where, by queue.
    queues: BTreeMap<String, Counts>,
    /// How many schedules are configured.
    schedules: usize,
    /// The scheduler that leads.
    leader: Option<String>,
    /// The version of this program.
    version: &'static str,
    /// The keys of this configuration, and which of them seals.
    keyring: Option<Arc<Keyring>>,
}

/// Looks at the fleet.
pub(super) async fn examine(app: &App) -> Vec<Finding> {
    match gather(app).await {
        Ok(facts) => CHECKS.iter().flat_map(|check| check(&facts)).collect(),
        Err(failure) => {
            let said = failure.into_problem("").message;
            let why = "workers, queues and schedulers were not looked at";
            vec![Finding::note("fleet", said, why, "mend what is found at Redis first")]
        }
    }
}

async fn gather(app: &App) -> Result<Facts, Failure> {
    let keys = FleetKeys::new(&app.config.redis.prefix);
    let (seconds, _): (i64, i64) = app.store.run("tell the time", &cmd("TIME")).await?;
    let mut seen_since = cmd("ZRANGEBYSCORE");
    seen_since.arg(&keys.workers).arg(seconds * 1_000 - GONE_AFTER_MS).arg("+inf");
    // What a killed worker said of itself stays until another one reports.
    let alive: BTreeSet<String> = app.store.run("list workers", &seen_since).await?;
    let mut workers = app.fleet().workers().await?;
    workers.retain(|info| alive.contains(&info.worker));
    let mut queues = BTreeMap::new();
    for (name, queue) in app.all_queues().await? {
        queues.insert(name, queue.counts().await?);
    }
    let mut ask = cmd("GET");
    ask.arg(&keys.leader);
    let leader = app.store.run("see who leads", &ask).await?;
    let schedules = app.config.schedules.len();
    let keyring = app.config.encryption.keyring.clone();
    Ok(Facts { workers, queues, schedules, leader, version: env!("CARGO_PKG_VERSION"), keyring })
}

fn workers(facts: &Facts) -> Vec<Finding> {
    let open: u64 = facts.queues.values().map(Counts::open).sum();
    let finding = match (facts.workers.len(), open) {
        (0, 0) => Finding::note(
            "workers",
            "none was seen within the last minute",
            "jobs that are enqueued now wait until there is one",
            "brasa worker, or brasa run",
        ),
        (0, open) => Finding::warning(
            "workers",
            format!("none was seen within the last minute, and there are {open} open job(s)"),
            "they wait until there is one",
            "brasa worker, or brasa run",
        ),
        (count, _) => {
            let hosts: BTreeSet<_> = facts.workers.iter().map(|worker| worker.host.as_str()).collect();
            let slots: usize = facts.workers.iter().map(|worker| worker.concurrency).sum();
            let found = format!("{count} on {} host(s), for {slots} job(s) at a time", hosts.len());
            Finding::fine("workers", found)
        }
    };
    vec![finding]
}

fn versions(facts: &Facts) -> Vec<Finding> {
    let mut by_version: BTreeMap<&str, usize> = BTreeMap::new();
    for worker in &facts.workers {
        *by_version.entry(worker.version.as_str()).or_default() += 1;
    }
    let told = by_version.iter().map(|(version, count)| format!("{version} ({count} worker(s))"));
    let told = told.collect::<Vec<_>>().join(", ");
    let why = "kinds, arguments and schedules that only one of them knows are treated unlike by the other";
    let finding = match by_version.len() {
        0 => return Vec::new(),
        1 if by_version.contains_key(facts.version) => Finding::fine("versions", told),
        1 => Finding::note(
            "versions",
            format!("{told}; this program: {}", facts.version),
            why,
            "deploy the same version everywhere",
        ),
        _ => Finding::warning(
            "versions",
            told,
            why,
            "nothing to do during a deployment; else end the workers of the older version",
        ),
    };
    vec![finding]
}

/// Workers that bury what is sealed here, for they have not the key.
fn keys(facts: &Facts) -> Vec<Finding> {
    let Some(keyring) = &facts.keyring else {
        let theirs = facts.workers.iter().filter(|worker| !worker.keys.is_empty()).count();
        let found = format!("{theirs} worker(s) have keys, and this configuration has none");
        let why = "what is enqueued with it is not sealed";
        let note = Finding::note("keys", found, why, "write [encryption] here, too; see docs/encryption.md");
        return if theirs > 0 { vec![note] } else { Vec::new() };
    };
    if facts.workers.is_empty() {
        return Vec::new();
    }
    let active = keyring.prints().into_iter().find(|(name, _)| name == keyring.active());
    let without = facts.workers.iter().filter(|worker| !active.iter().all(|key| worker.keys.contains(key)));
    let without: Vec<&str> = without.map(|worker| worker.worker.as_str()).collect();
    let Some(first) = without.first() else {
        let found = format!("every worker has the key that seals, `{}`", keyring.active());
        return vec![Finding::fine("keys", found)];
    };
    let (count, active) = (without.len(), keyring.active());
    vec![Finding::problem(
        "keys",
        format!("{count} worker(s) have not the key that seals here, `{active}`: {first}"),
        "they put what is sealed with it into the dead letter, unread",
        "give them the key and restart them before it is the active one; see docs/encryption.md",
    )]
}

fn queues(facts: &Facts) -> Vec<Finding> {
    let served =
        |queue: &str| facts.workers.iter().any(|worker| worker.queues.iter().any(|own| own == queue));
    let without: Vec<_> = facts.queues.iter().filter(|(queue, _)| !served(queue)).collect();
    if facts.workers.is_empty() {
        return Vec::new();
    }
    if without.is_empty() {
        return vec![Finding::fine("queues", format!("every one of {} has a worker", facts.queues.len()))];
    }
    let help = "start a worker with --queues, or name it in [worker] queues; a queue that nobody uses any more \
                can be left out of [queues]";
    let finding = |(queue, counts): (&String, &Counts)| match counts.open() {
        0 => {
            let found = format!("no worker serves `{queue}`, which is empty");
            Finding::note("queues", found, "jobs that are put there wait", help)
        }
        open => {
            let found = format!("no worker serves `{queue}`, with {open} open job(s)");
            Finding::warning("queues", found, "they wait until one does", help)
        }
    };
    without.into_iter().map(finding).collect()
}

/// Jobs that the workers of their queue leave alone.
fn kinds(facts: &Facts) -> Vec<Finding> {
    let mut stuck = Vec::new();
    for (queue, counts) in &facts.queues {
        let here = facts.workers.iter().filter(|worker| worker.queues.contains(queue));
        let known: BTreeSet<&str> =
            here.flat_map(|worker| worker.classes.iter().map(String::as_str)).collect();
        if known.is_empty() {
            continue;
        }
        let unknown = counts
            .waiting_by_class
            .iter()
            .filter(|(class, count)| **count > 0 && !known.contains(class.as_str()));
        stuck.extend(unknown.map(|(class, count)| format!("{count} of `{class}` in `{queue}`")));
    }
    if stuck.is_empty() {
        return Vec::new();
    }
    let more = stuck.len().saturating_sub(SHOWN_MAX);
    stuck.truncate(SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let found = format!("no worker knows what waits: {}{more}", stuck.join(", "));
    let why = "they wait until a worker of a build that knows the kind comes";
    vec![Finding::warning("kinds", found, why, "deploy that build, or `brasa jobs cancel` them")]
}

fn leader(facts: &Facts) -> Vec<Finding> {
    match (&facts.leader, facts.schedules) {
        (_, 0) => Vec::new(),
        (Some(leader), _) => vec![Finding::fine("scheduler", format!("{leader} leads"))],
        (None, count) => {
            let found = format!("none leads, and {count} schedule(s) are configured");
            let help = "brasa scheduler, or brasa run";
            vec![Finding::warning("scheduler", found, "no schedule fires while there is none", help)]
        }
    }
}

#[cfg(test)]
mod tests {
    use brasa_shared::seal::Key;

    use super::*;
    use brasa_shared::finding::Level;

    fn worker(version: &str, queues: &[&str]) -> WorkerInfo {
        WorkerInfo {
            worker: format!("w-{version}"),
            host: "a".to_owned(),
            pid: 1,
            version: version.to_owned(),
            since: 0,
            queues: queues.iter().map(ToString::to_string).collect(),
            classes: vec!["sql.run".to_owned()],
            concurrency: 5,
            keys: Vec::new(),
        }
    }

    fn facts(workers: Vec<WorkerInfo>, waiting: &[(&str, &str, u64)]) -> Facts {
        let mut queues: BTreeMap<String, Counts> = BTreeMap::new();
        for (queue, class, count) in waiting {
            let counts = queues.entry((*queue).to_owned()).or_default();
            counts.waiting += count;
            counts.waiting_by_class.insert((*class).to_owned(), *count);
        }
        Facts { workers, queues, version: "1.0.0", ..Facts::default() }
    }

    #[test]
    fn work_without_a_worker_is_warned_of() {
        assert_eq!(workers(&facts(vec![], &[]))[0].level, Level::Note);
        assert_eq!(workers(&facts(vec![], &[("default", "sql.run", 3)]))[0].level, Level::Warning);
    }

    #[test]
    fn workers_of_two_versions_are_warned_of() {
        let level = |versions: &[&str]| {
            let workers = versions.iter().map(|version| worker(version, &["default"])).collect();
            versions_of(workers)
        };
        assert_eq!(level(&["1.0.0", "1.0.0"]), Level::Ok);
        assert_eq!(level(&["0.9.0"]), Level::Note);
        assert_eq!(level(&["0.9.0", "1.0.0"]), Level::Warning);
    }

    fn versions_of(workers: Vec<WorkerInfo>) -> Level {
        versions(&facts(workers, &[]))[0].level
    }

    #[test]
    fn a_worker_without_the_key_that_seals_is_named() {
        let key = Key::read(&Key::fresh()).unwrap();
        let print = key.print().to_owned();
        let keyring = Keyring::new(BTreeMap::from([("k2".to_owned(), key)]), "k2", "k2").unwrap();
        let facts = |keyring: Option<Keyring>, of: &[(&str, &str)]| {
            let mut worker = worker("1.0.0", &["default"]);
            worker.keys = of.iter().map(|(name, print)| ((*name).to_owned(), (*print).to_owned())).collect();
            Facts { keyring: keyring.map(Arc::new), ..facts(vec![worker], &[]) }
        };
        let level = |facts: &Facts| keys(facts).first().map(|finding| finding.level);
        assert_eq!(level(&facts(None, &[])), None);
        assert_eq!(keys(&Facts { workers: Vec::new(), ..facts(Some(keyring.clone()), &[]) }), []);
        assert_eq!(level(&facts(None, &[("k2", &print)])), Some(Level::Note));
        assert_eq!(level(&facts(Some(keyring.clone()), &[("k1", "0"), ("k2", &print)])), Some(Level::Ok));
        for of in [&[][..], &[("k1", print.as_str())], &[("k2", "0")]] {
            assert_eq!(level(&facts(Some(keyring.clone()), of)), Some(Level::Problem), "{of:?}");
        }
    }

    #[test]
    fn a_queue_that_no_worker_serves_is_named() {
        let waiting = [("default", "sql.run", 1), ("low", "sql.run", 2), ("mail", "sql.run", 0)];
        let findings = queues(&facts(vec![worker("1.0.0", &["default"])], &waiting));

        let told: Vec<_> = findings.iter().map(|finding| (finding.level, finding.found.as_str())).collect();
        assert_eq!(
            told,
            [
                (Level::Warning, "no worker serves `low`, with 2 open job(s)"),
                (Level::Note, "no worker serves `mail`, which is empty"),
            ]
        );
    }

    #[test]
    fn a_kind_that_no_worker_knows_is_named() {
        let waiting = [("default", "mail.send", 4)];
        let findings = kinds(&facts(vec![worker("1.0.0", &["default"])], &waiting));

        assert!(findings[0].found.ends_with("4 of `mail.send` in `default`"), "{findings:?}");
    }

    #[test]
    fn schedules_without_a_scheduler_are_warned_of() {
        let facts = Facts { schedules: 2, ..Facts::default() };
        assert_eq!(leader(&facts)[0].level, Level::Warning);
        assert_eq!(leader(&Facts { leader: Some("s".to_owned()), ..facts })[0].level, Level::Ok);
    }
}
