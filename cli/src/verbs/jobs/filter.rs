//! Which jobs are listed.

use brasa_shared::queue::{JobView, Search, State};
use brasa_shared::units::Moment;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::arguments::moment;

/// How many jobs of a queue and state are looked at, so that a list of few ends soon in a queue of a million.
const LOOKED_AT: usize = 100_000;

/// The most jobs of a queue and state that one bulk verb acts on.
const BULK_MAX: usize = 1_000_000;

/// Jobs by where they are, what they are, when that was, and what is said of them.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only this queue
    #[arg(long)]
    pub(super) queue: Option<String>,
    /// Only this kind
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// Only what ended, died, is due, runs or waits since then, such as 2h (ago) or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(super) since: Option<Moment>,
    /// Only what did so until then
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(super) until: Option<Moment>,
    /// Only jobs of which this is said, in large letters or small ones: an error, a part of their arguments or id
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(super) text: Option<String>,
}

impl Filter {
    /// The queue that was named.
    pub(crate) fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// Refuses a filter beside jobs that are chosen otherwise: it would choose none of them. A group may be of one queue.
    pub(crate) fn belongs_to_all(&self, is_all: bool, is_group: bool) -> Result<(), Failure> {
        let is_narrow =
            self.kind.is_some() || self.since.is_some() || self.until.is_some() || self.text.is_some();
        let is_given = is_narrow || (self.queue.is_some() && !is_group);
        if is_all || !is_given {
            return Ok(());
        }
        let beside = if is_group { "beside a group, but for --queue" } else { "beside jobs that are named" };
        let help = "add --all to choose by it, or leave it out";
        Err(Failure::usage(format!("a filter chooses nothing {beside}\n  help: {help}")))
    }

    /// All jobs in these states, for a verb that acts on them; where there are more than it takes at once, that is said.
    pub(crate) async fn find_all(
        &self,
        app: &App,
        states: &[State],
        out: &mut Output,
    ) -> Result<Vec<JobView>, Failure> {
        self.find(app, states, BULK_MAX, out).await
    }

    /// Jobs in these states, at most so many of each queue and state. Where some were not looked at, that is said.
    pub(crate) async fn find(
        &self,
        app: &App,
        states: &[State],
        limit: usize,
        out: &mut Output,
    ) -> Result<Vec<JobView>, Failure> {
        let now = app.clock.now();
        let ms = |moment: Option<Moment>| moment.map(|moment| moment.before(now).as_millisecond());
        let mut views = Vec::new();
        for (name, queue) in app.chosen_queues(self.queue.as_deref()).await? {
            for state in states {
                let wanted = Search {
                    kind: self.kind.as_deref(),
                    since_ms: ms(self.since),
                    until_ms: ms(self.until),
                    text: self.text.as_deref(),
                    in_args: true,
                    looks: limit.max(LOOKED_AT),
                    ..Search::all(*state, limit)
                };
                let found = queue.search(&wanted).await?;
                // A list that is full is what was asked for; of all jobs there may be more than are taken at once.
                if found.next.is_some() && (found.jobs.len() < limit || limit == BULK_MAX) {
                    let (state, looked) = (format!("{state:?}").to_lowercase(), found.looked_at);
                    out.aside(format!("only the first {looked} {state} jobs of `{name}` were looked at"))?;
                }
                views.extend(found.jobs);
            }
        }
        Ok(views)
    }
}
