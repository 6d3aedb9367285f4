//! The bytes of an envelope.
//!
//! What travels is JSON. What is kept is shorter, for most jobs are plain: the kind, and right behind it the
//! arguments, or what they are sealed in. A job that has more to say is kept as JSON, and where that is long, as a zstd
//! frame of it. The first byte tells the three apart; no name of a kind holds what arguments or a seal begin with.

use serde_json::value::RawValue;

use crate::queue::envelope::{
    BYTES_MAX, COMPRESS_ABOVE, Envelope, EnvelopeError, OnConflict, UniqueUntil, VERSION,
};
use crate::seal::Sealed;

/// The longest envelope whose arguments are sealed, in bytes of JSON: there they are in base 64.
const SEALED_MAX: usize = BYTES_MAX + BYTES_MAX / 2;

/// What a zstd frame begins with; JSON begins with `{`, and a kind with neither.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Envelope {
    /// The bytes that a producer pushes to an inbox.
    ///
    /// # Errors
    /// A name breaks the rules, or the whole is too long.
    pub fn to_wire(&self) -> Result<Vec<u8>, EnvelopeError> {
        self.check()?;
        self.pack(&format!("\"id\":{},\"at\":{},", serde_json::to_string(&self.id)?, self.at))
    }

    /// The bytes that are kept in Redis, without the id, which is their name there.
    ///
    /// # Errors
    /// As [`Self::to_wire`].
    pub fn to_record(&self) -> Result<Vec<u8>, EnvelopeError> {
        self.check()?;
        let at_is_told = self.at == told_by(&self.id);
        let payload = self.sealed.as_ref().map_or(self.args.get().as_bytes(), Sealed::bytes);
        let is_short = self.sealed.is_some() || self.kind.len() + payload.len() <= COMPRESS_ABOVE;
        if at_is_told && is_short && self.is_plain() {
            return Ok([self.kind.as_bytes(), payload].concat());
        }
        self.pack(&if at_is_told { String::new() } else { format!("\"at\":{},", self.at) })
    }

    /// All of it as JSON, with `first` before its fields; as a frame of it where that is long.
    fn pack(&self, first: &str) -> Result<Vec<u8>, EnvelopeError> {
        let mut json = serde_json::to_vec(self)?;
        json.splice(1..1, first.bytes());
        if json.len() > self.bytes_max() {
            return Err(EnvelopeError::TooLong(json.len()));
        }
        if json.len() > COMPRESS_ABOVE { Ok(zstd::bulk::compress(&json, 3)?) } else { Ok(json) }
    }

    fn bytes_max(&self) -> usize {
        if self.sealed.is_some() { SEALED_MAX } else { BYTES_MAX }
    }

    /// Whether there is nothing to say about it but what is to be done, and with what.
    fn is_plain(&self) -> bool {
        (self.v, self.kv, self.priority) == (VERSION, 1, 0)
            && (self.attempts, self.timeout_ms, self.keep_ms, self.unique_for_ms) == (None, None, None, None)
            && (self.expires, self.deadline) == (None, None)
            && (&self.schedule, &self.trace, self.outbox) == (&None, &None, false)
            && self.spec().is_empty()
    }

    /// Reads what [`Self::to_wire`] wrote, or what another language pushed.
    ///
    /// # Errors
    /// See [`EnvelopeError`]: whatever it is, only this one job is concerned.
    pub fn from_wire(wire: &[u8]) -> Result<Self, EnvelopeError> {
        let envelope = Self::unpack(wire)?;
        if envelope.id.is_empty() {
            return Err(EnvelopeError::Name(
                "missing field `id`: name the job, so that it can be pushed twice".to_owned(),
            ));
        }
        envelope.check()?;
        Ok(envelope)
    }

    /// Reads what [`Self::to_record`] wrote.
    ///
    /// # Errors
    /// As [`Self::from_wire`].
    pub fn from_record(id: &str, record: &[u8]) -> Result<Self, EnvelopeError> {
        let mut envelope = match record.first() {
            Some(first) if first.is_ascii_alphanumeric() => Self::of_plain(record)?,
            _ => Self::unpack(record)?,
        };
        id.clone_into(&mut envelope.id);
        if envelope.at == 0 {
            envelope.at = told_by(id);
        }
        envelope.check()?;
        Ok(envelope)
    }

    /// A plain job: its kind, and right behind it its arguments, or what they are sealed in.
    fn of_plain(record: &[u8]) -> Result<Self, EnvelopeError> {
        let is_of_name =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(byte);
        let behind = record.iter().position(|byte| !is_of_name(byte)).unwrap_or(record.len());
        let (kind, payload) = record.split_at(behind);
        let kind = String::from_utf8_lossy(kind);
        if payload.first().is_some_and(u8::is_ascii_control) {
            let sealed = Some(Sealed::read(payload)?);
            return Ok(Self { sealed, ..Self::of("", &kind, RawValue::NULL.to_owned(), 0) });
        }
        Ok(Self::of("", &kind, serde_json::from_slice(payload)?, 0))
    }

    fn unpack(wire: &[u8]) -> Result<Self, EnvelopeError> {
        if wire.is_empty() {
            return Err(EnvelopeError::Missing);
        }
        let unpacked;
        let json = if wire.starts_with(&ZSTD_MAGIC) {
            unpacked = zstd::bulk::decompress(wire, SEALED_MAX)?;
            &unpacked
        } else {
            wire
        };
        if json.len() > SEALED_MAX {
            return Err(EnvelopeError::TooLong(json.len()));
        }
        let mut envelope: Self = serde_json::from_slice(json)?;
        if json.len() > envelope.bytes_max() {
            return Err(EnvelopeError::TooLong(json.len()));
        }
        if envelope.sealed.is_some() {
            // What stands beside a seal is not what was sealed.
            envelope.args = RawValue::NULL.to_owned();
        }
        Ok(envelope)
    }

    /// What scripts have to know of it (see `lua/parts/put.lua`); empty for a plain job.
    pub(crate) fn spec(&self) -> String {
        let due = self.due.unwrap_or(0);
        if due == 0
            && self.share.is_none()
            && self.unique.is_none()
            && self.parents == 0
            && self.next.is_empty()
        {
            return String::new();
        }
        let share = self.share.as_deref().unwrap_or_default();
        let key = self.unique.as_deref().unwrap_or_default();
        let mode = match (self.unique_for_ms, self.unique_until) {
            (Some(_), _) => 'w',
            (None, UniqueUntil::Started) => 's',
            (None, UniqueUntil::Finished) => 'f',
        };
        let conflict = match self.on_conflict {
            OnConflict::Keep => 'k',
            OnConflict::Replace => 'r',
            OnConflict::Extend => 'e',
        };
        let (window, latest) = (self.unique_for_ms.unwrap_or(0), self.latest_ms.unwrap_or(0));
        let mut spec = format!("{due} ={share} ={key} {mode} {window} {conflict} {latest} {}", self.parents);
        for link in &self.next {
            spec.push(' ');
            spec.push_str(&link.id);
        }
        spec
    }
}

