//! R26, R27 and R28: connections, sessions that do nothing, and sessions that others wait for.

use std::collections::BTreeMap;

use super::vacuum::{role_timeout, terminate};
use crate::database::review::facts::{Facts, Session};
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{count, many, percent, seconds, share};

/// So many sessions that wait are a pile.
const PILE: usize = 5;
/// From this share on the next application to connect is turned away.
const FULL: f64 = 0.95;
/// How many applications are named.
const NAMED_MAX: usize = 5;

/// Connections that are nearly used up: the server's, or those of our own pool.
pub(super) fn connections(facts: &Facts) -> Vec<Recommendation> {
    let mut found = Vec::new();
    let seen = &facts.activity;
    let used = share(seen.used, seen.max);
    if used >= facts.limits.connections {
        let severity = if used >= FULL { Severity::Critical } else { Severity::Warning };
        let title = format!(
            "{} of the {} connections that the server takes are used: soon it turns applications away.",
            count(seen.used),
            count(seen.max)
        );
        let mut one = Recommendation::new("R26", "connections of the server", severity, title)
            .shows("Used", percent(used))
            .clears_when(
                "Fewer are used: with smaller pools, a pooler before the server, or shorter transactions.",
            );
        for client in seen.clients.iter().take(NAMED_MAX) {
            one = one.shows(
                &format!("Connections of {}", named(&client.application, &client.role)),
                count(client.count),
            );
        }
        found.push(one);
    }
    if let Some(pool) = facts.pool.filter(|pool| pool.max > 1) {
        let used = f64::from(pool.open.saturating_sub(pool.idle)) / f64::from(pool.max);
        if used >= facts.limits.connections {
            let title = format!(
                "{} of the {} connections of Brasa's own pool are at work: jobs wait for one another.",
                pool.open.saturating_sub(pool.idle),
                pool.max
            );
            found.push(
                Recommendation::new("R26", "pool of Brasa", Severity::Info, title)
                    .shows("Used", percent(used))
                    .clears_when("[postgres] pool.max is higher, or fewer jobs run at once."),
            );
        }
    }
    found
}

/// Sessions that are idle in a transaction, by application.
pub(super) fn idle(facts: &Facts) -> Vec<Recommendation> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Session>> = BTreeMap::new();
    for session in facts.activity.idle.iter().filter(|session| session.seconds >= facts.limits.idle) {
        groups.entry((&session.application, &session.role)).or_default().push(session);
    }
    let recommend = |((application, role), sessions): ((&str, &str), Vec<&Session>)| {
        let longest = sessions.iter().map(|session| session.seconds).fold(0.0, f64::max);
        let who = named(application, role);
        let title = format!(
            "{} of {who} began a transaction and {} since, {} at the longest: locks are held, and VACUUM is held back.",
            many(sessions.len(), "session", "sessions"),
            if sessions.len() == 1 { "has done nothing" } else { "have done nothing" },
            seconds(longest)
        );
        let statements: Vec<String> = sessions.iter().filter_map(|session| ended(session, true)).collect();
        let pids: Vec<String> = sessions.iter().map(|session| session.pid.to_string()).collect();
        let found = Recommendation::new("R27", &format!("sessions of {who}"), Severity::Warning, title)
            .shows("Processes", pids.join(", "))
            .shows("So that it does not come again", role_timeout(role));
        let found = if statements.is_empty() { found } else { found.proposes(statements.join("\n")) };
        found.clears_when("The transactions end. A timeout for the role ends such sessions by itself.")
    };
    groups.into_iter().map(recommend).collect()
}

/// Sessions that others wait for.
pub(super) fn blocking(facts: &Facts) -> Vec<Recommendation> {
    let mut found: Vec<Recommendation> = Vec::new();
    for block in facts.activity.blocks.iter().filter(|block| block.seconds >= facts.limits.blocked) {
        let root = &block.root;
        let who = named(&root.application, &root.role);
        let object = format!("locks of {who}");
        if found.iter().any(|known| known.object == object) {
            continue;
        }
        let severity = if block.waiting >= PILE { Severity::Critical } else { Severity::Warning };
        let title = format!(
            "{} for a lock that {who} holds (process {}), {} at the longest.",
            many(block.waiting, "session waits", "sessions wait"),
            root.pid,
            seconds(block.seconds)
        );
        let one = Recommendation::new("R28", &object, severity, title)
            .may_show("Table", block.table.as_deref())
            .shows("What the holder does", format!("{}, for {}", state(&root.state), seconds(root.seconds)));
        let one = match ended(root, false) {
            Some(statement) => one.proposes(statement),
            None => one,
        };
        found.push(one.clears_when("The holder ends its transaction."));
    }
    found
}

