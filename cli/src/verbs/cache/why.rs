//! `brasa cache why`: everything that is known about a value, in sentences.

use brasa_shared::cache::{Caches, Cause, Epoch, Look, params_of};
use brasa_shared::db::changes::Dependency;
use brasa_shared::db::changes::triggers::{TriggerStatus, status};
use brasa_shared::jiff::SignedDuration;
use clap::Args;
use serde_json::json;

use super::get::Good;
use super::target::{Owner, Target};
use super::triggers::{dependents, means, word};
use crate::app::App;
use crate::failure::{Failure, chain};
use crate::output::{Output, bytes, lasting, millis, plain, when};

/// Say everything that is known about a value: where it came from, whether it stands, and what would end it
#[derive(Debug, Args)]
pub(crate) struct Why {
    #[command(flatten)]
    target: Target,
}

/// What is known about a value.
struct Story<'a> {
    app: &'a App,
    key: String,
    look: Look,
    good: Good,
    epoch: Option<Epoch>,
    owner: Option<Owner>,
    /// When it is loaded again, ms since 1970.
    due_ms: Option<i64>,
    /// How the triggers of the tables stand that it depends on; or why nobody knows.
    triggers: Option<Result<TriggerStatus, String>>,
}

impl Why {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let found = self.target.find(app)?;
        let caches = app.caches();
        let look = caches.look(&found.key).await?;
        let owner = found.of.or_else(|| by_note(app, &look));
        let due_ms = match &owner {
            Some(owner) => caches.namespace(&owner.name).due_at(&params_of(&owner.texts)).await?,
            None => None,
        };
        let story = Story {
            good: Good::of(&look, app.clock.now().as_millisecond()),
            epoch: caches.epoch().await?,
            triggers: triggers(app, owner.as_ref()).await,
            app,
            key: found.key,
            look,
            owner,
            due_ms,
        };
        story.tell(&caches, out)
    }
}

/// The warmer that a note names, where the key does not say which it is.
fn by_note(app: &App, look: &Look) -> Option<Owner> {
    let tags = look.note.as_ref().map(|note| note.tags.as_slice()).unwrap_or_default();
    let name = tags.iter().find_map(|(tag, _)| tag.strip_prefix("~warmer:"))?;
    let (_, shape) = super::warmer(app, name).ok()?;
    Some(Owner { name: name.to_owned(), shape, texts: Vec::new() })
}

async fn triggers(app: &App, owner: Option<&Owner>) -> Option<Result<TriggerStatus, String>> {
    let warmer = app.config.warm.get(&owner?.name)?;
    if warmer.depends_on.is_empty() {
        return None;
    }
    let pool = app.pool().ok()??;
    // What a table needs is what all warmers need of it.
    let all: Vec<Dependency> = dependents(app).into_iter().map(|(dependency, _)| dependency).collect();
    let ask = async {
        let mut connection = pool.acquire().await.map_err(|error| chain(&error))?;
        status(&mut connection, &all).await.map_err(|error| chain(&error))
    };
    Some(ask.await)
}

