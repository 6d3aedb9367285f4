//! Where what jobs are given and what they return is sealed and opened (see [`crate::seal`]), and nowhere else.
//!
//! It is sealed at the door, whichever that is, and opened for whoever runs the job or looks at it. In between nobody
//! needs to know what is in it. A queue without keys passes on what it gets, at no cost.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::queue::Queue;
use crate::queue::envelope::{BYTES_MAX, Envelope, EnvelopeError, OnConflict};
use crate::queue::outcome::Outcome;
use crate::seal::{Binding, Keyring, Owner, SealError, Sealed, What, is_hidden};

impl Queue {
    /// The same queue with keys: what is put into it is sealed.
    #[must_use]
    pub fn sealing(mut self, keyring: Arc<Keyring>) -> Self {
        self.changed().keyring = Some(keyring);
        self
    }

    /// What it seals with.
    pub fn keyring(&self) -> Option<&Keyring> {
        self.inner.keyring.as_deref()
    }

    /// Opens what a job is given, for whoever runs it.
    ///
    /// # Errors
    /// It is sealed with a key that is not here, or does not open; or it is not sealed, and has to be.
    pub fn open_args(&self, job: &mut Envelope) -> Result<(), SealError> {
        if job.sealed.is_none() && self.keyring().is_some_and(Keyring::is_required) {
            return Err(SealError::Missing);
        }
        self.unseal(job)
    }

