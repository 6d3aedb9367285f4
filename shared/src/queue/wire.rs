//! The bytes of an envelope: JSON, or where that is long, a zstd frame of the same JSON.

use crate::queue::envelope::{BYTES_MAX, COMPRESS_ABOVE, Envelope, EnvelopeError, OnConflict, UniqueUntil};

/// What a zstd frame begins with; JSON begins with `{`.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Envelope {
    /// The bytes that a producer pushes to an inbox.
    ///
    /// # Errors
    /// A name breaks the rules, or the whole is too long.
    pub fn to_wire(&self) -> Result<Vec<u8>, EnvelopeError> {
        self.check()?;
        let record = serde_json::to_vec(self)?;
        let mut json = format!("{{\"id\":{},", serde_json::to_string(&self.id)?).into_bytes();
        json.extend_from_slice(record.get(1..).unwrap_or_default());
        pack(json)
    }

    /// The bytes that are kept in Redis: the same without the id, which is their name there.
    ///
    /// # Errors
    /// As [`Self::to_wire`].
    pub fn to_record(&self) -> Result<Vec<u8>, EnvelopeError> {
        self.check()?;
        pack(serde_json::to_vec(self)?)
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
        let mut envelope = Self::unpack(record)?;
        id.clone_into(&mut envelope.id);
        envelope.check()?;
        Ok(envelope)
    }

    fn unpack(wire: &[u8]) -> Result<Self, EnvelopeError> {
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
        Ok(serde_json::from_slice(json)?)
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

fn pack(json: Vec<u8>) -> Result<Vec<u8>, EnvelopeError> {
    if json.len() > BYTES_MAX {
        return Err(EnvelopeError::TooLong(json.len()));
    }
    if json.len() > COMPRESS_ABOVE { Ok(zstd::bulk::compress(&json, 3)?) } else { Ok(json) }
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
