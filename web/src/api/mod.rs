//! `/api/v1`, for programs.

use crate::routes::Route;

/// All that can be called by programs.
pub(crate) fn routes() -> Vec<Route> {
    Vec::new()
}
