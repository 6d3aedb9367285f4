//! What an attacker might try who can write into Redis, into a log, or into what a person reads; and where secrets end up.

mod escaping;
mod injecting;
mod leaking;
mod speaking;
