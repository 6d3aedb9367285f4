//! The document of the API (`OpenAPI`), made from the code of the API.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use brasa_shared::config::Role;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Type};
use utoipa::{Modify, OpenApi};

use super::{
    KNOWN, audit, cache, dead, enqueue, jobs, overview, parts, queues, recommendations, schedules, workers,
};
use crate::error::Refused;
use crate::routes::{Need, Route};

/// Where it is.
const PATH: &str = "/api/v1/openapi.json";

/// The answers that any request may get, and what they mean.
const ALWAYS: &[(&str, &str)] = &[
    ("400", "What was sent cannot be understood"),
    ("401", "There is no token, or one that is not known"),
    ("403", "This token may not do that"),
    ("429", "Too much at once: too many requests, or a queue that is full"),
    ("503", "Something that this needs is not there right now"),
];
/// The answers where something is named in the path or in the body.
const NAMED: (&str, &str) = ("404", "There is no such thing");
/// The answers where something is sent.
const SENT: &[(&str, &str)] = &[
    ("408", "The body did not come in time"),
    ("413", "The body is too large"),
    ("415", "The body is not marked as JSON, or it is packed"),
];

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get(PATH, KNOWN, get(show))]
}

/// The API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Brasa", description = "Enqueuing jobs, following them, and acting on an installation."),
    modifiers(&Common),
    security(("token" = [])),
    components(schemas(parts::Problem)),
    paths(
        show, audit::list, cache::invalidate, cache::warm, dead::list, dead::retry, dead::delete, enqueue::one,
        enqueue::many, jobs::list, jobs::show, jobs::wait, jobs::cancel, jobs::retry, overview::show,
        queues::list, queues::pause, queues::resume, queues::close, queues::open, recommendations::list,
        recommendations::dismiss, recommendations::reopen, schedules::list, schedules::run, schedules::pause,
        schedules::resume, workers::list,
    )
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "document",
    responses((status = 200, description = "The document", body = Object, content_type = "application/json")))]
async fn show() -> Result<Response, Refused> {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| Document::openapi().to_json().unwrap_or_default());
    Ok(([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response())
}

/// What all requests have in common: how they say who asks, and what they are refused with.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
        document.info.license = None;
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = scheme.description(Some("A token, as `brasa tokens new` makes them")).build();
        document
            .components
            .get_or_insert_default()
            .security_schemes
            .insert("token".to_owned(), SecurityScheme::Http(scheme).into());
        let needs = super::routes();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                let need = needs.iter().find(|route| route.path == path && route.method == method);
                complete(path, operation, need.map(|route| route.need));
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [("GET", item.get.as_mut()), ("POST", item.post.as_mut())];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
}

/// Adds who may, and the answers that need no word at each of them.
fn complete(path: &str, operation: &mut Operation, need: Option<Need>) {
    let who = match need {
        Some(Need::Role(Role::Enqueue)) | None => "any token".to_owned(),
        Some(Need::Role(role)) => format!("a token with the role {} or a higher one", role.word()),
        Some(Need::Nobody) => "anybody".to_owned(),
    };
    let told = operation.description.take().map(|told| format!("{told}\n\n")).unwrap_or_default();
    operation.description = Some(format!("{told}For {who}."));
    let sends = operation.request_body.is_some();
    let names = sends || path.contains('{') || operation.parameters.is_some();
    let always = ALWAYS.iter().chain(names.then_some(&NAMED));
    for (status, what) in always.chain(SENT.iter().filter(|_| sends)) {
        operation.responses.responses.entry((*status).to_owned()).or_insert_with(|| refusal(status, what));
    }
}

fn refusal(status: &str, what: &str) -> RefOr<utoipa::openapi::Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut response = ResponseBuilder::new().description(what).content("application/json", body);
    if matches!(status, "429" | "503") {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("After how many seconds to try again"));
        response = response.header("Retry-After", header.build());
    }
    response.build().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_for_programs_is_in_the_document_and_nothing_else_is() {
        let mut document = Document::openapi();
        let mut told = BTreeSet::new();
        for (path, item) in &mut document.paths.paths {
            assert!(
                [&item.put, &item.delete, &item.patch, &item.head, &item.options]
                    .iter()
                    .all(|one| one.is_none()),
                "{path}"
            );
            told.extend(operations(item).map(|(method, _)| (path.clone(), method)));
        }
        let routes = crate::routes().into_iter().filter(|route| route.path.starts_with("/api/"));
        assert_eq!(told, routes.map(|route| (route.path.to_owned(), route.method)).collect());
    }

    #[test]
    fn every_answer_is_documented() {
        let mut document = Document::openapi();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                let known: BTreeSet<&str> =
                    operation.responses.responses.keys().map(String::as_str).collect();
                let is_there = |status: &&str| known.contains(*status);
                assert!(["400", "401", "403", "429", "503"].iter().all(&is_there), "{path}");
                assert!(["200", "201"].iter().any(&is_there), "{path}");
                let sends = operation.request_body.is_some();
                assert!(
                    ["404", "413", "415"].iter().all(|status| !sends || is_there(status)),
                    "{method} {path}"
                );
                assert!(operation.summary.is_some() && operation.description.is_some(), "{method} {path}");
            }
        }
        assert!(document.components.unwrap().schemas.contains_key("Problem"));
    }
}
