//! `cache.warm`: loads the values of one `[warm.NAME]`: all, the hottest, or some.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use brasa_shared::cache::Description;
use brasa_shared::config::{Config, Warmer};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::absent;
use crate::cache::failing::FillError;
use crate::cache::filler::{Filler, Wanted};
use crate::cache::hot;
use crate::cache::loaders::Loaders;
use crate::cache::plan::LoaderProblem;
use crate::cache::tally::Tally;
use crate::context::{JobContext, no_connection};
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult, Verdict};

/// How often a job says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long a job that is for workers with another configuration is left to them.
const OTHERS_WITHIN: Duration = Duration::from_secs(1);

/// Loads the values of one warmer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warm {
    #[serde(alias = "warmer")]
    name: String,
    /// Only values with these texts as parameters.
    #[serde(default)]
    only: BTreeMap<String, String>,
    /// Only as this version of the definition says; none takes that of whichever worker runs it.
    #[serde(default)]
    version: Option<String>,
}

impl Job for Warm {
    const KIND: &'static str = "cache.warm";
    const ABOUT: &'static str = "Fills the cache from the statement of a warmer";
    const POLICY: Policy = Policy::new().attempts(5).backoff(Duration::from_secs(1), Duration::from_mins(1));

    fn check(&self, config: &Config) -> Result<(), String> {
        let warmer = self.warmer(config)?;
        let columns = warmer.columns();
        if !self.only.is_empty() && !warmer.is_askable() {
            let why =
                "its values cannot be loaded one by one: its key is not made of the parameters of its loader";
            return Err(format!("`only` cannot choose among the values of warmer `{}`: {why}", self.name));
        }
        match self.only.keys().find(|name| !columns.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) if columns.is_empty() => {
                Err(format!("`only` names `{name}`, and the key has no parameters"))
            }
            Some(name) => Err(format!("`only` names `{name}`; the key has: {}", columns.join(", "))),
        }
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        if self.is_for_others(&ctx.reach.config) {
            let reason =
                format!("warmer `{}` is defined otherwise here than where this was enqueued", self.name);
            return Err(JobError::new(Verdict::Snooze(OTHERS_WITHIN), reason));
        }
        let warmer = self.warmer(&ctx.reach.config).map_err(JobError::bury)?;
        ctx.db()?;
        let Some(loaders) = ctx.reach.loaders() else {
            return Err(JobError::bury("there is nothing to load from"));
        };
        let filler = Filler::new(loaders, &self.name, warmer, &ctx.job.id);
        let outcome = self.fill(ctx, warmer, loaders, &filler).await;
        let tally = outcome.map_err(|problem| match problem {
            Trouble::Fill(error) => failure(&self.name, loaders, error),
            Trouble::Job(error) => error,
        })?;
        tracing::debug!(warmer = self.name, ?tally, "warmed");
        if let Some(reason) = complaint(&self.name, warmer, &tally) {
            return Err(JobError::bury(reason));
        }
        Ok(tally.to_json())
    }
}

/// Why a job did not go on.
enum Trouble {
    Fill(FillError),
    Job(JobError),
}

impl<E: Into<FillError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Fill(error.into())
    }
}

