//! All that can be called, in one list: a route that is not in it does not exist.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::MethodRouter;
use brasa_shared::config::Role;

use crate::desk::Desk;
use crate::{api, pages};

/// Who may call something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Anybody, known or not.
    Nobody,
    /// Whoever may do what this role may.
    Role(Role),
}

/// What can be called.
#[derive(Debug, Clone)]
pub struct Route {
    /// `GET` or `POST`, and for the API `DELETE` too.
    pub method: &'static str,
    /// Its path, with names for what differs: `/queues/{queue}`.
    pub path: &'static str,
    /// Who may.
    pub need: Need,
    pub(crate) handler: MethodRouter<Desk>,
}

impl Route {
    /// Something to look at.
    pub(crate) fn get(path: &'static str, need: Need, handler: MethodRouter<Desk>) -> Self {
        Self { method: "GET", path, need, handler }
    }

    /// Something to do.
    pub(crate) fn post(path: &'static str, need: Need, handler: MethodRouter<Desk>) -> Self {
        Self { method: "POST", path, need, handler }
    }
}

/// Whoever may look.
pub(crate) const VIEWER: Need = Need::Role(Role::Viewer);
/// Whoever may act.
pub(crate) const OPERATOR: Need = Need::Role(Role::Operator);
/// Whoever may do all of it.
pub(crate) const ADMIN: Need = Need::Role(Role::Admin);

/// Everything that can be called.
pub fn routes() -> Vec<Route> {
    [pages::routes(), api::routes()].concat()
}

/// The needs by path and method.
#[derive(Debug, Default)]
pub(crate) struct Needs(BTreeMap<&'static str, Vec<(&'static str, Need)>>);

impl Needs {
    /// Who may call this. What is not in the list needs a role, so that whoever has none learns nothing of it.
    pub(crate) fn of(&self, path: Option<&str>, method: &str) -> Need {
        let method = if method == "HEAD" { "GET" } else { method };
        let known = path
            .and_then(|path| self.0.get(path))
            .and_then(|methods| methods.iter().find(|(known, _)| *known == method).map(|(_, need)| *need));
        known.unwrap_or(Need::Role(Role::Enqueue))
    }
}

/// The router, and who may call what of it.
pub(crate) fn router() -> (Router<Desk>, Needs) {
    let (mut router, mut needs) = (Router::new(), Needs::default());
    for Route { method, path, need, handler } in routes() {
        router = router.route(path, handler);
        needs.0.entry(path).or_default().push((method, need));
    }
    (router, needs)
}
