//! `brasa cache invalidate`: values go, and whatever is being loaded of them is refused unless it has seen why.
//!
//! It is told to Redis directly, which works while no worker runs. A change of the application is told in its own
//! transaction instead, with `brasa.invalidate_key` and the like.

use std::collections::BTreeMap;

use brasa_jobs::cache::cause;
use brasa_shared::cache::{Caches, Cause, Entry, NOBODY, TAGS_KEPT_MIN, params_of};
use clap::Args;
use serde_json::json;

use super::target::owner;
use super::warmer;
use crate::app::{App, greet_postgres};
use crate::failure::Failure;
use crate::output::{Output, plain};

/// Make values invalid: they go, and what was read before cannot come back
#[derive(Debug, Args)]
#[group(required = true, multiple = true, id = "what", args = ["key", "tag", "warmer"])]
pub(crate) struct Invalidate {
    /// The value at this key
    #[arg(long, value_name = "KEY", num_args = 1..)]
    key: Vec<String>,
    /// All values with this tag
    #[arg(long, value_name = "TAG", num_args = 1..)]
    tag: Vec<String>,
    /// All values of this warmer
    #[arg(long, value_name = "NAME", num_args = 1..)]
    warmer: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Invalidate {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        for name in &self.warmer {
            warmer(app, name)?;
        }
        let caches = app.caches();
        let groups = self.groups(app);
        if self.dry_run {
            return self.preview(&caches, &groups, out).await;
        }
        let pool = app.pool()?;
        if let Some(pool) = &pool {
            greet_postgres(pool).await?;
        }
        let cause = cause(pool.as_ref()).await?;
        let mut gone = 0;
        for (name, entries) in &groups {
            gone += caches.namespace(name).invalidate(entries, cause).await?;
        }
        let tags = self.tags(&caches);
        if !tags.is_empty() {
            // Values with these tags see to it themselves that the marks outlive them.
            caches.invalidate_tags(&tags, cause, TAGS_KEPT_MIN).await?;
        }
        self.tell(&groups, gone, cause, app, out)
    }

    /// The keys by their warmers. Values whose parameters are known are loaded again at once.
    fn groups(&self, app: &App) -> BTreeMap<String, Vec<Entry>> {
        let mut groups: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for key in &self.key {
            let (name, params) = match owner(app, key) {
                Some(owner) => (owner.name, params_of(&owner.texts)),
                None => (NOBODY.to_owned(), String::new()),
            };
            groups.entry(name).or_default().push(Entry { key: key.clone(), params });
        }
        groups
    }

    /// The tags as values have them.
    fn tags(&self, caches: &Caches) -> Vec<String> {
        let named = self.tag.iter().map(|tag| tag.replace(['\n', '\r'], " "));
        named.chain(self.warmer.iter().map(|name| caches.namespace(name).tag())).collect()
    }

    async fn preview(
        &self,
        caches: &Caches,
        groups: &BTreeMap<String, Vec<Entry>>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let mut keys = Vec::new();
        for (name, entry) in
            groups.iter().flat_map(|(name, entries)| entries.iter().map(move |entry| (name, entry)))
        {
            let is_there = caches.look(&entry.key).await?.bytes.is_some();
            let whose = if name == NOBODY { "of no warmer".to_owned() } else { format!("of {name}") };
            let there = if is_there { "is there" } else { "is not there" };
            out.line(format!("would invalidate {} ({whose}), which {there}", plain(&entry.key)))?;
            keys.push(json!({ "key": entry.key, "warmer": owner_name(name), "is_there": is_there }));
        }
        for tag in &self.tag {
            out.line(format!("would invalidate all values with the tag {}", plain(tag)))?;
        }
        let mut warmers = Vec::new();
        for name in &self.warmer {
            let extent = caches.namespace(name).extent().await?;
            let count = extent.warm + extent.once;
            out.line(format!("would invalidate all {count} value(s) of {name}"))?;
            warmers.push(json!({ "warmer": name, "values": count }));
        }
        out.value(&json!({ "dry_run": true, "keys": keys, "tags": self.tag, "warmers": warmers }))
    }

    fn tell(
        &self,
        groups: &BTreeMap<String, Vec<Entry>>,
        gone: u64,
        cause: Cause,
        app: &App,
        out: &mut Output,
    ) -> Result<(), Failure> {
        if !self.key.is_empty() {
            let back = if gone > 0 { "; workers load what they know again at once" } else { "" };
            out.line(format!("{gone} of {} value(s) were there, and are gone{back}", self.key.len()))?;
        }
        if let Some(strangers) = groups.get(NOBODY) {
            let keys: Vec<&str> = strangers.iter().map(|entry| entry.key.as_str()).collect();
            let said = "whose they are cannot be told from the key, so they come back when somebody asks";
            out.line(plain(&format!("  {said}: {}", keys.join(", "))))?;
        }
        for tag in &self.tag {
            out.line(plain(&format!("tag {tag}: what has it is invalid")))?;
        }
        for name in &self.warmer {
            out.line(format!("warmer {name}: all of its values are invalid"))?;
        }
        if !(self.tag.is_empty() && self.warmer.is_empty()) {
            out.line(
                "  readers with the whole protocol see that at once, a plain GET as the sweep comes by",
            )?;
        }
        let xid = match cause {
            Cause::Transaction(xid) => Some(xid),
            Cause::Nobody => {
                let lag = app.config.postgres.replica_url.is_some();
                if lag {
                    out.line("  no primary was asked, so a replica that lags may bring an old value back")?;
                }
                None
            }
        };
        let keys: Vec<_> = groups
            .iter()
            .flat_map(|(name, entries)| {
                entries.iter().map(|entry| json!({ "key": entry.key, "warmer": owner_name(name) }))
            })
            .collect();
        out.value(&json!({ "gone": gone, "keys": keys, "tags": self.tag, "warmers": self.warmer, "transaction": xid }))
    }
}

fn owner_name(name: &str) -> Option<&str> {
    Some(name).filter(|name| *name != NOBODY)
}
