//! Loading values and putting them into the cache: lease, load, fill.
//!
//! Where the parameters of a value make its key, it is leased before the database is read, so that nobody else reads
//! it meanwhile. Where they do not, nobody knows the keys before, and the leases are taken late.

use std::sync::Arc;
use std::time::Duration;

use brasa_shared::cache::{Before, Entry, Filled, Namespace};
use brasa_shared::config::Warmer;
use brasa_shared::telemetry::metrics;
use sqlx::PgConnection;
use tokio::time::Instant;

use crate::cache::budget::{Permit, Signs};
use crate::cache::failing::{FillError, is_strain};
use crate::cache::loaders::{Loaders, Origin};
use crate::cache::plan::{Batch, Plan};
use crate::cache::rows::{self, Found};
use crate::cache::shape::Shape;
use crate::cache::tally::Tally;
use crate::connection::Connection;

/// How often values are loaded again that Redis did not take, at most.
const TRIES_MAX: usize = 3;

/// Loads the values of one warmer.
pub struct Filler<'a> {
    pub(super) loaders: &'a Loaders,
    pub(super) warmer: &'a Warmer,
    pub(super) name: &'a str,
    pub(super) who: &'a str,
    pub(super) shape: Shape,
    pub(super) namespace: Namespace,
    pub(super) is_urgent: bool,
}

/// A value that is to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its parameters.
    pub texts: Vec<String>,
    /// The lease, where somebody took it for us.
    pub token: Option<String>,
}

/// A value under our lease.
#[derive(Debug, Clone)]
pub(super) struct Leased {
    pub(super) texts: Vec<String>,
    pub(super) entry: Entry,
    pub(super) token: String,
    /// Whether a reader said what its parameters are, and asks for it.
    pub(super) is_asked: bool,
}

impl AsRef<[String]> for Leased {
    fn as_ref(&self) -> &[String] {
        &self.texts
    }
}

impl<'a> Filler<'a> {
    /// Loads the values of the warmer `name`; `who` is told to people who ask.
    pub fn new(loaders: &'a Loaders, name: &'a str, warmer: &'a Warmer, who: &'a str) -> Self {
        let namespace = loaders.caches.namespace(name);
        Self { loaders, warmer, name, who, shape: Shape::of(name, warmer), namespace, is_urgent: false }
    }

    /// The same where somebody waits for the values, or they would end meanwhile: loads are kept waiting by one
    /// another, and not to spare the database.
    #[must_use]
    pub fn urgently(mut self, is_urgent: bool) -> Self {
        self.is_urgent = is_urgent;
        self
    }

    /// Makes sure that the warmer fits the database.
    ///
    /// # Errors
    /// See [`FillError`].
    pub async fn check(&self) -> Result<(), FillError> {
        let mut connection = self.connect(&self.loaders.primary()).await?;
        let plan = self.plan(&mut connection).await;
        connection.give_back();
        plan.map(drop)
    }

    /// What the warmer makes of parameters.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Its part of the cache.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A connection to where this warmer is loaded from.
    ///
    /// # Errors
    /// None came in time.
    pub async fn connect(&self, origin: &Origin) -> Result<Connection, FillError> {
        origin.pool.acquire().await.map(Connection::new).map_err(FillError::Connection)
    }

    /// What `for_each` gives, on the primary; see [`Plan::keys`].
    ///
    /// # Errors
    /// See [`FillError`].
    pub async fn keys(&self) -> Result<Option<Vec<Vec<String>>>, FillError> {
        let mut connection = self.connect(&self.loaders.primary()).await?;
        let found = async {
            let plan = self.plan(&mut connection).await?;
            plan.keys(&mut connection).await.map_err(FillError::Load)
        };
        let found = found.await;
        connection.give_back();
        let Some(rows) = found? else { return Ok(None) };
        Ok(Some(rows::keys(self.warmer, rows)?))
    }

    /// Loads these values, which one call of the loader takes.
    ///
    /// # Errors
    /// See [`FillError`]. What was filled by then stands; leases end by themselves.
    pub async fn fill(&self, wanted: Vec<Wanted>) -> Result<Tally, FillError> {
        self.fill_first(wanted, 1).await
    }

