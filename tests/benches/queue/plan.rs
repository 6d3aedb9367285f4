//! How much is measured.

/// Why a peer is not there.
pub(super) const LEFT_OUT: &str = "the peer takes part in the full run only";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// How often throughput is measured; the middle counts.
    pub(super) repeats: usize,
    /// The usual backlog.
    pub(super) jobs: u64,
    /// The large backlog.
    pub(super) jobs_large: u64,
    /// Jobs that are enqueued one by one.
    pub(super) singles: u64,
    /// How long jobs come before their latency counts, in s: a just-in-time compiler has to see some first.
    pub(super) cold_s: f64,
    /// How long each latency is measured, in s.
    pub(super) latency_s: f64,
    /// How long a worker has nothing to do before, in s.
    pub(super) idle_s: f64,
    /// Jobs that sleep.
    pub(super) sleeps: u64,
    /// Jobs whose workers are killed.
    pub(super) crash_jobs: u64,
    /// Whether peers take part where they need minutes: four processes at once, and workers that are killed.
    pub(super) are_peers_whole: bool,
}

impl Plan {
    /// A steady answer, in about 25 minutes.
    pub(super) const FULL: Self = Self {
        repeats: 3,
        jobs: 100_000,
        jobs_large: 1_000_000,
        singles: 100_000,
        cold_s: 4.0,
        latency_s: 15.0,
        idle_s: 10.0,
        sleeps: 20_000,
        crash_jobs: 20_000,
        are_peers_whole: true,
    };
    /// A rough answer, in less than 5 minutes.
    pub(super) const QUICK: Self = Self {
        repeats: 1,
        singles: 20_000,
        cold_s: 2.0,
        latency_s: 3.0,
        idle_s: 1.0,
        are_peers_whole: false,
        ..Self::FULL
    };
}
