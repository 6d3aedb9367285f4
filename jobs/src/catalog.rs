//! The kinds that a build knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use brasa_shared::config::Config;
use brasa_shared::queue::envelope::class;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::batch::{BatchJob, Batching, run_all};
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::middleware::{Middleware, Next};
use crate::verdict::{JobError, JobResult};

/// A kind as plain values.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// The newest payload version that it reads.
    pub version: u32,
    /// Former names.
    pub aliases: &'static [&'static str],
    /// How its jobs are treated.
    pub policy: Policy,
    /// What is wrong with a payload, in words.
    pub check: fn(&str, &Config) -> Result<(), String>,
    /// Reads a payload and runs it.
    pub run: fn(String, Arc<JobContext>) -> BoxFuture<'static, JobResult<Value>>,
    /// How it takes many jobs in one call, where it does.
    pub batching: Option<Batching>,
}

/// The kinds that a build knows, by name.
#[derive(Clone, Default)]
pub struct Catalog {
    kinds: BTreeMap<&'static str, Kind>,
    aliases: BTreeMap<&'static str, &'static str>,
    middleware: Vec<Arc<dyn Middleware>>,
}

impl Catalog {
    /// The same with one more kind.
    ///
    /// # Panics
    /// The kind's name or a former name of it is taken: a mistake in the program, found when it starts.
    #[must_use]
    pub fn with<J: Job>(self) -> Self {
        let kind = Kind {
            name: J::KIND,
            about: J::ABOUT,
            version: J::VERSION,
            aliases: J::ALIASES,
            policy: J::POLICY,
            check: check::<J>,
            run: |payload, ctx| Box::pin(run::<J>(payload, ctx)),
            batching: None,
        };
        self.add(kind)
    }

    /// The same with one more kind, whose handler takes many jobs in one call.
    ///
    /// # Panics
    /// As [`Self::with`].
    #[must_use]
    pub fn with_batch<B: BatchJob>(self) -> Self {
        let run_all = |items| -> BoxFuture<'static, _> { Box::pin(run_all::<B>(items)) };
        self.add(Kind {
            name: B::KIND,
            about: B::ABOUT,
            version: B::VERSION,
            aliases: &[],
            policy: B::POLICY,
            check: |payload, config| read::<B>(payload)?.check(config),
            // Where nobody gathers jobs each is a batch of its own.
            run: |payload, ctx| Box::pin(alone::<B>(payload, ctx)),
            batching: Some(Batching { size_max: B::SIZE_MAX.max(1), wait_max: B::WAIT_MAX, run: run_all }),
        })
    }

    /// The same with something around every handler. The first that is added is the outermost.
    #[must_use]
    pub fn around(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(Arc::new(middleware));
        self
    }

    /// Runs a job of a kind with everything that is around it.
    pub fn run<'k>(
        &'k self,
        kind: &'k Kind,
        payload: String,
        ctx: Arc<JobContext>,
    ) -> BoxFuture<'k, JobResult<Value>> {
        if self.middleware.is_empty() {
            return (kind.run)(payload, ctx);
        }
        self.run_by(&kind.run, kind, payload, ctx)
    }

    /// The same where somebody else calls the handler in the end: whoever gathers the jobs of a batch.
    pub fn run_by<'k, H>(
        &'k self,
        handler: &'k H,
        kind: &'k Kind,
        payload: String,
        ctx: Arc<JobContext>,
    ) -> BoxFuture<'k, JobResult<Value>>
    where
        H: Fn(String, Arc<JobContext>) -> BoxFuture<'static, JobResult<Value>> + Send + Sync,
    {
        Next { rest: &self.middleware, kind, payload, handler }.run(ctx)
    }

    fn add(mut self, kind: Kind) -> Self {
        for name in [kind.name].iter().chain(kind.aliases) {
            assert!(self.get(name).is_none(), "two kinds are called `{name}`");
        }
        self.aliases.extend(kind.aliases.iter().map(|alias| (*alias, kind.name)));
        self.kinds.insert(kind.name, kind);
        self
    }

    /// The kind of that name, or once of that name.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name).or_else(|| self.kinds.get(self.aliases.get(name)?))
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }

    /// What a worker of this build can claim: every name in every payload version that it reads.
    pub fn classes(&self) -> Vec<String> {
        let names = self.kinds().flat_map(|kind| {
            let names = [kind.name].into_iter().chain(kind.aliases.iter().copied());
            names.flat_map(|name| (1..=kind.version).map(move |version| class(name, version)))
        });
        names.collect()
    }
}

fn read<P: DeserializeOwned>(payload: &str) -> Result<P, String> {
    serde_json::from_str(payload).map_err(|error| {
        // Line and column of a payload that a person wrote in one line say nothing.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or(&text).to_owned()
    })
}

/// What is wrong with a payload, without the values in it: whoever may not see what jobs are given sees what they died
/// of. The names of fields stay.
pub(crate) fn without_values(error: &str) -> String {
    let quoting = ["invalid type: ", "invalid value: ", "unknown variant "];
    let Some(kind) = quoting.into_iter().find(|kind| error.starts_with(kind)) else {
        return error.to_owned();
    };
    let (found, expected) = error.rsplit_once(", expected ").unwrap_or((error, "something else"));
    // serde says first what it is, and then, between quotes, which one.
    let sort = found[kind.len()..].split(['"', '`']).next().unwrap_or_default();
    format!("{}, expected {expected}", format!("{kind}{sort}").trim_end())
}

fn check<J: Job>(payload: &str, config: &Config) -> Result<(), String> {
    read::<J>(payload)?.check(config)
}

async fn alone<B: BatchJob>(payload: String, ctx: Arc<JobContext>) -> JobResult<Value> {
    run_all::<B>(vec![(payload, ctx)]).await.pop().unwrap_or(Ok(Value::Null))
}

async fn run<J: Job>(payload: String, ctx: Arc<JobContext>) -> JobResult<Value> {
    let job = read::<J>(&payload)
        .map_err(|error| JobError::bury(format!("the arguments do not fit: {}", without_values(&error))))?;
    job.run(&ctx).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_without_the_value() {
        for (told, shown) in [
            (
                r#"invalid type: string "4111, expected 1", expected a sequence"#,
                "invalid type: string, expected a sequence",
            ),
            ("invalid type: integer `5`, expected a string", "invalid type: integer, expected a string"),
            ("invalid type: map, expected a string", "invalid type: map, expected a string"),
            (r#"invalid value: string "a`b", expected x"#, "invalid value: string, expected x"),
            ("unknown variant `4111`, expected `a` or `b`", "unknown variant, expected `a` or `b`"),
            (r#"invalid type: string "cut"#, "invalid type: string, expected something else"),
            ("unknown field `gait`, expected `name`", "unknown field `gait`, expected `name`"),
            ("missing field `name`", "missing field `name`"),
        ] {
            assert_eq!(without_values(told), shown);
        }
    }
}
