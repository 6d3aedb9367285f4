//! What many requests and answers are made of.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header;
use axum::http::request::Parts;
use brasa_shared::queue::Paused;
use brasa_shared::units::{Moment, NoMoment, parse_duration};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::error::Refused;
use crate::guard::Strict;

/// What stands in the path.
pub(super) struct At<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(at)| Self(at)).map_err(|error| Refused::bad(error.body_text(), ""))
    }
}

/// JSON, or nothing at all.
pub(super) struct Maybe<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for Maybe<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let headers = request.headers();
        let length = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
        if length && !headers.contains_key(header::TRANSFER_ENCODING) {
            return Ok(Self(T::default()));
        }
        let read = Strict::<Option<T>>::from_request(request, state).await;
        read.map(|Strict(body)| Self(body.unwrap_or_default()))
    }
}

/// An object, and no list of the values of its fields, which serde would take for it.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OfFields(PhantomData)).map(Self)
    }
}

struct OfFields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfFields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A time span as people write it: `90s`, `2h`, `1h30m`.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(value_type = String, example = "90s", pattern = "^([0-9]{1,6}(w|d|h|m|s|ms))+$")]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = parse_duration(&text);
        read.map(Self).map_err(|error| D::Error::custom(format!("{error}; {}", error.help())))
    }
}

impl Span {
    /// In milliseconds.
    pub(super) fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A moment as people write it: so long ago, or an instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct When(pub(super) Moment);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = text.parse();
        read.map(Self).map_err(|wrong: NoMoment| D::Error::custom(format!("{wrong}; {}", wrong.help())))
    }
}

/// Why something is done; it is kept in the record of acts.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Why {
    /// In words; of long ones the first 200 characters are kept.
    reason: String,
}

impl Why {
    /// The reason, of a bearable length.
    pub(super) fn text(self) -> String {
        crate::acts::Reason { reason: self.reason }.text()
    }
}

/// Who stopped something, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stop {
    /// Who.
    by: String,
    /// Why; may be empty.
    reason: String,
    /// When, ms since 1970.
    at_ms: i64,
}

impl From<Paused> for Stop {
    fn from(Paused { by, reason, at }: Paused) -> Self {
        Self { by, reason, at_ms: at }
    }
}

/// What is answered where something was not done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What was not done.
    pub(super) error: Said,
}

/// What was not done, and what to do next.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Said {
    /// What is wrong.
    pub(super) message: String,
    /// What to do next; may be empty.
    pub(super) help: String,
    /// The number of the request, as logs name it.
    pub(super) request: String,
}
