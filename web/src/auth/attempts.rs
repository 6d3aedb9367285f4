//! How often somebody may be wrong: whoever guesses is not even listened to for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use brasa_shared::clock::Clock;

/// For how long a wrong token counts, ms.
const WINDOW_MS: i64 = 60_000;
/// How many wrong ones of one address are looked at in that time.
const PER_ADDRESS_MAX: usize = 10;
/// How many of all addresses.
const ALL_MAX: usize = 200;

/// The wrong tokens of the last minute.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    wrong: Mutex<HashMap<IpAddr, Vec<i64>>>,
}

impl Attempts {
    /// For how many seconds this address is not listened to; none where it is.
    pub(super) fn blocked(&self, address: IpAddr, clock: &Clock) -> Option<u64> {
        let now = clock.now().as_millisecond();
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|_, times| {
            times.retain(|at| now - at < WINDOW_MS);
            !times.is_empty()
        });
        let own = wrong.get(&address).filter(|times| times.len() >= PER_ADDRESS_MAX);
        let all: usize = wrong.values().map(Vec::len).sum();
        let first = own.and_then(|times| times.first().copied());
        let first =
            first.or_else(|| if all >= ALL_MAX { wrong.values().flatten().min().copied() } else { None });
        first.map(|at| u64::try_from((at + WINDOW_MS - now) / 1_000 + 1).unwrap_or(1))
    }

    /// Notes a wrong one.
    pub(super) fn note(&self, address: IpAddr, clock: &Clock) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.entry(address).or_default().push(clock.now().as_millisecond());
    }
}
