//! Free ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

use tracing::debug;

use super::{ServersError, scratch};

/// The first port that is tried.
///
/// The range lies below the ports that systems hand out to outgoing connections. A server that is killed and
/// started again finds its port free that way: no client that is reconnecting can have been given it.
const FIRST: u16 = 20_000;

/// The last port that is tried.
const LAST: u16 = 31_999;

/// How many ports are tried before giving up.
const TRIES: usize = 200;

/// How often a server is started on another port when somebody took the one it was given.
const STARTS: usize = 5;

/// Starts a server on a free port, and on another one if somebody was faster to take it.
pub(super) fn on_a_free_one(
    mut start: impl FnMut(u16) -> Result<(), ServersError>,
) -> Result<(), ServersError> {
    for _ in 1..STARTS {
        match start(free()?) {
            Err(error) if error.is_port_taken() => debug!(%error, "trying another port"),
            other => return other,
        }
    }
    start(free()?)
}

/// A port that nobody listens on at this moment.
fn free() -> Result<u16, ServersError> {
    for _ in 0..TRIES {
        let [high, low] = scratch::random()?;
        let port = FIRST + u16::from_be_bytes([high, low]) % (LAST - FIRST + 1);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(ServersError::NoPort { first: FIRST, last: LAST })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_listened_on_and_is_none_that_clients_are_given() {
        let port = free().unwrap();
        assert!((FIRST..=LAST).contains(&port));
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}
