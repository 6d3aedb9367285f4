//! Keeping the application's cache hot.
//!
//! ```text
//! shape:   parameters -> key, tags            plan: what the database says about the statements
//! loaders: databases, budget, dictionaries    filler: lease, load, fill; making: what goes into the cache;
//!                                             splitting: what becomes of a batch in which something is wrong;
//!                                             patience: how long one may be kept waiting
//! warm:    the job that loads all values of a warmer, or the hottest
//! invalidation: what people make invalid
//! status:  what is cached and how well it serves, for people; texts: stored bytes -> texts
//! ```

mod budget;
mod failing;
mod filler;
mod hot;
mod invalidation;
mod loaders;
mod making;
mod patience;
mod plan;
mod rows;
mod shape;
mod splitting;
pub mod status;
mod tally;
mod texts;
mod warm;

pub use budget::{Brake, Budget, BudgetState, Caps, Permit, Signs};
pub use failing::FillError;
pub use filler::{Filler, Wanted};
pub use invalidation::{Invalidated, Invalidation, InvalidationError};
pub use loaders::{EpochError, Loaders, Origin};
pub use plan::{Batch, Loaded, LoaderProblem, Plan};
pub use rows::RowProblem;
pub use shape::{Shape, Touched, owner};
pub use tally::Tally;
pub use texts::{TextError, Texts};
pub use warm::Warm;
