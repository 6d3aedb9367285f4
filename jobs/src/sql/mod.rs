//! Statements of the configuration, run as jobs.

mod fault;
mod run;

pub(crate) use fault::judge;
pub use run::Run;
