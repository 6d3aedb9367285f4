//! Keeping the application's cache hot.

mod budget;
mod load;
mod warm;

pub use budget::{Brake, Budget, BudgetState, Caps, Permit, Signs};
pub use load::{Entry, LoaderProblem, Plan};
pub use warm::Warm;
