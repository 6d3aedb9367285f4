//! Keeping the application's cache hot.

mod load;
mod warm;

pub use load::{Entry, LoaderProblem, Plan};
pub use warm::Warm;