impl Story<'_> {
    fn tell(&self, caches: &Caches, out: &mut Output) -> Result<(), Failure> {
        let mut lines = vec![self.origin()];
        lines.extend(self.standing());
        lines.extend(self.lately());
        lines.extend(self.ends(caches));
        out.line(plain(&format!("{} {}", self.key, self.headline())))?;
        for line in &lines {
            out.line(plain(&format!("  {line}")))?;
        }
        let says = [vec![self.headline()], lines].concat();
        let Look { note, lease, mark, refused_ms, changed_tags, .. } = &self.look;
        out.value(&json!({
            "key": self.key,
            "standing": self.good.word(),
            "says": says,
            "warmer": self.owner.as_ref().map(|owner| &owner.name),
            "params": self.owner.as_ref().map(|owner| &owner.texts),
            "bytes": self.look.bytes,
            "ends_in_ms": self.look.left_ms,
            "due_ms": self.due_ms,
            "note": note,
            "changed_tags": changed_tags,
            "epoch": self.epoch,
            "lease": lease.as_ref().map(|(token, until)| json!({ "token": token, "until_ms": until })),
            "mark": mark,
            "marked_ms_ago": self.look.marked_ms,
            "refused_ms": refused_ms,
            "triggers": self.triggers.as_ref().and_then(|known| known.as_ref().ok()).map(|known| &known.tables),
        }))?;
        let is_known = note.is_some() || lease.is_some() || mark.is_some() || self.look.bytes.is_some();
        if is_known || self.owner.is_some() { Ok(()) } else { Err(Failure::silent(1)) }
    }

    fn when(&self, ms: i64) -> String {
        when(ms, self.app.clock.now())
    }

    fn headline(&self) -> String {
        let size = bytes(self.look.bytes.unwrap_or(0));
        let left = self.look.left_ms.and_then(|left| i64::try_from(left).ok());
        let ends = left.map_or_else(
            || "and has no end".to_owned(),
            |left| format!("and ends {}", self.when(self.app.clock.now().as_millisecond() + left)),
        );
        match self.good {
            Good::Fresh => format!("is there, {size}, fresh, {ends}"),
            Good::Stale => format!("is there, {size}, but no longer fresh, {ends}"),
            Good::Invalidated => format!("is there, {size}, but does not stand any more, {ends}"),
            Good::Unknown => format!("is there, {size}, {ends}; nobody knows who put it there"),
            Good::None => "is known not to be there".to_owned(),
            Good::Missing => "is not there".to_owned(),
        }
    }

    /// To whom it belongs.
    fn origin(&self) -> String {
        let Some(owner) = &self.owner else {
            return "it belongs to no warmer of this configuration".to_owned();
        };
        let pairs = owner.shape.columns().iter().zip(&owner.texts);
        let pairs: Vec<String> = pairs.map(|(column, text)| format!("{column} = {text}")).collect();
        let which = if pairs.is_empty() { String::new() } else { format!(" ({})", pairs.join(", ")) };
        format!("it belongs to warmer {}{which}", owner.name)
    }

    /// Where it came from, and whether it stands.
    fn standing(&self) -> Vec<String> {
        let Some(note) = &self.look.note else { return vec!["nothing is noted about it".to_owned()] };
        let from = if note.from_replica { "a replica" } else { "the primary" };
        let what = if note.is_none { "that there is none was noted" } else { "it was put there" };
        let mut lines = vec![format!(
            "{what} {} by {}, read from {from} in snapshot {}, which took the database {}",
            self.when(note.at_ms),
            note.who,
            note.snapshot,
            millis(note.cost_us)
        )];
        let left_ms = note.soft_ms - self.app.clock.now().as_millisecond();
        lines.push(if left_ms > 0 {
            format!("it is fresh for {} more", lasting(SignedDuration::from_millis(left_ms)))
        } else {
            format!("it was fresh until {}", self.when(note.soft_ms))
        });
        if self.look.bytes.is_none() && !note.is_none {
            let now_ms = self.app.clock.now().as_millisecond();
            lines.push(if note.hard_ms > now_ms {
                format!("it was to end {}: Redis evicted it, or somebody deleted it", self.when(note.hard_ms))
            } else {
                format!("it ended {}", self.when(note.hard_ms))
            });
        }
        if let Some(owner) = self.owner.as_ref().filter(|owner| owner.shape.version() != note.version) {
            let now = owner.shape.version();
            lines.push(format!(
                "it was made by another definition of the warmer: {}, and now it is {now}",
                note.version
            ));
        }
        match &self.epoch {
            _ if self.look.is_of_another_epoch => {
                lines.push(
                    "it does not stand: Redis has lost its memory since, or is another server".to_owned(),
                );
            }
            Some(epoch) => lines.push(format!("its epoch goes on, on run {} of Redis", run(&epoch.run_id))),
            None => {}
        }
        match self.look.changed_tags.as_slice() {
            [] if note.tags.is_empty() => {}
            [] => lines.push("none of its tags was invalidated since".to_owned()),
            changed => {
                lines.push(format!("it does not stand: invalidated since by {}", changed.join(", ")));
            }
        }
        if let Some(due) = self.due_ms {
            lines.push(format!("it is to be loaded again {}", self.when(due)));
        }
        lines
    }

    /// What goes on, and what went on lately.
    fn lately(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((token, until)) = &self.look.lease {
            let is_over = *until <= self.app.clock.now().as_millisecond();
            lines.push(if is_over {
                format!(
                    "somebody wanted to load it ({token}) and has not; the lease ended {}",
                    self.when(*until)
                )
            } else {
                format!("somebody loads it now ({token}), and has until {}", self.when(*until))
            });
        }
        let causes = self.look.causes();
        if !causes.is_empty() {
            let told: Vec<String> = causes
                .iter()
                .map(|cause| match cause {
                    Cause::Transaction(xid) => format!("transaction {xid}"),
                    Cause::Nobody => "somebody without a transaction".to_owned(),
                })
                .collect();
            let ago = self.look.marked_ms.and_then(|ago| i64::try_from(ago).ok());
            let ago = ago.map_or_else(
                || "some minutes ago".to_owned(),
                |ago| self.when(self.app.clock.now().as_millisecond() - ago),
            );
            lines.push(format!("it was invalidated {ago}, by {}", told.join(", before that by ")));
        }
        if let Some(refused) = self.look.refused_ms {
            let when = self.when(refused);
            lines.push(format!(
                "a value was refused {when}: what it was read from had not seen what invalidated it"
            ));
        }
        lines
    }

    /// What would invalidate it.
    fn ends(&self, caches: &Caches) -> Vec<String> {
        let Some(owner) = &self.owner else { return Vec::new() };
        let mut lines = Vec::new();
        let own = caches.namespace(&owner.name).tag();
        let noted =
            self.look.note.as_ref().map(|note| note.tags.iter().map(|(tag, _)| tag.clone()).collect());
        let tags: Vec<String> = noted.unwrap_or_else(|| owner.shape.tags(&owner.texts));
        let plain_tags: Vec<&str> =
            tags.iter().map(String::as_str).filter(|tag| !tag.starts_with("~on:") && *tag != own).collect();
        if !plain_tags.is_empty() {
            lines.push(format!("it would end with its tags: {}", plain_tags.join(", ")));
        }
        let warmer = self.app.config.warm.get(&owner.name);
        for dependency in warmer.map(|warmer| warmer.depends_on.as_slice()).unwrap_or_default() {
            let table = match self.triggers.as_ref() {
                None => "nobody looked for triggers: there is no address of Postgres".to_owned(),
                Some(Err(error)) => format!("its triggers could not be looked at: {error}"),
                Some(Ok(found)) => {
                    let known = found.tables.iter().find(|table| means(dependency, &table.table));
                    known.map_or_else(|| "there is no such table".to_owned(), |table| match word(&table.state) {
                        "installed" if table.missing_partitions.is_empty() => "its triggers are installed".to_owned(),
                        "installed" => "parts of it have no triggers: `brasa cache triggers install`".to_owned(),
                        "impossible" => "which can have no triggers".to_owned(),
                        state => format!("its triggers are {state}, so nobody sees that: `brasa cache triggers install`"),
                    })
                }
            };
            lines.push(format!("it would end with a change of {dependency}; {table}"));
        }
        lines
    }
}

/// The beginning of a run id, which is enough for people.
fn run(id: &str) -> String {
    id.chars().take(8).collect()
}
