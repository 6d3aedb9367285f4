//! The dashboard and the HTTP API: pages that are made on the server, and `/api/v1` for programs.
//!
//! All that can be called is one list ([`routes`]), each with who may. What is in front of it (`guard/`) asks that
//! list before anything else is done: whoever is not known learns nothing, not even what there is. Pages (`pages/`)
//! and the API (`api/`) look and act through the same installation ([`Desk`]), and every act of a person is written
//! down before it takes effect (`audit.rs`).
//!
//! What this is not: it keeps no state but in Redis and Postgres, so that any number of these may run.

mod acts;
pub mod api;
pub mod audit;
mod auth;
mod desk;
mod error;
mod guard;
mod pages;
mod routes;
mod search;
mod serve;
mod view;

pub use auth::Identity;
pub use desk::{Desk, Doctor, Fire};
pub use routes::{Need, Route, routes};
pub use serve::{Reread, ServeError, Server};
