//! What travels: one JSON object per job, documented field by field in `docs/wire-format.md`.
//!
//! Envelopes above [`COMPRESS_ABOVE`] bytes are kept as a zstd frame of the same JSON; its magic number
//! tells the two apart, since JSON begins with `{`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::name::check_name;
use crate::queue::lane::PRIORITY_MAX;
use crate::seal::{SealError, Sealed};

/// The version of the envelope that this build writes.
pub const VERSION: u32 = 1;
/// Envelopes longer than this many bytes are compressed.
pub const COMPRESS_ABOVE: usize = 4 * 1024;
/// The longest envelope that is accepted, in bytes of JSON. Larger things belong in the database, and
/// their name into the job.
pub const BYTES_MAX: usize = 256 * 1024;
/// The longest id, in bytes.
pub const ID_MAX: usize = 128;

/// How many jobs may wait for one.
const LINKS_MAX: usize = 64;

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
    /// It cannot be sealed, or is not sealed and has to be.
    #[error("its arguments are {0}\n  help: {help}", help = .0.help())]
    Seal(#[from] SealError),
    /// `args` is not an object.
    #[error("`args` must be a JSON object, it is {0}")]
    Args(&'static str),
}

/// One job as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of this layout.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub v: u32,
    /// Names the job for ever; enqueuing the same id twice is enqueuing once. Redis keeps it beside the rest.
    #[serde(default, skip_serializing)]
    pub id: String,
    /// What is to be done.
    pub kind: String,
    /// Version of the payload, as the kind counts it.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub kv: u32,
    /// The payload, an object; `null` while it is sealed.
    #[serde(default = "no_args", skip_serializing_if = "is_null")]
    pub args: Box<RawValue>,
    /// The payload, sealed. The queue seals it at its doors, and opens it for whoever may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// When it was enqueued by the producer's clock, ms since 1970. Left out where the id says it.
    #[serde(default, skip_serializing)]
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
    /// How urgent it is, from 0 to [`PRIORITY_MAX`]; each step counts as much as the queue's ageing time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: u8,
    /// Jobs with share keys are handed out in turn by key, so that no key starves another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// It is not to start after this instant, ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// It is to be over by this instant, ms since 1970: attempts are cut short, and none begins after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<i64>,
    /// At most one open job of the queue has this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<String>,
    /// When the key is free again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unique_until: UniqueUntil,
    /// The key is taken for this long from when the job came, ms, also where the job has ended earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_for_ms: Option<u64>,
    /// What becomes of this job where another has its key.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_conflict: OnConflict,
    /// A job that is replaced or put off again and again starts this long after it first came, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_ms: Option<u64>,
    /// How many jobs must end before this one may start.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parents: u32,
    /// The jobs that wait for this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Link>,
    /// It came through the outbox in Postgres, which waits to hear of its end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outbox: bool,
    /// The schedule that fired it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// W3C trace context of the producer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// When a unique key is free again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UniqueUntil {
    /// When the job has ended.
    #[default]
    Finished,
    /// When it is handed out for the first time.
    Started,
}

/// What becomes of a job whose unique key another open job has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// It is left out.
    #[default]
    Keep,
    /// It takes the other one's place, unless that has started: its arguments, and when it is due.
    Replace,
    /// It puts the other one off to when it would have been due itself.
    Extend,
}

/// A job that waits for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The job that waits.
    pub id: String,
    /// The lane that it will stand in.
    pub lane: String,
    /// Its share key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// It starts also where the job that it waits for was cancelled or died.
    #[serde(default, skip_serializing_if = "is_default")]
    pub always: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_zero<T: Copy + Into<u32>>(n: &T) -> bool {
    (*n).into() == 0
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(n: &u32) -> bool {
    *n == 1
}

#[expect(clippy::borrowed_box, reason = "serde asks for a reference to the field")]
fn is_null(args: &Box<RawValue>) -> bool {
    args.get() == "null"
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
        let at = now.as_millisecond();
        let id = ulid::Ulid::from_parts(at.max(0).unsigned_abs(), rand::random()).to_string();
        Ok(Self::of(&id, kind, serde_json::value::to_raw_value(args)?, at))
    }

    /// A job of that id and kind with arguments that are JSON already, enqueued at `at` ms since 1970.
    pub fn of(id: &str, kind: &str, args: Box<RawValue>, at: i64) -> Self {
        Self {
            v: VERSION,
            id: id.to_owned(),
            kind: kind.to_owned(),
            kv: 1,
            args,
            sealed: None,
            at,
            due: None,
            attempts: None,
            timeout_ms: None,
            keep_ms: None,
            priority: 0,
            share: None,
            expires: None,
            deadline: None,
            unique: None,
            unique_until: UniqueUntil::Finished,
            unique_for_ms: None,
            on_conflict: OnConflict::Keep,
            latest_ms: None,
            parents: 0,
            next: Vec::new(),
            outbox: false,
            schedule: None,
            trace: None,
        }
    }

    /// The lane in which it stands.
    pub fn lane(&self) -> String {
        crate::queue::lane::lane_of(self)
    }

    /// The lane in which it stands once it was lost with so many holders, and its share key there.
    pub fn lane_after(&self, lost: u64) -> (String, Option<String>) {
        let (lane, share) = crate::queue::lane::lane_after(self, lost);
        (lane, (!share.is_empty()).then(|| share.to_owned()))
    }

    /// The class in which it waits: its kind, and the payload version from the second on.
    pub fn class(&self) -> String {
        class(&self.kind, self.kv)
    }

    pub(crate) fn check(&self) -> Result<(), EnvelopeError> {
        if self.v != VERSION {
            return Err(EnvelopeError::Version(self.v));
        }
        check_name(&self.kind).map_err(|error| EnvelopeError::Name(format!("kind: {error}")))?;
        check_id(&self.id)?;
        for (name, key) in [("unique", &self.unique), ("share", &self.share)] {
            if let Some(key) = key {
                check_id(key).map_err(|error| EnvelopeError::Name(format!("{name}: {error}")))?;
            }
        }
        if self.priority > PRIORITY_MAX {
            return Err(EnvelopeError::Name(format!(
                "`priority` is 0 to {PRIORITY_MAX}, not {}",
                self.priority
            )));
        }
        for link in &self.next {
            check_id(&link.id).map_err(|error| EnvelopeError::Name(format!("next: {error}")))?;
        }
        if self.next.len() > LINKS_MAX {
            return Err(EnvelopeError::Name(format!("at most {LINKS_MAX} jobs can wait for one")));
        }
        if self.kv == 0 || self.attempts == Some(0) {
            return Err(EnvelopeError::Name("`kv` and `attempts` count from 1".to_owned()));
        }
        if self.sealed.is_some() || self.args.get().starts_with('{') {
            Ok(())
        } else {
            Err(EnvelopeError::Args("something else"))
        }
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
    use super::*;

    #[test]
    fn a_later_payload_version_waits_in_a_class_of_its_own() {
        assert_eq!(class("sql.run", 1), "sql.run");
        assert_eq!(class("sql.run", 2), "sql.run@2");
    }
}
