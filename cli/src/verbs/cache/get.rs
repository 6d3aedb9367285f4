//! `brasa cache get`: a value as the application gets it, and how good it is.

use brasa_jobs::cache::Texts;
use brasa_shared::cache::Look;
use brasa_shared::jiff::SignedDuration;
use clap::Args;
use serde_json::{Value, json};

use super::target::{Found, Target};
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, bytes, lasting, plain, when};

/// Print a value as its loader made it; exit code 1 if there is none
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    target: Target,
}

/// How good a value is, for those who read it with a plain GET and for those with the whole protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Good {
    Fresh,
    Stale,
    /// Something changed what it is made of, and it has not been swept yet.
    Invalidated,
    /// Nobody knows when it was put there.
    Unknown,
    /// It is known that there is none.
    None,
    Missing,
}

impl Good {
    pub(super) fn of(look: &Look, now_ms: i64) -> Self {
        match (&look.note, look.bytes) {
            (None, Some(_)) => Self::Unknown,
            (Some(note), None) if note.is_none && look.is_standing && now_ms < note.soft_ms => Self::None,
            (_, None) => Self::Missing,
            (Some(_), Some(_)) if !look.is_standing => Self::Invalidated,
            (Some(note), Some(_)) if now_ms < note.soft_ms => Self::Fresh,
            (Some(_), Some(_)) => Self::Stale,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Invalidated => "invalidated",
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Missing => "missing",
        }
    }
}

impl Get {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let found = self.target.find(app)?;
        let caches = app.caches();
        let look = caches.look(&found.key).await?;
        let good = Good::of(&look, app.clock.now().as_millisecond());
        let stored = caches.values(std::slice::from_ref(&found.key)).await?.into_iter().next().flatten();
        let Some(stored) = stored else {
            out.value(&seen(&found, good, &look, None))?;
            let help = format!("`brasa cache why --key '{}'` says why", plain(&found.key));
            let text =
                format!("there is no value at {}: {}\n  help: {help}", plain(&found.key), absent(good));
            return Err(if out.json { Failure::silent(1) } else { Failure::environment(text) });
        };
        let text = Texts::new(&caches).text(&stored).await?;
        let text = String::from_utf8_lossy(&text);
        if out.json {
            return out.value(&seen(&found, good, &look, Some((&text, stored.len()))));
        }
        out.line(&text)?;
        out.aside(standing(good, &look, &text, stored.len(), app))
    }
}

fn absent(good: Good) -> &'static str {
    if good == Good::None {
        "it is known that there is none"
    } else {
        "nobody has loaded it, or it has ended"
    }
}

/// The line beside the value.
fn standing(good: Good, look: &Look, text: &str, stored: usize, app: &App) -> String {
    let now = app.clock.now();
    let size = if stored == text.len() {
        bytes(stored as u64)
    } else {
        format!("{} stored as {}", bytes(text.len() as u64), bytes(stored as u64))
    };
    let left = |ms: i64| lasting(SignedDuration::from_millis(ms - now.as_millisecond()));
    match (good, &look.note) {
        (Good::Fresh, Some(note)) => {
            format!("fresh for {} more, put there {}; {size}", left(note.soft_ms), when(note.at_ms, now))
        }
        (Good::Stale, Some(note)) => {
            format!("stale for {}, put there {}; {size}", left(note.soft_ms), when(note.at_ms, now))
        }
        (Good::Invalidated, Some(note)) => format!(
            "invalidated, put there {}: readers with the whole protocol do not get it any more; {size}",
            when(note.at_ms, now)
        ),
        _ => format!("nobody knows when it was put there; {size}"),
    }
}

fn seen(found: &Found, good: Good, look: &Look, value: Option<(&str, usize)>) -> Value {
    // A loader makes JSON; what somebody else put there is a text.
    let decoded =
        value.map(|(text, _)| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())));
    let note = look.note.as_ref();
    json!({
        "key": found.key,
        "warmer": found.of.as_ref().map(|owner| &owner.name),
        "standing": good.word(),
        "value": decoded,
        "bytes": value.map(|(text, _)| text.len()),
        "stored_bytes": value.map(|(_, stored)| stored),
        "at_ms": note.map(|note| note.at_ms),
        "fresh_until_ms": note.map(|note| note.soft_ms),
        "ends_in_ms": look.left_ms,
    })
}
