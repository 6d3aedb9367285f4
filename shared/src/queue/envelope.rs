//! What travels: one JSON object per job, documented field by field in `docs/wire-format.md`.
//!
//! Envelopes above [`COMPRESS_ABOVE`] bytes are kept as a zstd frame of the same JSON; its magic number
//! tells the two apart, since JSON begins with `{`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::name::check_name;

/// The version of the envelope that this build writes.
pub const VERSION: u32 = 1;
/// Envelopes longer than this many bytes are compressed.
pub const COMPRESS_ABOVE: usize = 4 * 1024;
/// The longest envelope that is accepted, in bytes of JSON. Larger things belong in the database, and
/// their name into the job.
pub const BYTES_MAX: usize = 256 * 1024;
/// The longest id, in bytes.
pub const ID_MAX: usize = 128;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why an envelope cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// There is none.
    #[error("the job has no envelope")]
    Missing,
    /// Not JSON, or not the JSON of an envelope.
    #[error("the envelope is not one of ours: {0}")]
    Json(#[from] serde_json::Error),
    /// The compressed form is broken.
    #[error("the envelope cannot be decompressed: {0}")]
    Zstd(#[from] std::io::Error),
    /// A newer producer wrote it.
    #[error("the envelope has version {0}, this build reads up to {VERSION}")]
    Version(u32),
    /// A name or id breaks the rules.
    #[error("{0}")]
    Name(String),
    /// Too long.
    #[error(
        "the envelope has {0} bytes, at most {BYTES_MAX} are accepted; pass a reference instead of the data"
    )]
    TooLong(usize),
    /// `args` is not an object.
    #[error("`args` must be a JSON object, it is {0}")]
    Args(&'static str),
}

/// One job as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of this layout.
    #[serde(default = "one")]
    pub v: u32,
    /// Names the job for ever; enqueuing the same id twice is enqueuing once.
    pub id: String,
    /// What is to be done.
    pub kind: String,
    /// Version of the payload, as the kind counts it.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub kv: u32,
    /// The payload, an object.
    #[serde(default = "no_args")]
    pub args: Box<RawValue>,
    /// When it was enqueued by the producer's clock, ms since 1970.
    #[serde(default)]
    pub at: i64,
    /// Not before this instant, ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<i64>,
    /// Most attempts, instead of the kind's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Time limit of one attempt in ms, instead of the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long the outcome is kept once it is done, ms, instead of the queue's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
    /// At most one waiting or running job of the queue has this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<String>,
    /// The schedule that fired it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// W3C trace context of the producer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// It came through the outbox of Postgres, which wants to hear of its end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outbox: bool,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(n: &u32) -> bool {
    *n == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(truth: &bool) -> bool {
    !*truth
}

fn no_args() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}

impl Envelope {
    /// A job of `kind` with a fresh id, enqueued at `now`.
    ///
    /// # Errors
    /// `args` is not an object.
    pub fn new(kind: &str, args: &Value, now: Timestamp) -> Result<Self, EnvelopeError> {
        if !args.is_object() {
            return Err(EnvelopeError::Args(type_of(args)));
        }
        Ok(Self {
            v: VERSION,
            id: ulid::Ulid::generate().to_string(),
            kind: kind.to_owned(),
            kv: 1,
            args: serde_json::value::to_raw_value(args)?,
            at: now.as_millisecond(),
            due: None,
            attempts: None,
            timeout_ms: None,
            keep_ms: None,
            unique: None,
            schedule: None,
            trace: None,
            outbox: false,
        })
    }

    /// The class in which it waits: its kind, and the payload version from the second on.
    pub fn class(&self) -> String {
        class(&self.kind, self.kv)
    }

    /// The bytes that are kept in Redis.
    ///
    /// # Errors
    /// A name breaks the rules, or the whole is too long.
    pub fn to_wire(&self) -> Result<Vec<u8>, EnvelopeError> {
        self.check()?;
        let json = serde_json::to_vec(self)?;
        if json.len() > BYTES_MAX {
            return Err(EnvelopeError::TooLong(json.len()));
        }
        if json.len() > COMPRESS_ABOVE { Ok(zstd::bulk::compress(&json, 3)?) } else { Ok(json) }
    }

