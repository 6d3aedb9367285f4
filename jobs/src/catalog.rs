//! The kinds that a build knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use brasa_shared::config::Config;
use brasa_shared::queue::envelope::class;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::context::JobContext;
use crate::job::{Job, Policy};
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
}

/// The kinds that a build knows, by name.
#[derive(Clone, Default)]
pub struct Catalog {
    kinds: BTreeMap<&'static str, Kind>,
    aliases: BTreeMap<&'static str, &'static str>,
}

impl Catalog {
    /// The same with one more kind.
    ///
    /// # Panics
    /// The kind's name or a former name of it is taken: a mistake in the program, found when it starts.
    #[must_use]
    pub fn with<J: Job>(mut self) -> Self {
        let kind = Kind {
            name: J::KIND,
            about: J::ABOUT,
            version: J::VERSION,
            aliases: J::ALIASES,
            policy: J::POLICY,
            check: check::<J>,
            run: |payload, ctx| Box::pin(run::<J>(payload, ctx)),
        };
        for name in [J::KIND].iter().chain(J::ALIASES) {
            assert!(self.get(name).is_none(), "two kinds are called `{name}`");
        }
        self.aliases.extend(J::ALIASES.iter().map(|alias| (*alias, J::KIND)));
        self.kinds.insert(J::KIND, kind);
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

fn parse<J: Job>(payload: &str) -> Result<J, String> {
    serde_json::from_str(payload).map_err(|error| {
        // Line and column of a payload that a person wrote in one line say nothing.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or(&text).to_owned()
    })
}

fn check<J: Job>(payload: &str, config: &Config) -> Result<(), String> {
    parse::<J>(payload)?.check(config)
}

async fn run<J: Job>(payload: String, ctx: Arc<JobContext>) -> JobResult<Value> {
    let job =
        parse::<J>(&payload).map_err(|error| JobError::bury(format!("the arguments do not fit: {error}")))?;
    job.run(&ctx).await
}
