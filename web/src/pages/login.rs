//! Logging in with a token, and out again.

use axum::Extension;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use crate::auth::{Entry, Identity, cookie_of};
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::{Form, client, is_foreign};
use crate::routes::{Need, Route};
use crate::view::layout;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/login", Need::Nobody, get(show)),
        Route::post("/login", Need::Nobody, post(enter)),
        Route::post("/logout", Need::Nobody, post(leave)),
    ]
}

#[derive(Deserialize)]
struct Entrance {
    token: String,
}

async fn show(who: Option<Extension<Identity>>) -> Response {
    if who.is_some() {
        return Redirect::to("/").into_response();
    }
    form(None).into_response()
}

fn form(wrong: Option<&str>) -> Markup {
    layout::bare(
        "Log in to Brasa",
        &html! {
            @if let Some(wrong) = wrong { p.message role="alert" { (wrong) } }
            form.login method="post" action="/login" data-login="yes" {
                label for="token" { "Token" }
                input #token name="token" type="password" required autofocus autocomplete="current-password" spellcheck="false";
                button type="submit" { "Log in" }
            }
            p.help { "A token is made with " code { "brasa tokens new" } ". Where there is none yet, the program prints a link to log in when it starts." }
        },
    )
}

async fn enter(State(desk): State<Desk>, request: Request) -> Result<Response, Refused> {
    if is_foreign(request.method(), request.headers()) {
        return Err(Refused::new(StatusCode::FORBIDDEN, "another site asked for this", "open the page here"));
    }
    let from = client(&request, desk.site.config.web.behind_proxy);
    let Form(Entrance { token }) = Form::from_request(request, &()).await?;
    match desk.keys.enter(token.trim(), from) {
        Entry::Opened(who) => {
            let (cookie, seconds) = desk.keys.log_in(&who).unwrap_or_default();
            tracing::info!(who = who.name, %from, "logged in");
            Ok(with_cookie(&desk, &cookie, seconds, Redirect::to("/").into_response()))
        }
        Entry::Wrong => {
            tracing::warn!(%from, "a wrong token was tried");
            Ok((StatusCode::UNAUTHORIZED, form(Some("That token is not known, or has expired.")))
                .into_response())
        }
        Entry::Blocked(seconds) => {
            let message = "there were too many wrong tokens";
            Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, message, "wait a minute").again_in(seconds))
        }
    }
}

async fn leave(State(desk): State<Desk>, headers: HeaderMap, method: Method) -> Result<Response, Refused> {
    if is_foreign(&method, &headers) {
        return Err(Refused::new(StatusCode::FORBIDDEN, "another site asked for this", ""));
    }
    Ok(with_cookie(&desk, "", 0, Redirect::to("/login").into_response()))
}

/// Over TLS a cookie of ours is sent over TLS only, and can be set by nobody else.
fn with_cookie(desk: &Desk, value: &str, seconds: u64, mut response: Response) -> Response {
    let (name, is_secure) = cookie_of(&desk.site.config.web);
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
