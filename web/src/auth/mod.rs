//! Who somebody is: by a token, or by a login that a token opened.

mod attempts;
mod keys;
mod rates;
mod session;

use std::time::Duration;

use brasa_shared::config::Role;

pub(crate) use keys::{Entry, Keys};
pub(crate) use session::cookie_of;

/// Somebody who got in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name of the token.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The kinds that they may enqueue; empty where all are.
    pub kinds: Vec<String>,
    /// The queues into which; empty where all are.
    pub queues: Vec<String>,
    /// How many requests are answered in a time, and the time; any number where nothing is said.
    pub rate: Option<(u32, Duration)>,
    /// Whether they came with a cookie, which other sites can make a browser send.
    pub is_session: bool,
}

impl Identity {
    /// Whether they may do what asks for that role.
    pub fn may(&self, least: Role) -> bool {
        self.role >= least
    }

    /// Whether they may see arguments, results and logs of jobs.
    pub fn sees_payloads(&self) -> bool {
        self.may(Role::Operator)
    }

    /// Why they may not enqueue that, in words; nothing where they may.
    pub fn refused(&self, kind: &str, queue: &str) -> Option<String> {
        let outside =
            |allowed: &[String], name: &str| !allowed.is_empty() && !allowed.iter().any(|one| one == name);
        if outside(&self.kinds, kind) {
            return Some(format!("the token `{}` may not enqueue the kind `{kind}`", self.name));
        }
        outside(&self.queues, queue)
            .then(|| format!("the token `{}` may not enqueue into the queue `{queue}`", self.name))
    }
}