    /// Reads what [`Self::to_wire`] wrote, or what another language pushed.
    ///
    /// # Errors
    /// See [`EnvelopeError`]: whatever it is, only this one job is concerned.
    pub fn from_wire(wire: &[u8]) -> Result<Self, EnvelopeError> {
        if wire.is_empty() {
            return Err(EnvelopeError::Missing);
        }
        let unpacked;
        let json = if wire.starts_with(&ZSTD_MAGIC) {
            unpacked = zstd::bulk::decompress(wire, BYTES_MAX)?;
            &unpacked
        } else {
            wire
        };
        if json.len() > BYTES_MAX {
            return Err(EnvelopeError::TooLong(json.len()));
        }
        let envelope: Self = serde_json::from_slice(json)?;
        envelope.check()?;
        Ok(envelope)
    }

    fn check(&self) -> Result<(), EnvelopeError> {
        if self.v != VERSION {
            return Err(EnvelopeError::Version(self.v));
        }
        check_name(&self.kind).map_err(|error| EnvelopeError::Name(format!("kind: {error}")))?;
        check_id(&self.id)?;
        if let Some(key) = &self.unique {
            check_id(key).map_err(|error| EnvelopeError::Name(format!("unique: {error}")))?;
        }
        if self.kv == 0 || self.attempts == Some(0) {
            return Err(EnvelopeError::Name("`kv` and `attempts` count from 1".to_owned()));
        }
        if self.args.get().starts_with('{') { Ok(()) } else { Err(EnvelopeError::Args("something else")) }
    }
}

/// The class of a kind and a payload version.
pub fn class(kind: &str, version: u32) -> String {
    if version == 1 { kind.to_owned() } else { format!("{kind}@{version}") }
}

/// Ids and unique keys: printable ASCII without spaces.
///
/// # Errors
/// It is empty, too long or has other characters.
pub fn check_id(id: &str) -> Result<(), EnvelopeError> {
    if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        let shown: String = id.chars().take(40).collect();
        return Err(EnvelopeError::Name(format!(
            "`{}` cannot be an id: 1 to {ID_MAX} printable ASCII characters without spaces",
            shown.escape_debug()
        )));
    }
    Ok(())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn envelope(args: &Value) -> Envelope {
        Envelope::new("sql.run", args, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_long_envelope_is_compressed_and_read_back() {
        let sent = envelope(&json!({ "text": "a".repeat(100_000) }));
        let wire = sent.to_wire().unwrap();
        assert!(wire.len() < 1_000);
        assert_eq!(Envelope::from_wire(&wire).unwrap().args.get(), sent.args.get());
    }

    #[test]
    fn an_envelope_above_the_limit_is_refused() {
        let error = envelope(&json!({ "text": "a".repeat(BYTES_MAX) })).to_wire().unwrap_err();
        assert!(error.to_string().contains("pass a reference"), "{error}");
    }

    #[test]
    fn what_another_language_pushes_needs_only_an_id_and_a_kind() {
        let read = Envelope::from_wire(br#"{"id":"a-1","kind":"cache.warm","later":"ignored"}"#).unwrap();
        assert_eq!((read.kv, read.args.get(), read.class().as_str()), (1, "{}", "cache.warm"));
    }

    #[test]
    fn broken_envelopes_say_what_is_wrong() {
        for (wire, expected) in [
            ("", "no envelope"),
            ("{", "EOF"),
            (r#"{"id":"a b","kind":"x"}"#, "cannot be an id"),
            (r#"{"id":"a","kind":"Upper"}"#, "kind"),
            (r#"{"v":9,"id":"a","kind":"x"}"#, "version 9"),
            (r#"{"id":"a","kind":"x","kv":0}"#, "count from 1"),
            (r#"{"id":"a","kind":"x","attempts":0}"#, "count from 1"),
            (r#"{"id":"a","kind":"x","unique":"a b"}"#, "unique: "),
            (r#"{"id":"a","kind":"x","args":[1]}"#, "must be a JSON object"),
        ] {
            let error = Envelope::from_wire(wire.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{wire}: {error}");
        }
    }

    #[test]
    fn a_later_payload_version_waits_in_a_class_of_its_own() {
        assert_eq!(class("sql.run", 1), "sql.run");
        assert_eq!(class("sql.run", 2), "sql.run@2");
    }
}
