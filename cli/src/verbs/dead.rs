//! `brasa dead`: the jobs that were given up.

use brasa_shared::queue::{JobView, State};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::jobs::{find, show, table};

/// The most jobs of a queue that one bulk verb looks at.
const BULK_MAX: usize = 1_000_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List dead jobs, the latest first
    List(List),
    /// Show everything about one dead job
    Show(Show),
    /// Start dead jobs again, with a clean count of attempts
    Retry(Chosen),
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
pub(crate) struct Filter {
    /// Only this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only this kind
    #[arg(long)]
    kind: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The jobs
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
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
                let views = filter.find(app, limit).await?;
                table(&views, app, out)?;
                out.value(&views)
            }
            Self::Show(Show { id }) => {
                let (_, view) = find(app, &id).await?;
                show(&view, app, out)?;
                out.value(&view)
            }
            Self::Retry(chosen) => chosen.act(app, out, Act::Retry).await,
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
    Retry,
    Delete,
}

impl Filter {
    async fn find(&self, app: &App, limit: usize) -> Result<Vec<JobView>, Failure> {
        let mut views = Vec::new();
        for queue in app.chosen_queues(self.queue.as_deref()).await?.values() {
            views.extend(queue.list(State::Dead, limit).await?);
        }
        views.retain(|view| self.kind.as_ref().is_none_or(|kind| view.kind == *kind));
        Ok(views)
    }
}

impl Chosen {
    async fn act(self, app: &App, out: &mut Output, act: Act) -> Result<(), Failure> {
        let (mut changed, mut refused) = (Vec::new(), Vec::new());
        for (name, ids) in self.by_queue(app).await? {
            if self.dry_run {
                changed.extend(ids);
                continue;
            }
            let queue = app.queue(&name);
            let answers = match act {
                Act::Retry => queue.revive(&ids).await?,
                Act::Delete => queue.forget(&ids).await?,
            };
            for (id, done) in ids.into_iter().zip(answers) {
                if done { changed.push(id) } else { refused.push(id) }
            }
        }
        let (verb, past) = match act {
            Act::Retry => ("retry", "waiting again"),
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

    async fn by_queue(&self, app: &App) -> Result<Vec<(String, Vec<String>)>, Failure> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        let mut add = |queue: String, id: String| match groups.iter_mut().find(|(name, _)| *name == queue) {
            Some((_, ids)) => ids.push(id),
            None => groups.push((queue, vec![id])),
        };
        if self.all {
            self.filter.find(app, BULK_MAX).await?.into_iter().for_each(|view| add(view.queue, view.id));
        } else {
            for id in &self.ids {
                let (queue, _) = find(app, id).await?;
                add(queue.name().to_owned(), id.clone());
            }
        }
        Ok(groups)
    }
}
