//! Real servers as private children of this process, for the demo and the tests.
//!
//! Each server listens on a free port of the loopback interface and keeps everything it writes in a [`Scratch`]
//! folder. Both are gone when their value is dropped. They are gone as well when this process gets no chance to
//! drop anything (Ctrl-C, `abort`, SIGKILL), because they are not left to this process alone:
//!
//! - Every folder has a *warden*: a small shell script in a process group of its own, which waits on a pipe from
//!   this process. The pipe ends when we end, in whatever way. Then the warden ends the server and removes the folder.
//! - A server runs in a process group of its own too, so that Ctrl-C reaches us and not it, and so that ending the
//!   group leaves no grandchild behind.
//! - A server takes a *ticket* (a file named after its process) before its program starts. The warden closes the
//!   office before it reads the tickets, so a server that is just being started either has one, or never starts.
//!
//! What this does not survive: SIGKILL of us and of the warden at once, as when a whole container goes. Then the
//! processes go too, and the folder stays.
//!
//! Everything here blocks. In a runtime, call it where blocking is allowed.

mod error;
mod log;
mod ports;
mod postgres;
mod process;
mod programs;
mod redis;
mod scratch;
mod server;
mod signal;
mod user;
mod wait;
mod warden;

#[cfg(test)]
mod tests;

pub use error::ServersError;
pub use postgres::{PostgresOptions, PostgresServer};
pub use redis::{RedisOptions, RedisServer};
pub use scratch::Scratch;
pub use signal::Signal;