impl Warm {
    fn warmer<'c>(&self, config: &'c Config) -> Result<&'c Warmer, String> {
        config.warm.get(&self.name).ok_or_else(|| absent("warmer", "warm", &self.name, config.warm.keys()))
    }

    /// Whether it is for workers whose configuration is a newer one, or an older one.
    fn is_for_others(&self, config: &Config) -> bool {
        let own = config.warm.get(&self.name).map(Warmer::version);
        self.version.is_some() && self.version != own
    }

    async fn fill(
        &self,
        ctx: &JobContext,
        warmer: &Warmer,
        loaders: &Loaders,
        filler: &Filler<'_>,
    ) -> Result<Tally, Trouble> {
        loaders.ensure_epoch().await?;
        filler.check().await?;
        let keys = if warmer.keeping.is_hot {
            Some(hot::keys(warmer, filler).await?)
        } else {
            filler.keys().await?
        };
        let Some(mut keys) = keys else {
            let tally = filler.fill_all().await?;
            let_go_of_others(filler, &tally.listed).await?;
            self.say_warmed(warmer, loaders, filler).await?;
            return Ok(tally);
        };
        let is_whole = self.only.is_empty();
        if !is_whole && warmer.is_askable() {
            keys = self.chosen(filler, keys);
        }
        let known: HashSet<String> = if is_whole && warmer.is_askable() && !warmer.keeping.is_hot {
            keys.iter().filter_map(|texts| Some(filler.shape().entry(texts).ok()?.params)).collect()
        } else {
            HashSet::new()
        };
        let tally = Self::fill_keys(ctx, warmer, filler, keys).await?;
        if !warmer.is_askable() {
            let_go_of_others(filler, &tally.listed).await?;
        } else if !known.is_empty() {
            let_go_of_others(filler, &known).await?;
        }
        if is_whole {
            self.say_warmed(warmer, loaders, filler).await?;
        }
        Ok(tally)
    }

    /// Those that were asked for; also one that nobody listed, if every parameter is given.
    fn chosen(&self, filler: &Filler<'_>, keys: Vec<Vec<String>>) -> Vec<Vec<String>> {
        let columns = filler.shape().columns();
        let whole: Option<Vec<String>> =
            columns.iter().map(|column| self.only.get(column).cloned()).collect();
        if let Some(texts) = whole {
            return vec![texts];
        }
        let is_chosen = |texts: &Vec<String>| {
            columns
                .iter()
                .zip(texts)
                .all(|(column, text)| self.only.get(column).is_none_or(|only| only == text))
        };
        keys.into_iter().filter(is_chosen).collect()
    }

    async fn fill_keys(
        ctx: &JobContext,
        warmer: &Warmer,
        filler: &Filler<'_>,
        keys: Vec<Vec<String>>,
    ) -> Result<Tally, Trouble> {
        let (all, mut done, mut told) = (keys.len(), 0, Instant::now());
        let batches: Vec<Vec<Wanted>> = keys
            .chunks(warmer.batch)
            .map(|keys| keys.iter().map(|texts| Wanted { texts: texts.clone(), token: None }).collect())
            .collect();
        let calls = batches.len();
        let fill = |(call, wanted): (usize, Vec<Wanted>)| async move {
            ctx.go_on().map_err(Trouble::Job)?;
            let count = wanted.len();
            Ok::<_, Trouble>((filler.fill_first(wanted, calls - call).await?, count))
        };
        // While some are loaded, as many as the budget allows, others are put into the cache.
        let at_once = usize::try_from(ctx.reach.config.cache.loaders).unwrap_or(1).max(1) * 2;
        let mut filling = stream::iter(batches.into_iter().enumerate().map(fill)).buffer_unordered(at_once);
        let mut tally = Tally::default();
        while let Some((filled, count)) = filling.try_next().await? {
            tally.add(filled);
            done += count;
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                #[expect(clippy::cast_precision_loss, reason = "a share for people")]
                let share = done as f64 / all.max(1) as f64;
                ctx.progress(share, &format!("{done} of {all} keys")).await;
            }
        }
        Ok(tally)
    }

    /// Says that the values of this version of the warmer are there: readers of versioned keys go over to it.
    async fn say_warmed(
        &self,
        warmer: &Warmer,
        loaders: &Loaders,
        filler: &Filler<'_>,
    ) -> Result<(), Trouble> {
        let version = filler.shape().version();
        let description = describe(loaders, &self.name, warmer, filler, Some(version));
        // Where workers define it otherwise by now, those tell readers what is warm for them.
        let change = |known: Option<&Description>| {
            known.is_none_or(|known| known.version == version).then(|| description.clone())
        };
        loaders.caches.redescribe(&self.name, change).await?;
        Ok(())
    }
}

/// What readers need to know about a warmer. `current` is the version of keys that they are to read.
fn describe(
    loaders: &Loaders,
    name: &str,
    warmer: &Warmer,
    filler: &Filler<'_>,
    current: Option<&str>,
) -> Description {
    let lease_ms = u64::try_from(loaders.lease(name).as_millis()).unwrap_or(u64::MAX);
    filler.shape().describe(warmer, lease_ms, current.unwrap_or_default())
}

/// Values that nobody lists any more are not kept warm; they end by themselves.
async fn let_go_of_others(filler: &Filler<'_>, known: &HashSet<String>) -> Result<(), Trouble> {
    let mut cursor = 0;
    loop {
        let (next, found) = filler.namespace().walk(true, cursor).await?;
        let others: Vec<String> = found.into_iter().filter(|params| !known.contains(params)).collect();
        if !others.is_empty() {
            filler.namespace().let_go(&others).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// What a person has to do, where some values could not be cached for a reason that does not pass.
fn complaint(name: &str, warmer: &Warmer, tally: &Tally) -> Option<String> {
    if tally.oversized.0 > 0 {
        let (count, keys) = &tally.oversized;
        return Some(format!(
            "warmer `{name}`: {count} value(s) are larger than {} bytes and were not cached, such as {}; make them \
             smaller, or write a larger `max_bytes`; the other {} are warm",
            warmer.bytes_max,
            keys.join(", "),
            tally.filled
        ));
    }
    // What is hot is what readers say, and they may say anything.
    if tally.broken.0 > 0 && !warmer.keeping.is_hot {
        let (count, said) = &tally.broken;
        return Some(format!(
            "warmer `{name}`: {count} value(s) cannot be loaded by their parameters, such as {}; the other {} are warm",
            said.join("; "),
            tally.filled
        ));
    }
    None
}

/// What a failure means for the job.
fn failure(name: &str, loaders: &Loaders, error: FillError) -> JobError {
    match error {
        FillError::Connection(error) => no_connection(error),
        FillError::Plan(LoaderProblem::Refused { what, source }) => {
            judge(source, &format!("prepare {what} of warmer `{name}`"))
        }
        FillError::Plan(LoaderProblem::Unfit { message, help, .. }) => {
            JobError::bury(format!("warmer `{name}`: {message}; {help}"))
        }
        FillError::Load(error) => {
            loaders.forget_plan(name);
            judge(error, &format!("load warmer `{name}`"))
        }
        FillError::Rows(problem) => JobError::bury(format!("warmer `{name}`: {problem}")),
        error @ (FillError::Store(_) | FillError::Forgotten | FillError::Epoch(_)) => error.into(),
    }
}