    /// The job as it is put into Redis: sealed where there are keys, and its unique key hidden.
    pub(crate) fn seal<'j>(&self, job: &'j Envelope) -> Result<Cow<'j, Envelope>, EnvelopeError> {
        let Some(keyring) = self.keyring().filter(|_| job.sealed.is_none()) else {
            return Ok(Cow::Borrowed(job));
        };
        let bytes = job.args.get().len();
        if bytes > BYTES_MAX {
            return Err(EnvelopeError::TooLong(bytes));
        }
        job.check()?;
        let mut sealed = job.clone();
        if let Some(key) = job.unique.as_ref().filter(|key| !is_hidden(key)) {
            sealed.unique = Some(keyring.hide(&self.binding(What::Unique(key)))?);
        }
        self.seal_args(keyring, &mut sealed)?;
        Ok(Cow::Owned(sealed))
    }

    /// A job that was pushed to the inbox, as it is put into its place.
    pub(crate) fn admitted<'j>(&self, job: &'j Envelope) -> Result<Cow<'j, Envelope>, EnvelopeError> {
        if job.sealed.is_none() && self.keyring().is_some_and(Keyring::is_required) {
            // Sealed here, it would be vouched for.
            return Err(SealError::Missing.into());
        }
        self.seal(job)
    }

    /// Seals a job anew, or for the first time where that is not required; false if the active key has sealed it.
    pub(crate) fn seal_anew(&self, keyring: &Keyring, job: &mut Envelope) -> Result<bool, SealError> {
        match &job.sealed {
            Some(sealed) if sealed.key() == keyring.active() => return Ok(false),
            None if keyring.is_required() => return Err(SealError::Missing),
            _ => {}
        }
        self.unseal(job)?;
        // Its unique key stays as it is, for it stands elsewhere, too.
        self.seal_args(keyring, job)?;
        Ok(true)
    }

    /// What a job is given, for whoever looks at it; a text that says why where it cannot be opened.
    pub(crate) fn args_shown(&self, job: &Envelope) -> Value {
        let read = |job: &Envelope| serde_json::from_str(job.args.get()).unwrap_or_default();
        if job.sealed.is_none() {
            return read(job);
        }
        let mut job = job.clone();
        match self.unseal(&mut job) {
            Ok(()) => read(&job),
            Err(error) => Value::String(error.to_string()),
        }
    }

    /// An outcome as it is kept.
    pub(crate) fn seal_outcome(&self, id: &str, outcome: &Outcome) -> String {
        match (self.keyring(), &outcome.result) {
            (Some(keyring), Some(result)) => {
                let inside = serde_json::to_vec(result).unwrap_or_default();
                let sealed = keyring.seal(&self.binding(What::Result(id)), &inside).ok();
                Outcome { result: None, sealed, ..outcome.clone() }.to_json()
            }
            _ => outcome.to_json(),
        }
    }

    /// The same with the active key, where another one has sealed it; nothing where there is nothing to do.
    pub(crate) fn outcome_anew(&self, keyring: &Keyring, id: &str, json: &[u8]) -> Option<Vec<u8>> {
        let mut outcome: Outcome = serde_json::from_slice(json).ok()?;
        let binding = self.binding(What::Result(id));
        let before = outcome.sealed.take().filter(|sealed| sealed.key() != keyring.active())?;
        let inside = keyring.open(&binding, &before).ok()?;
        outcome.sealed = Some(keyring.seal(&binding, &inside).ok()?);
        Some(outcome.to_json().into_bytes())
    }

    /// An outcome for whoever looks at it.
    pub(crate) fn open_outcome(&self, id: &str, mut outcome: Outcome) -> Outcome {
        if let Some(sealed) = outcome.sealed.take() {
            let read = |inside: Vec<u8>| serde_json::from_slice(&inside).unwrap_or_default();
            let opened = self.opened(What::Result(id), &sealed).map(read);
            outcome.result = Some(opened.unwrap_or_else(|error| Value::String(error.to_string())));
        }
        outcome
    }

    /// JSON on its way to the history: as it is, or sealed where there are keys.
    pub(crate) fn seal_told(
        &self,
        what: What<'_>,
        json: Option<Box<RawValue>>,
    ) -> (Option<Box<RawValue>>, Option<Sealed>) {
        match (self.keyring(), json) {
            (Some(keyring), Some(json)) => {
                (None, keyring.seal(&self.binding(what), json.get().as_bytes()).ok())
            }
            (_, json) => (json, None),
        }
    }

    /// What came that way.
    pub(crate) fn open_told(
        &self,
        what: What<'_>,
        plain: Option<Box<RawValue>>,
        sealed: Option<&Sealed>,
    ) -> Option<String> {
        let Some(sealed) = sealed else {
            return plain.map(|json| Box::<str>::from(json).into_string());
        };
        let opened = self.opened(what, sealed).ok().and_then(|inside| String::from_utf8(inside).ok());
        Some(opened.unwrap_or_else(|| format!("{{\"sealed_with\":\"{}\"}}", sealed.key())))
    }

    /// Opens what a job is given, if it is sealed.
    pub(crate) fn unseal(&self, job: &mut Envelope) -> Result<(), SealError> {
        let Some(sealed) = &job.sealed else { return Ok(()) };
        let inside = self.opened(args_of(job), sealed)?;
        let inside = String::from_utf8(inside).map_err(|error| SealError::Inside(error.to_string()))?;
        if !inside.starts_with('{') {
            return Err(SealError::Inside("it is no JSON object".to_owned()));
        }
        job.args = RawValue::from_string(inside).map_err(|error| SealError::Inside(error.to_string()))?;
        job.sealed = None;
        Ok(())
    }

    fn seal_args(&self, keyring: &Keyring, job: &mut Envelope) -> Result<(), SealError> {
        let sealed = keyring.seal(&self.binding(args_of(job)), job.args.get().as_bytes())?;
        job.sealed = Some(sealed);
        job.args = RawValue::NULL.to_owned();
        Ok(())
    }

    fn opened(&self, what: What<'_>, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let keyring = self.keyring().ok_or_else(|| SealError::NoKey(sealed.key().to_owned()))?;
        keyring.open(&self.binding(what), sealed)
    }

    fn binding<'b>(&'b self, what: What<'b>) -> Binding<'b> {
        Binding { prefix: &self.inner.prefix, queue: &self.inner.name, what }
    }
}

