//! A circuit breaker: whoever fails again and again is left alone for a while.

use std::time::Duration;

use tokio::time::Instant;

/// The pause after the first failure, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_mins(1));
/// From so many failures in a row on, the circuit is open.
const OPEN_FROM: u32 = 5;

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    until: Option<Instant>,
}

impl Circuit {
    /// It went well.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It failed; returns for how long it is to be left alone. The pause doubles from time to time.
    pub(super) fn failed(&mut self) -> Duration {
        let most = PAUSE.0.saturating_mul(1 << self.failures.min(16)).min(PAUSE.1);
        self.failures = self.failures.saturating_add(1);
        // A fleet whose database was away must not return in step.
        let pause = most.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        self.until = Some(Instant::now() + pause);
        pause
    }

    /// Whether it is to be left alone, so that nobody waits for it.
    pub(super) fn is_open(&self) -> bool {
        self.failures >= OPEN_FROM && self.pause().is_some()
    }

    /// For how much longer it is to be left alone.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_with_the_fifth_failure_in_a_row_and_closes_after_a_pause() {
        let mut circuit = Circuit::default();
        for _ in 0..4 {
            circuit.failed();
            assert!(!circuit.is_open());
        }
        let pause = circuit.failed();
        assert!(circuit.is_open() && pause >= Duration::from_millis(1_600), "{pause:?}");
        tokio::time::advance(pause).await;
        assert!(!circuit.is_open());
        circuit.failed();
        assert!(circuit.is_open());
        circuit.succeeded();
        assert!(!circuit.is_open() && circuit.pause().is_none());
    }
}