/// The instant that an id tells, ms since 1970: a ULID begins with when it was made. 0 for any other.
fn told_by(id: &str) -> i64 {
    ulid::Ulid::from_string(id).map_or(0, |id| i64::try_from(id.timestamp_ms()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

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
    fn a_plain_job_is_kept_as_its_kind_and_its_arguments() {
        let sent = Envelope::new("sql.run", &json!({ "name": "greet" }), Timestamp::UNIX_EPOCH).unwrap();
        let record = sent.to_record().unwrap();
        assert_eq!(record, br#"sql.run{"name":"greet"}"#);
        let read = Envelope::from_record(&sent.id, &record).unwrap();
        assert_eq!((&read.kind, read.args.get(), read.at), (&sent.kind, sent.args.get(), sent.at));
    }

    #[test]
    fn whatever_is_not_plain_is_kept_whole() {
        let at = Timestamp::from_millisecond(1_795_557_143_191).unwrap();
        let sent = || Envelope::new("sql.run", &json!({ "name": "greet" }), at).unwrap();
        let (mut named, mut urgent, mut traced) = (sent(), sent(), sent());
        named.id = "order-1001".to_owned();
        urgent.priority = 3;
        traced.trace = Some("00-1-2-01".to_owned());
        for job in [named, urgent, traced] {
            let record = job.to_record().unwrap();
            let read = Envelope::from_record(&job.id, &record).unwrap();
            assert_eq!(
                (read.at, read.priority, &read.trace, read.to_record().unwrap()),
                (job.at, job.priority, &job.trace, record)
            );
            assert_eq!(Envelope::from_wire(&job.to_wire().unwrap()).unwrap().at, job.at);
        }
    }

    #[test]
    fn a_kept_job_that_was_damaged_says_so() {
        for record in ["sql.run", "sql.run{", "Sql.run{}", r#"sql.run{"a":1}}"#, "\u{1}"] {
            assert!(Envelope::from_record("a", record.as_bytes()).is_err(), "{record}");
        }
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
    fn a_plain_job_has_no_particulars() {
        assert_eq!(envelope(&json!({})).spec(), "");
        let mut job = envelope(&json!({}));
        (job.unique, job.due, job.unique_until) = (Some("k".to_owned()), Some(5), UniqueUntil::Started);
        assert_eq!(job.spec(), "5 = =k s 0 k 0 0");
    }
}
