//! What can be seen from outside: metrics, logs, and the small server that answers for them.

pub mod logs;
pub mod metrics;
pub mod server;
pub mod vitals;