    /// The same where they are the first of so many calls that are to be made soon.
    ///
    /// # Errors
    /// As [`Self::fill`].
    pub async fn fill_first(&self, wanted: Vec<Wanted>, left: usize) -> Result<Tally, FillError> {
        let mut tally = Tally::default();
        if !self.warmer.is_askable() {
            let texts: Vec<Vec<String>> = wanted.into_iter().map(|wanted| wanted.texts).collect();
            self.fill_late(&texts, left, &mut tally).await?;
            return Ok(tally);
        }
        // The wait may be long, and leases are not to end meanwhile.
        let permit = self.enter(wanted.iter().map(|one| one.texts.as_slice()).collect(), left).await;
        let ready = async { Ok((self.lease(wanted, &mut tally).await?, self.origin().await?)) };
        let (mut leased, mut origin) = match ready.await {
            Ok((leased, origin)) if !leased.is_empty() => (leased, origin),
            other => {
                permit.unused();
                return other.map(|_| tally);
            }
        };
        let mut permit = Some(permit);
        for last in (0..TRIES_MAX).rev() {
            let again = self.fill_leased(&origin, leased, permit.take(), &mut tally, last == 0).await?;
            if again.is_empty() {
                break;
            }
            // What a replica has not seen yet, the primary has.
            origin = self.loaders.primary();
            let wanted = again.into_iter().map(|one| Wanted { texts: one.texts, token: None }).collect();
            leased = self.lease(wanted, &mut tally).await?;
            if leased.is_empty() {
                break;
            }
        }
        Ok(tally)
    }

    /// Loads everything that a loader without parameters gives.
    ///
    /// # Errors
    /// As [`Self::fill`].
    pub async fn fill_all(&self) -> Result<Tally, FillError> {
        let mut tally = Tally::default();
        self.fill_late(&[], 1, &mut tally).await?;
        Ok(tally)
    }

    /// Where the warmer is loaded from now: the replica only while what it shows can be judged.
    async fn origin(&self) -> Result<Origin, FillError> {
        let origin = self.loaders.origin(self.warmer).await;
        let is_good = !origin.is_replica || self.loaders.trusts_replica().await?;
        Ok(if is_good { origin } else { self.loaders.primary() })
    }

    async fn lease(&self, wanted: Vec<Wanted>, tally: &mut Tally) -> Result<Vec<Leased>, FillError> {
        let token = format!("w{:016x}", rand::random::<u64>());
        let mut leased = Vec::with_capacity(wanted.len());
        let mut free = Vec::new();
        for wanted in wanted {
            let Ok(entry) = self.shape.entry(&wanted.texts) else { continue };
            match wanted.token {
                Some(token) => leased.push(Leased { texts: wanted.texts, entry, token, is_asked: true }),
                None => {
                    free.push(Leased { texts: wanted.texts, entry, token: token.clone(), is_asked: false });
                }
            }
        }
        let keys: Vec<&str> = free.iter().map(|one| one.entry.key.as_str()).collect();
        let ours = self.namespace.take(&keys, &token, self.loaders.lease(self.name)).await?;
        let count = free.len();
        leased.extend(free.into_iter().zip(&ours).filter(|(_, is_ours)| **is_ours).map(|(one, _)| one));
        tally.busy += count - ours.iter().filter(|is_ours| **is_ours).count();
        Ok(leased)
    }

    /// Gives up everything for this reason, which it returns.
    pub(super) async fn fail(&self, parts: &[Vec<Leased>], why: FillError) -> FillError {
        // They end by themselves where this does not succeed.
        if let Err(error) = self.release(&parts.concat()).await {
            tracing::debug!(warmer = self.name, %error, "could not let go of leases");
        }
        why
    }

    /// Calls the loader, as the budget has allowed or allows now.
    pub(super) async fn load(
        &self,
        origin: &Origin,
        asked: &[Leased],
        permit: Option<Permit>,
    ) -> Result<(Batch, Duration), FillError> {
        let permit = match permit {
            Some(permit) => permit,
            None => self.enter(asked.iter().map(|one| one.texts.as_slice()).collect(), 1).await,
        };
        let waited = Instant::now();
        let mut connection = self.connect(origin).await?;
        let pool_waited = waited.elapsed();
        let signs =
            |others_active, failed| Signs { others_active, pool_waited, replica_lag: origin.lag, failed };
        let plan = match self.plan(&mut connection).await {
            Ok(plan) => plan,
            Err(problem) => {
                connection.give_back();
                permit.unused();
                return Err(problem);
            }
        };
        let began = Instant::now();
        let loaded = plan.load(&mut connection, asked).await;
        let took = began.elapsed();
        connection.give_back();
        metrics::warm_load_seconds(self.name).record(took);
        self.loaders.took(self.name, took);
        let batch = match loaded {
            Ok(batch) => batch,
            Err(error) if is_strain(&error) => {
                permit.done(self.name, asked.len(), took, &signs(None, true));
                return Err(FillError::Load(error));
            }
            Err(error) => {
                permit.faulty(took);
                return Err(FillError::Load(error));
            }
        };
        permit.done(self.name, asked.len().max(batch.rows.len()), took, &signs(batch.others, false));
        Ok((batch, took))
    }