/// What a job is given, and whose it is. One that replaces another takes over its id, and has its unique key.
fn args_of(job: &Envelope) -> What<'_> {
    let of = match &job.unique {
        Some(key) if job.on_conflict == OnConflict::Replace => Owner::Key(key),
        _ => Owner::Job(&job.id),
    };
    What::Args { kind: &job.kind, version: job.kv, of }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;
    use crate::queue::envelope::COMPRESS_ABOVE;
    use crate::seal::Key;
    use crate::store::Store;

    fn queue(is_required: bool) -> Queue {
        let keys = BTreeMap::from([("k1".to_owned(), Key::read(&Key::fresh()).unwrap())]);
        let keyring = Keyring::new(keys, "k1", "k1").unwrap().required(is_required);
        let store = Store::open("redis://127.0.0.1:1").unwrap();
        Queue::new(store, "p", "q", Clock::System).sealing(Arc::new(keyring))
    }

    fn job(args: &Value) -> Envelope {
        Envelope::new("sql.run", args, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[tokio::test]
    async fn what_is_sealed_at_the_door_is_read_and_opened_again() {
        let queue = queue(true);
        let plain = job(&json!({ "name": "canary" }));
        let urgent = Envelope { priority: 3, ..job(&json!({ "name": "canary".repeat(COMPRESS_ABOVE) })) };
        let largest = job(&json!({ "name": "c".repeat(BYTES_MAX - 100) }));
        for job in [plain, urgent, largest] {
            let sealed = queue.seal(&job).unwrap();
            let record = sealed.to_record().unwrap();
            assert!(!String::from_utf8_lossy(&record).contains("canary"));
            for mut read in [
                Envelope::from_record(&job.id, &record).unwrap(),
                Envelope::from_wire(&sealed.to_wire().unwrap()).unwrap(),
            ] {
                assert_eq!((read.args.get(), &read.kind, read.priority), ("null", &job.kind, job.priority));
                queue.open_args(&mut read).unwrap();
                assert_eq!(read.args.get(), job.args.get());
            }
        }
    }

    #[tokio::test]
    async fn arguments_that_do_not_shrink_may_be_as_long_as_others() {
        let queue = queue(false);
        let noise: String =
            (0..BYTES_MAX - 200).map(|_| char::from(rand::random_range(b'#'..b'['))).collect();
        let mut job = job(&json!({ "name": noise }));
        job.priority = 1;
        let record = queue.seal(&job).unwrap().to_record().unwrap();
        let mut read = Envelope::from_record(&job.id, &record).unwrap();
        queue.open_args(&mut read).unwrap();
        assert_eq!(read.args.get(), job.args.get());
    }

    #[tokio::test]
    async fn what_stands_beside_a_seal_is_not_believed() {
        let queue = queue(false);
        let sealed = queue.seal(&job(&json!({ "n": 1 }))).unwrap().into_owned();
        let forged =
            Envelope { args: RawValue::from_string("{\"n\":2}".to_owned()).unwrap(), ..sealed.clone() };
        let mut read = Envelope::from_wire(&forged.to_wire().unwrap()).unwrap();
        assert_eq!(read.args.get(), "null");
        queue.open_args(&mut read).unwrap();
        assert_eq!(read.args.get(), "{\"n\":1}");
    }

    #[tokio::test]
    async fn a_job_without_a_seal_is_refused_where_there_has_to_be_one() {
        let plain = job(&json!({}));
        assert_eq!(queue(true).open_args(&mut plain.clone()), Err(SealError::Missing));
        assert!(queue(true).admitted(&plain).is_err());
        assert_eq!(queue(false).open_args(&mut plain.clone()), Ok(()));
        assert!(queue(false).admitted(&plain).unwrap().sealed.is_some());
    }

    #[tokio::test]
    async fn arguments_that_replace_others_are_bound_to_the_unique_key_and_others_to_the_id() {
        let queue = queue(false);
        let of = |on_conflict| Envelope { unique: Some("k".to_owned()), on_conflict, ..job(&json!({})) };
        let (replacing, keeping) = (of(OnConflict::Replace), of(OnConflict::Keep));
        let elsewhere = |job: &Envelope| {
            let record = queue.seal(job).unwrap().to_record().unwrap();
            queue.open_args(&mut Envelope::from_record("another", &record).unwrap())
        };
        assert_eq!(elsewhere(&replacing), Ok(()));
        assert_eq!(elsewhere(&keeping), Err(SealError::Broken("k1".to_owned())));
        let hidden = queue.seal(&replacing).unwrap().unique.clone().unwrap();
        assert_eq!(Some(&hidden), queue.seal(&keeping).unwrap().unique.as_ref());
        assert!(is_hidden(&hidden));
    }
}
