//! What an attacker might try who can write into Redis, into a log, or into what a person reads; and where secrets end up.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

mod escaping;
mod leaking;
mod speaking;