    async fn plan(&self, connection: &mut PgConnection) -> Result<Arc<Plan>, FillError> {
        self.loaders.plan(self.name, self.warmer, connection).await.map_err(FillError::Plan)
    }

    /// Puts what was loaded into the cache; returns what Redis did not take and can be loaded again.
    pub(super) async fn put(
        &self,
        found: &Found<'_>,
        took: Duration,
        leased: &[Leased],
        tally: &mut Tally,
        is_last: bool,
    ) -> Result<Vec<Leased>, FillError> {
        let cost = took / u32::try_from(found.values.len().max(1)).unwrap_or(u32::MAX);
        let (fillings, lengths) = self.fillings(found, leased, cost, tally).await?;
        let said = self.send(found, &fillings).await?;
        if said.contains(&Filled::Epoch) {
            self.loaders.ensure_epoch().await?;
        }
        let mut again = Vec::new();
        for ((filled, bytes), one) in said.into_iter().zip(&lengths).zip(leased) {
            if !is_last && matches!(filled, Filled::Epoch | Filled::Behind) {
                again.push(one.clone());
            } else {
                tally.note(filled, *bytes);
            }
        }
        Ok(again)
    }

    /// Loads values whose keys nobody knows before, and leases them then.
    async fn fill_late(
        &self,
        texts: &[Vec<String>],
        left: usize,
        tally: &mut Tally,
    ) -> Result<(), FillError> {
        // Which values it gives is not known yet: those of the warmer are asked when they end.
        let permit = self.enter(Vec::new(), left).await;
        let ready = async { Ok((self.loaders.caches.before().await?, self.origin().await?)) };
        let (before, origin) = match ready.await {
            Ok(ready) => ready,
            Err(error) => {
                permit.unused();
                return Err(error);
            }
        };
        let none = |texts: &Vec<String>| Leased {
            texts: texts.clone(),
            entry: Entry { key: String::new(), params: String::new() },
            token: String::new(),
            is_asked: false,
        };
        let asked: Vec<Leased> = texts.iter().map(none).collect();
        let (batch, took) = self.load(&origin, &asked, Some(permit)).await?;
        tally.batches += 1;
        rows::check_count(self.warmer, batch.rows.len())?;
        let found = Found::of(&self.shape, &batch, None)?;
        let leased = self.lease_late(&batch, &before, tally).await?;
        for leased in leased.chunks(self.warmer.batch) {
            self.put(&found, took, leased, tally, true).await?;
        }
        Ok(())
    }

    async fn lease_late(
        &self,
        batch: &Batch,
        before: &Before,
        tally: &mut Tally,
    ) -> Result<Vec<Leased>, FillError> {
        let token = format!("w{:016x}", rand::random::<u64>());
        let mut leased = Vec::with_capacity(batch.rows.len());
        for row in &batch.rows {
            let texts: Option<Vec<String>> = row.texts.iter().cloned().collect();
            if let Some(texts) = texts
                && let Ok(entry) = self.shape.entry(&texts)
            {
                tally.listed.insert(entry.params.clone());
                leased.push(Leased { texts, entry, token: token.clone(), is_asked: false });
            }
        }
        let keys: Vec<&str> = leased.iter().map(|one| one.entry.key.as_str()).collect();
        let ours = self.namespace.take_late(&keys, &token, self.loaders.lease(self.name), before).await?;
        let Some(ours) = ours else { return Err(self.fail(&[leased], FillError::Forgotten).await) };
        let mut ours = ours.into_iter();
        let count = leased.len();
        leased.retain(|_| ours.next().unwrap_or(false));
        tally.busy += count - leased.len();
        Ok(leased)
    }
}