fn ended(session: &Session, only_idle: bool) -> Option<String> {
    terminate(session.pid, &session.began, session.transaction_began.as_deref(), only_idle)
}

fn state(state: &str) -> &str {
    if state.is_empty() { "not to be seen" } else { state }
}

/// An application and its role, for people.
fn named(application: &str, role: &str) -> String {
    let application = if application.is_empty() { "an application without a name" } else { application };
    if role.is_empty() { application.to_owned() } else { format!("{application} (role {role})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::review::facts::{Activity, Block, Client, PoolUse};

    fn session(pid: i32, seconds: f64) -> Session {
        Session {
            pid,
            began: "2026-01-01 00:00:00+00".to_owned(),
            transaction_began: Some("2026-01-02 00:00:00+00".to_owned()),
            application: "shop".to_owned(),
            role: "app".to_owned(),
            state: "idle in transaction".to_owned(),
            seconds,
        }
    }

    fn with(activity: Activity) -> Facts {
        Facts { activity, ..Facts::default() }
    }

    #[test]
    fn connections_are_told_before_they_are_used_up() {
        let told = |used| {
            let clients =
                vec![Client { application: "shop".to_owned(), role: "app".to_owned(), count: used }];
            connections(&with(Activity { used, max: 100, clients, ..Activity::default() }))
        };
        assert_eq!(told(79), []);
        assert_eq!(told(80)[0].severity, Severity::Warning);
        assert_eq!(told(96)[0].severity, Severity::Critical);
        let pool = Some(PoolUse { open: 10, idle: 1, max: 10 });
        assert_eq!(connections(&Facts { pool, ..Facts::default() })[0].object, "pool of Brasa");
    }

    #[test]
    fn sessions_that_idle_are_told_once_for_an_application() {
        let idle_for = |seconds: &[f64]| {
            let idle = seconds.iter().zip(1..).map(|(seconds, pid)| session(pid, *seconds)).collect();
            super::idle(&with(Activity { idle, ..Activity::default() }))
        };
        assert_eq!(idle_for(&[299.0]), []);
        let found = idle_for(&[301.0, 900.0, 10.0]);
        assert_eq!(found.len(), 1);
        assert!(found[0].title.starts_with("2 sessions of shop (role app)"), "{}", found[0].title);
        let statement = found[0].statement.as_ref().unwrap();
        assert_eq!(statement.lines().count(), 2);
        let guards = "AND xact_start = '2026-01-02 00:00:00+00' AND state LIKE 'idle in transaction%';";
        assert!(statement.lines().all(|line| line.ends_with(guards)), "{statement}");
        let unknown = Session { transaction_began: None, ..session(7, 900.0) };
        let found = super::idle(&with(Activity { idle: vec![unknown.clone()], ..Activity::default() }));
        assert_eq!(found[0].statement, None, "it is not known what would be ended");
        let block = Block { root: unknown, waiting: 5, seconds: 10.0, table: None };
        let found = blocking(&with(Activity { blocks: vec![block], ..Activity::default() }));
        assert_eq!(found[0].statement, None);
    }

    #[test]
    fn whoever_others_wait_for_is_named() {
        let block = |waiting, seconds| Block { root: session(7, 60.0), waiting, seconds, table: None };
        let told = |block| blocking(&with(Activity { blocks: vec![block], ..Activity::default() }));
        assert_eq!(told(block(3, 1.0)), []);
        assert_eq!(told(block(1, 10.0))[0].severity, Severity::Warning);
        assert!(
            told(block(1, 10.0))[0]
                .title
                .starts_with("1 session waits for a lock that shop (role app) holds")
        );
        assert_eq!(told(block(5, 10.0))[0].severity, Severity::Critical);
    }
}
