//! How a worker is told to end.

use tokio_util::sync::CancellationToken;

/// Two tokens: the first asks for a drain, the second for an end at once.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Claim nothing more; let running jobs finish within the grace period.
    pub drain: CancellationToken,
    /// Stop running jobs now and hand them back.
    pub now: CancellationToken,
}

impl Shutdown {
    /// Asks for a drain, or where one is under way, for an end at once.
    pub fn ask(&self) {
        if self.drain.is_cancelled() {
            self.now.cancel();
        }
        self.drain.cancel();
    }
}
