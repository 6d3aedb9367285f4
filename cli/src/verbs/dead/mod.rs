//! `brasa dead`: the jobs that were given up.

use std::time::Duration;

use brasa_shared::queue::State;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::arguments::duration;
use crate::verbs::jobs::{Filter, find, show, table};

mod groups;

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// Group dead jobs by what they died of, the largest group first
    Groups(groups::Groups),
    /// List dead jobs, the latest first
    List(List),
    /// Show everything about one dead job
    Show(Show),
    /// Start dead jobs again, with a clean count of attempts
    Retry(Retry),
    /// Delete dead jobs for good
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// At most this many per queue
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The job
    id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The jobs
    #[arg(required_unless_present_any = ["all", "group"], conflicts_with_all = ["all", "group"])]
    ids: Vec<String>,
    /// All dead jobs of a group; see `brasa dead groups`
    #[arg(long, value_name = "GROUP", conflicts_with = "all")]
    group: Option<String>,
    /// All dead jobs of the filter
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    chosen: Chosen,
    /// Start one of them first, and the others only if it is done
    #[arg(long)]
    canary: bool,
    /// How long to wait for the canary
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration, requires = "canary")]
    canary_wait: Duration,
    /// Start one every so often, such as 100ms, instead of all at once
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    every: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    chosen: Chosen,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl Dead {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        app.greet_redis().await?;
        match self {
            Self::List(List { filter, limit }) => {
                let views = filter.find(app, &[State::Dead], limit, out).await?;
                table(&views, app, out)?;
                out.value(&views)
            }
            Self::Show(Show { id }) => {
                let (_, view) = find(app, &id).await?;
                show(&view, app, out)?;
                out.value(&view)
            }
            Self::Groups(verb) => verb.obey(app, out).await,
            Self::Retry(verb) => verb.obey(app, out).await,
            Self::Delete(Delete { chosen, yes }) => {
                if !yes && !chosen.dry_run {
                    let help = "it cannot be undone; add --yes, or look first with --dry-run";
                    return Err(Failure::usage(format!("this deletes jobs for good\n  help: {help}")));
                }
                chosen.act(app, out, Act::Delete).await
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Act {
    Retry(Duration),
    Delete,
}

impl Retry {
    async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let mut groups = self.chosen.by_queue(app, out).await?;
        if self.canary && !self.chosen.dry_run {
            let first = groups.iter_mut().find_map(|(name, ids)| Some((app.queue(name), ids.pop()?)));
            let Some((queue, id)) = first else {
                return Err(Failure::environment("there are no such dead jobs"));
            };
            if !groups::canary(&queue, &id, self.canary_wait, out).await? {
                out.line("the others were left as they are")?;
                return Err(Failure::silent(1));
            }
        }
        self.chosen.act_on(groups, app, out, Act::Retry(self.every.unwrap_or_default())).await
    }
}

impl Chosen {
    async fn act(self, app: &App, out: &mut Output, act: Act) -> Result<(), Failure> {
        let groups = self.by_queue(app, out).await?;
        self.act_on(groups, app, out, act).await
    }

    async fn act_on(
        &self,
        groups: Vec<(String, Vec<String>)>,
        app: &App,
        out: &mut Output,
        act: Act,
    ) -> Result<(), Failure> {
        let (mut changed, mut refused) = (Vec::new(), Vec::new());
        for (name, ids) in groups {
            if self.dry_run {
                changed.extend(ids);
                continue;
            }
            let queue = app.queue(&name);
            let answers = match act {
                Act::Retry(every) => queue.revive_every(&ids, every).await?,
                Act::Delete => queue.forget(&ids).await?,
            };
            for (id, done) in ids.into_iter().zip(answers) {
                if done { changed.push(id) } else { refused.push(id) }
            }
        }
        let (verb, past) = match act {
            Act::Retry(_) => ("retry", "waiting again"),
            Act::Delete => ("delete", "deleted"),
        };
        out.line(if self.dry_run {
            format!("would {verb} {} job(s)", changed.len())
        } else {
            format!("{} job(s) {past}", changed.len())
        })?;
        for id in &refused {
            out.line(format!(
                "{id} was left as it is: it is not dead, cannot be read, or another has its unique key"
            ))?;
        }
        out.value(&json!({ verb: changed, "refused": refused, "dry_run": self.dry_run }))?;
        if refused.is_empty() { Ok(()) } else { Err(Failure::silent(1)) }
    }

    async fn by_queue(&self, app: &App, out: &mut Output) -> Result<Vec<(String, Vec<String>)>, Failure> {
        self.filter.belongs_to_all(self.all, self.group.is_some())?;
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        let mut add = |queue: String, id: String| match groups.iter_mut().find(|(name, _)| *name == queue) {
            Some((_, ids)) => ids.push(id),
            None => groups.push((queue, vec![id])),
        };
        if let Some(signature) = &self.group {
            for (queue, ids) in groups::members(app, self.filter.queue(), signature).await? {
                for id in ids {
                    add(queue.name().to_owned(), id);
                }
            }
        } else if self.all {
            let all = self.filter.find_all(app, &[State::Dead], out).await?;
            for view in all {
                add(view.queue, view.id);
            }
        } else {
            for id in &self.ids {
                let (queue, _) = find(app, id).await?;
                add(queue.name().to_owned(), id.clone());
            }
        }
        Ok(groups)
    }
}
