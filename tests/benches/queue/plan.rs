//! How much is measured.

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
    /// How long each latency is measured, in s.
    pub(super) latency_s: f64,
    /// How long a worker has nothing to do before, in s.
    pub(super) idle_s: f64,
    /// Jobs that sleep.
    pub(super) sleeps: u64,
    /// Jobs whose workers are killed.
    pub(super) crash_jobs: u64,
    /// Whether the workers of peers are killed as well; they take minutes to notice.
    pub(super) are_peers_killed: bool,
}

impl Plan {
    /// A steady answer, in about 25 minutes.
    pub(super) const FULL: Self = Self {
        repeats: 3,
        jobs: 100_000,
        jobs_large: 1_000_000,
        singles: 100_000,
        latency_s: 15.0,
        idle_s: 10.0,
        sleeps: 20_000,
        crash_jobs: 20_000,
        are_peers_killed: true,
    };
    /// A rough answer, in less than 5 minutes.
    pub(super) const QUICK: Self = Self {
        repeats: 1,
        singles: 30_000,
        latency_s: 4.0,
        idle_s: 2.0,
        are_peers_killed: false,
        ..Self::FULL
    };
}
