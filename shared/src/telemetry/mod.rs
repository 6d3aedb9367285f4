//! What can be seen from outside: metrics, logs, spans, and the small server that answers for them.

pub mod logs;
pub mod metrics;
pub mod server;
pub mod spans;
pub mod vitals;
