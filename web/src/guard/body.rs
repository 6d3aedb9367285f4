//! What is sent: of a bounded size, within a bounded time, and in one meaning only.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
};

use crate::error::Refused;

/// The largest body.
const BYTES_MAX: usize = 1 << 20;
/// For how long a body may be on its way.
const TIME_MAX: Duration = Duration::from_secs(15);
/// How deep JSON may be.
const DEPTH_MAX: usize = 64;

/// JSON in which no key stands twice, that is not deeper than sixty-four levels.
pub(crate) struct Strict<T>(pub(crate) T);

/// The fields of a form.
pub(crate) struct Form<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Strict<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        if !is_of(request.headers(), "application/json") {
            let help = "send `content-type: application/json`";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is not marked as JSON", help));
        }
        let bytes = read(request).await?;
        let bad =
            |error: serde_json::Error| Refused::bad(format!("the body cannot be understood: {error}"), "");
        // A list in the place of an object would be read by the places of its items, which nobody means.
        if bytes.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
            return Err(Refused::bad("the body is a list, and is to be an object", ""));
        }
        let mut all = serde_json::Deserializer::from_slice(&bytes);
        Once { depth: 0 }.deserialize(&mut all).and_then(|()| all.end()).map_err(bad)?;
        serde_json::from_slice(&bytes).map(Self).map_err(bad)
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        if !is_of(request.headers(), "application/x-www-form-urlencoded") {
            let help = "send the form of the page";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is not a form", help));
        }
        let bytes = read(request).await?;
        let uri = Uri::builder().path_and_query([b"/?".as_slice(), &bytes].concat()).build();
        let uri = uri.map_err(|_| Refused::bad("the form cannot be understood", ""))?;
        query(&uri).map(Self)
    }
}

/// What stands behind the `?`.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refused> {
    let read = axum::extract::Query::try_from_uri(uri);
    read.map(|query| query.0).map_err(|error| Refused::bad(error.body_text(), ""))
}

async fn read(request: Request) -> Result<axum::body::Bytes, Refused> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        let message = "a packed body is not unpacked";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message, "send it as it is"));
    }
    let large = || {
        let help = format!("send less than {} KiB at once", BYTES_MAX >> 10);
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large", help)
    };
    let told =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if told.is_some_and(|length: usize| length > BYTES_MAX) {
        return Err(large());
    }
    match tokio::time::timeout(TIME_MAX, to_bytes(request.into_body(), BYTES_MAX)).await {
        Ok(read) => read.map_err(|_| large()),
        Err(_) => Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time", "")),
    }
}

fn is_of(headers: &HeaderMap, wanted: &str) -> bool {
    let told = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    told.split(';').next().is_some_and(|told| told.trim().eq_ignore_ascii_case(wanted))
}

/// Walks through JSON, and stops where a key stands twice in an object, or where it is too deep. Readers of JSON
/// differ about such texts, so that what one checks is not what another does.
struct Once {
    depth: usize,
}

impl Once {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format!("it is deeper than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Once {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(self.deeper()?)?;
            if !seen.insert(key.clone()) {
                let shown: String = key.chars().take(40).collect();
                return Err(serde::de::Error::custom(format!("the key `{shown}` stands twice")));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<(), D::Error> {
        serde::de::IgnoredAny::deserialize(inner).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> Result<(), String> {
        let mut all = serde_json::Deserializer::from_str(text);
        Once { depth: 0 }.deserialize(&mut all).and_then(|()| all.end()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_readers_of_json_differ_about_is_refused() {
        assert_eq!(walk(r#"{"a":[1,2.5,null,true,"x",{"a":{}}],"b":-1}"#), Ok(()));
        assert!(walk(r#"{"a":1,"b":{"c":1,"c":2}}"#).unwrap_err().contains("`c` stands twice"));
        assert!(walk(r#"{"a":1,"\u0061":2}"#).unwrap_err().contains("`a` stands twice"));
        assert_eq!(walk(&format!("{}{}", "[".repeat(64), "]".repeat(64))), Ok(()));
        assert!(walk(&format!("{}{}", "[".repeat(65), "]".repeat(65))).unwrap_err().contains("deeper"));
        for wrong in [&"[".repeat(1_000_000), r#""\ud800""#, "NaN", "{} {}", "", "[1,]", "01"] {
            assert!(walk(wrong).is_err(), "{}", &wrong[..wrong.len().min(20)]);
        }
    }
}
