//! The frame of every page: where one is, where one can go, who one is.

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use crate::auth::Identity;

/// The pages, as the menu lists them.
const MENU: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/queues", "Queues"),
    ("/jobs", "Jobs"),
    ("/dead", "Dead letter"),
    ("/schedules", "Schedules"),
    ("/workers", "Workers"),
    ("/cache", "Cache"),
    ("/aggregates", "Aggregates"),
    ("/writes", "Writes"),
    ("/database", "Database"),
    ("/recommendations", "Recommendations"),
    ("/audit", "Audit log"),
    ("/about", "About"),
];

/// Changes with each release, so that browsers do not show an old style.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// When a page is drawn again by itself, as far as nobody is writing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Never: whoever wants to see it as it is now opens it again.
    Never,
    /// When something changes.
    Live,
    /// At once, and then when something changes: it lacks what is being looked at.
    Soon,
}

impl Again {
    pub(crate) fn live(is_live: bool) -> Self {
        if is_live { Self::Live } else { Self::Never }
    }

    /// What the script of the pages knows it by.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Never => None,
            Self::Live => Some("yes"),
            Self::Soon => Some("soon"),
        }
    }
}

/// A page.
pub(crate) fn page(title: &str, at: &str, who: &Identity, again: Again, body: &Markup) -> Markup {
    frame(
        title,
        &html! {
            a.skip href="#main" { "To the content" }
            header.top {
                a.brand href="/" { "Brasa" }
                span.live hidden[again == Again::Never] title="Drawn again as things change" { "live" }
                span.who { (who.name) " · " (who.role.word()) }
                form method="post" action="/logout" { button.quiet type="submit" { "Log out" } }
            }
            nav.menu aria-label="Pages" {
                @for (path, name) in MENU {
                    a href=(path) aria-current=[(*path == at).then_some("page")] { (name) }
                }
            }
            main #main data-live=[again.word()] {
                h1 { (title) }
                (body)
            }
        },
    )
}

/// A page for whoever is not known, or gets nothing.
pub(crate) fn bare(title: &str, body: &Markup) -> Markup {
    frame(title, &html! { main #main .bare { h1 { (title) } (body) } })
}

/// What is shown where something was not done.
pub(crate) fn refusal(status: StatusCode, message: &str, help: &str, id: &str) -> Markup {
    bare(
        &format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default()),
        &html! {
            p.message { (message) }
            @if !help.is_empty() { p.help { (help) } }
            p.dim { "Request " code { (id) } }
            p { a href="/" { "To the overview" } }
        },
    )
}

fn frame(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Brasa" }
                link rel="stylesheet" href=(format!("/assets/brasa.css?{VERSION}"));
                link rel="icon" href="/assets/brasa.svg" type="image/svg+xml";
                script src=(format!("/assets/brasa.js?{VERSION}")) defer {}
            }
            body { (body) }
        }
    }
}

/// A text in which what stands between backticks is to be typed.
pub(crate) fn marked(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A figure with its name.
pub(crate) fn figure(name: &str, value: &str, note: &str) -> Markup {
    html! {
        div.figure {
            div.name { (name) }
            div.value { (value) }
            @if !note.is_empty() { div.note { (note) } }
        }
    }
}

/// What is shown where there is nothing to show: what would be there, and how it gets there.
pub(crate) fn nothing(what: &str, how: &str) -> Markup {
    html! { div.nothing { p { (what) } @if !how.is_empty() { p.help { (marked(how)) } } } }
}

/// What is shown where a page is about Postgres, and no address of one was given.
pub(crate) fn no_postgres() -> Markup {
    nothing(
        "No address of Postgres was given.",
        "Set DATABASE_URL, or write [postgres] url = \"${DATABASE_URL}\".",
    )
}

/// A form of one button. `ask` is asked before, where it cannot be undone.
pub(crate) fn button(action: &str, label: &str, ask: Option<&str>, is_allowed: bool) -> Markup {
    html! {
        @if is_allowed {
            form.act method="post" action=(action) data-ask=[ask] {
                button type="submit" class=[ask.map(|_| "danger")] { (label) }
            }
        }
    }
}
