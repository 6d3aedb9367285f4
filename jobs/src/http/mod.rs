//! The application's own endpoints, called as jobs: work in any language, run by Brasa.
//!
//! What keeps a call where it belongs, from the outside to the inside:
//!
//! - a job names an endpoint, and the configuration says where that is (`[http.NAME]`);
//! - an address that is written as a number is looked at before the call (`caller`);
//! - a name is looked up by our own resolver, which gives the connection no address that it must not have, so
//!   that no second look-up can say something else (`resolver`);
//! - redirects are not followed, no proxy of the environment is asked, and an answer ends at its time and its size.
//!
//! What an answer means for the job is in `verdict`; how the endpoint knows that it was us, in `sign`. People are told by
//! `notify`, and collectors of traces by `collector`.

mod caller;
mod collector;
mod notify;
mod post;
mod resolver;
mod sign;
mod verdict;

pub(crate) use caller::Callers;
pub use collector::Exporter;
pub use notify::Untold;
pub(crate) use notify::tell;
pub use post::Post;
