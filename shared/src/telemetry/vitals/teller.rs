//! Telling the overview, minute by minute, how this process and its machine are.

use super::host::{Cpu, Host, host_name};
use super::process::Own;
use super::redis::Info;
use crate::minutes::{Minutes, Vitals};
use crate::telemetry::logs::chain;

/// What was seen at one look.
pub(super) struct Seen {
    pub(super) own: Own,
    pub(super) host: Host,
    /// Which share of the busiest pool is in use.
    pub(super) pool: Option<f64>,
    pub(super) redis: Info,
}

/// What the processors had done, all of them and for this process.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    cpu: Cpu,
    own_ticks: u64,
}

/// Tells it, with what it has to remember for that.
pub(super) struct Teller {
    minutes: Minutes,
    host: String,
    /// The minute that is told of.
    minute: i64,
    /// What was spent before it began; none at the very first look.
    began: Option<Spent>,
    last: Option<Spent>,
    /// The most that was in use of the busiest pool in this minute.
    pool: Option<f64>,
}

impl Teller {
    pub(super) fn new(minutes: Minutes) -> Self {
        Self { minutes, host: host_name(), minute: 0, began: None, last: None, pool: None }
    }

    /// Tells how it is in this minute, as far as it went. What cannot be told leaves a gap.
    pub(super) async fn tell(&mut self, seen: &Seen) {
        let vitals = self.told(seen, self.minutes.minute());
        if let Err(error) = self.minutes.tell(&vitals).await {
            tracing::debug!(error = %chain(&error), "how this process is could not be told");
        }
    }

    fn told(&mut self, seen: &Seen, minute: i64) -> Vitals {
        if minute != self.minute {
            (self.minute, self.began, self.pool) = (minute, self.last, None);
        }
        let now = Spent { cpu: seen.host.cpu, own_ticks: seen.own.ticks.unwrap_or(0) };
        let began = *self.began.get_or_insert(now);
        self.last = Some(now);
        self.pool = self.pool.into_iter().chain(seen.pool).reduce(f64::max);
        let own_ticks = now.own_ticks.saturating_sub(began.own_ticks);
        Vitals {
            host: self.host.clone(),
            pid: std::process::id(),
            cpu: now.cpu.share_since(began.cpu).map(round),
            memory: seen.host.memory.map(round),
            disk: seen.host.disk.map(round),
            pool: self.pool.map(round),
            own_cpu: now.cpu.share_of(own_ticks, began.cpu).map(round),
            own_memory: seen.own.memory,
            redis: seen.redis.number("used_memory"),
            redis_max: seen.redis.number("maxmemory"),
        }
    }
}

/// To a tenth of a percent: more is noise, and takes room.
fn round(share: f64) -> f64 {
    (share * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::Store;

    #[tokio::test]
    async fn a_minute_is_told_from_its_beginning_to_now() {
        let store = Store::open("redis://127.0.0.1:1/").unwrap();
        let mut teller = Teller::new(Minutes::new(store, "p", Clock::System));
        let mut look = |minute, busy, idle, own, pool| {
            let cpu = Cpu::read(&format!("cpu  {busy} 0 0 {idle} 0 0 0 0")).unwrap();
            let own = Own { ticks: Some(own), memory: Some(5) };
            let host = Host { cpu, memory: Some(0.5), disk: None };
            let seen =
                Seen { own, host, pool: Some(pool), redis: Info::parse("used_memory:7\r\nmaxmemory:9\r\n") };
            let told = teller.told(&seen, minute);
            (told.cpu, told.own_cpu, told.pool)
        };
        assert_eq!(look(1, 100, 100, 10, 0.25), (None, None, Some(0.25)));
        assert_eq!(look(1, 150, 150, 20, 0.75), (Some(0.5), Some(0.1), Some(0.75)));
        assert_eq!(look(1, 250, 150, 20, 0.5), (Some(0.75), Some(0.05), Some(0.75)));
        // The next one begins where that one was seen last.
        assert_eq!(look(2, 260, 180, 22, 0.0), (Some(0.25), Some(0.05), Some(0.0)));
    }
}
