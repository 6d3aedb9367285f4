//! Looking again and again, and telling what is to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brasa_shared::alerts::Troubles;
use brasa_shared::config::Endpoint;
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::look::{Look, Watcher};
use super::message::{self, Told, message};
use super::state::{Claim, Found, Known, Step, Word};
use crate::http::{Callers, Untold, tell};
use crate::site::Site;

/// How long it is waited before a message is sent again that may arrive then.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// After messages that did not arrive, none is sent for at most this long.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// The configuration names nobody who is to be told.
#[derive(Debug, thiserror::Error)]
#[error(
    "nobody is to be told: [alerts] has no webhook\n  help: write [alerts] webhook = \"${{SLACK_WEBHOOK_URL}}\""
)]
pub struct NoWebhook;

/// Why a test did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// There is nobody to send it to.
    #[error(transparent)]
    NoWebhook(#[from] NoWebhook),
    /// It was not taken.
    #[error(transparent)]
    Untold(#[from] Untold),
}

/// Sends a test to the webhook of an installation; returns what it answered.
///
/// # Errors
/// There is none, or it does not take it.
pub async fn test(site: &Site) -> Result<String, TestError> {
    let endpoint = endpoint(site)?;
    Ok(tell(&Callers::default(), &endpoint, &message::test(&site.config.redis.prefix)).await?)
}

/// What is remembered of troubles, by id.
///
/// # Errors
/// Redis is out of reach.
pub async fn remembered(site: &Site) -> Result<BTreeMap<String, Known>, StoreError> {
    let all = Troubles::new(site.store.clone(), &site.config.redis.prefix).all().await?;
    Ok(all.iter().filter_map(|(id, text)| Some((id.clone(), serde_json::from_str(text).ok()?))).collect())
}

/// Looks and tells while this process leads, until it is to stop.
///
/// # Errors
/// There is nobody to be told.
pub async fn watch(
    watcher: Watcher,
    leading: Arc<AtomicBool>,
    stop: CancellationToken,
) -> Result<(), NoWebhook> {
    let site = &watcher.site;
    let mut teller = Teller {
        endpoint: endpoint(site)?,
        callers: Callers::default(),
        troubles: Troubles::new(site.store.clone(), &site.config.redis.prefix),
        me: format!("{}-{:08x}", std::process::id(), rand::random::<u32>()),
        failures: 0,
        quiet_until: None,
        watcher,
    };
    // An alarm asks how much these grow, which is not seen of one that comes into being as 1.
    for verdict in ["sent", "failed"] {
        metrics::alerts_sent_total(verdict).increment(0);
    }
    let mut ticks = tokio::time::interval(teller.watcher.site.config.alerts.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut led = false;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let leads = leading.load(Ordering::Relaxed);
        if leads {
            if !led {
                teller.watcher.begin_anew();
            }
            if let Err(error) = teller.round().await {
                metrics::redis_faults_total("alerts").increment(1);
                tracing::warn!(error = %chain(&error), "cannot see or remember what is wrong; trying again");
            }
        } else if led {
            metrics::alerts_firing().set(0.0);
        }
        led = leads;
    }
    Ok(())
}

fn endpoint(site: &Site) -> Result<Endpoint, NoWebhook> {
    let alerts = &site.config.alerts;
    let webhook = alerts.webhook.as_ref().ok_or(NoWebhook)?;
    Ok(Endpoint::of_alerts(webhook, alerts.private))
}

struct Teller {
    watcher: Watcher,
    endpoint: Endpoint,
    callers: Callers,
    troubles: Troubles,
    me: String,
    /// Messages in a row that did not arrive.
    failures: u32,
    quiet_until: Option<Instant>,
}

/// A trouble that we have claimed to tell.
struct Claimed {
    id: String,
    word: Word,
    /// What was remembered before, as it was written.
    before: Option<String>,
    /// What is now.
    known: Known,
}

impl Teller {
    async fn round(&mut self) -> Result<(), StoreError> {
        let look = self.watcher.look().await;
        for (name, why) in &look.unknown {
            tracing::debug!(name, why, "could not be looked at, or not judged yet");
        }
        let written = self.troubles.all().await?;
        let now_ms = self.watcher.site.clock.now().as_millisecond();
        let mut claimed = Vec::new();
        let found: BTreeSet<String> = look.troubles.iter().map(super::Trouble::id).collect();
        for id in written.keys().cloned().chain(found).collect::<BTreeSet<_>>() {
            claimed.extend(self.judge(&id, written.get(&id), &look, now_ms).await?);
        }
        if !claimed.is_empty() {
            self.tell(claimed, now_ms).await?;
        }
        let told = remembered(&self.watcher.site).await?;
        let firing = told.values().filter(|known| known.told_ms.is_some()).count();
        metrics::alerts_firing().set(f64::from(u32::try_from(firing).unwrap_or(u32::MAX)));
        Ok(())
    }

    /// Remembers or forgets a trouble; claims it where it is to be told now.
    async fn judge(
        &self,
        id: &str,
        written: Option<&String>,
        look: &Look,
        now_ms: i64,
    ) -> Result<Option<Claimed>, StoreError> {
        let trouble = look.troubles.iter().find(|trouble| trouble.id() == id);
        let found = match trouble {
            Some(_) => Found::Wrong,
            None if look.knows(id) => Found::Well,
            None => Found::Unknown,
        };
        let read = written.and_then(|text| serde_json::from_str::<Known>(text).ok());
        let text = trouble.map(|trouble| trouble.text.as_str());
        let is_new = read.is_none();
        // What another build wrote and we cannot read begins anew.
        let Some(mut known) = read.or_else(|| text.map(|text| Known::begin(now_ms, text))) else {
            return Ok(None);
        };
        let before = written.map(String::as_str);
        match known.step(found, now_ms, self.watcher.site.config.alerts.lasting) {
            Step::Nothing if is_new => {
                self.troubles.change(id, before, Some(&spell(&known))).await?;
                Ok(None)
            }
            Step::Nothing => Ok(None),
            Step::Forget => {
                self.troubles.change(id, before, None).await?;
                Ok(None)
            }
            Step::Tell(_) if self.is_quiet() && is_new => {
                self.troubles.change(id, before, Some(&spell(&known))).await?;
                Ok(None)
            }
            Step::Tell(_) if self.is_quiet() => Ok(None),
            Step::Tell(word) => {
                if let Some(text) = text {
                    text.clone_into(&mut known.text);
                }
                known.claim = Some(Claim { by: self.me.clone(), at_ms: now_ms });
                let is_ours = self.troubles.change(id, before, Some(&spell(&known))).await?;
                let claimed = Claimed { id: id.to_owned(), word, before: written.cloned(), known };
                Ok(is_ours.then_some(claimed))
            }
        }
    }

    /// Whether nothing is sent for now, for what was sent did not arrive.
    fn is_quiet(&self) -> bool {
        self.quiet_until.is_some_and(|until| Instant::now() < until)
    }

    /// Sends what was claimed, and writes down what came of it.
    async fn tell(&mut self, claimed: Vec<Claimed>, now_ms: i64) -> Result<(), StoreError> {
        let told = |claimed: &Claimed| {
            let span_ms = u64::try_from(now_ms - claimed.known.since_ms).unwrap_or(0);
            (claimed.word, Duration::from_millis(span_ms))
        };
        let lines: Vec<Told<'_>> = claimed
            .iter()
            .map(|claimed| {
                let (word, span) = told(claimed);
                Told { word, span, text: &claimed.known.text }
            })
            .collect();
        let arrived = self.send(&message(&self.watcher.site.config.redis.prefix, &lines)).await;
        for Claimed { id, word, before, known } in claimed {
            let ours = spell(&known);
            let after = match (arrived, word) {
                (true, Word::Ended) => None,
                (true, _) => Some(spell(&Known { told_ms: Some(now_ms), claim: None, ..known })),
                // It stays as it was, or as if it had just begun.
                (false, _) => before.or_else(|| Some(spell(&Known { claim: None, ..known }))),
            };
            self.troubles.change(&id, Some(&ours), after.as_deref()).await?;
        }
        Ok(())
    }

    /// Whether a message arrived, at the last try.
    async fn send(&mut self, text: &str) -> bool {
        let mut pauses = PAUSES.into_iter();
        loop {
            let Err(untold) = tell(&self.callers, &self.endpoint, text).await else {
                metrics::alerts_sent_total("sent").increment(1);
                (self.failures, self.quiet_until) = (0, None);
                return true;
            };
            if let Some(pause) = pauses.next().filter(|_| untold.may_pass) {
                tokio::time::sleep(pause).await;
                continue;
            }
            metrics::alerts_sent_total("failed").increment(1);
            let every = self.watcher.site.config.alerts.every;
            let pause = every.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
            self.failures = self.failures.saturating_add(1);
            self.quiet_until = Some(Instant::now() + pause);
            let help = "`brasa alerts test` sends a message and says what is answered";
            tracing::error!(why = untold.why, help, "what is wrong could not be told; it is tried again");
            return false;
        }
    }
}

fn spell(known: &Known) -> String {
    serde_json::to_string(known).unwrap_or_default()
}
