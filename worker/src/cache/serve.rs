//! The values of one warmer: those that readers ask for, and those that are due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use brasa_jobs::cache::{FillError, Filler, LoaderProblem, Tally, Wanted};
use brasa_shared::cache::{Entry, Gather, Namespace, Note, texts_of};
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use tokio::task::JoinSet;

use crate::cache::circuit::Circuit;
use crate::cache::{Served, Shared};

/// How long a task sleeps at most: a wake-up can be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After how long a value is due again that was to be loaded again and was not.
const DUE_AGAIN: Duration = Duration::from_secs(5);
/// Values that are due wait for others, to be loaded together: for one part in so many of the time that there is.
const GATHERED_SHARE: u32 = 8;
/// And for no longer than this.
const GATHERED_MAX: Duration = Duration::from_secs(1);
/// How long a warmer is left alone at least that does not fit the database: a person has to look at it.
const MISFIT_PAUSE: Duration = Duration::from_secs(30);

/// Serves a warmer for ever.
pub(super) async fn run(shared: Arc<Shared>, name: String) {
    let Some(served) = shared.warmers.get(&name) else { return };
    let namespace = shared.loaders.caches.namespace(&name);
    let at_once = usize::try_from(shared.reach.config.cache.loaders).unwrap_or(1).max(1);
    let mut circuit = Circuit::default();
    let mut running: JoinSet<Result<Tally, Failed>> = JoinSet::new();
    let mut is_woken = false;
    loop {
        if running.len() >= at_once {
            judge(&shared, &name, running.join_next().await, &mut circuit).await;
            continue;
        }
        if let Some(pause) = circuit.pause() {
            if circuit.is_open() {
                drop_asks(&namespace, served.warmer.batch).await;
            }
            tokio::time::sleep(pause.min(LOOK_EVERY)).await;
            continue;
        }
        let gather = gather(served, running.is_empty(), is_woken);
        let next = match work(&shared, served, &namespace, gather).await {
            Ok(next) => next,
            Err(error) => {
                metrics::redis_faults_total("cache").increment(1);
                tracing::warn!(warmer = name, error = %chain(&error), "cannot see what is to be loaded; trying again");
                circuit.failed();
                continue;
            }
        };
        match next {
            Next::Load(wanted, is_urgent) => {
                let (shared, name) = (Arc::clone(&shared), name.clone());
                running.spawn(async move { load(&shared, &name, wanted, is_urgent).await });
            }
            Next::Sleep(pause) => {
                is_woken = false;
                tokio::select! {
                    () = served.wake.notified() => is_woken = true,
                    () = tokio::time::sleep(pause) => {}
                    Some(ended) = running.join_next() => judge(&shared, &name, Some(ended), &mut circuit).await,
                }
            }
        }
    }
}

/// What there is to do.
enum Next {
    /// These values, and whether they cannot wait.
    Load(Vec<Wanted>, bool),
    Sleep(Duration),
}

/// Why values were not loaded, and which they were.
struct Failed {
    error: FillError,
    wanted: Vec<Wanted>,
}

/// When it is time for what is due. It is loaded one batch after the other, so that it takes no more of the machine than
/// that, unless it would end before its turn. What was invalidated is missed by readers, and is loaded at once.
fn gather(served: &Served, is_idle: bool, is_woken: bool) -> Gather {
    let ahead = served.warmer.lives.refresh_ahead.unwrap_or_default();
    match (is_woken, is_idle) {
        (true, _) => Gather::default(),
        (false, true) => {
            let patience = (ahead / GATHERED_SHARE).min(GATHERED_MAX);
            Gather { patience, enough: served.warmer.batch }
        }
        (false, false) => Gather { patience: ahead / 2, enough: usize::MAX },
    }
}

/// Asks come before what is due: somebody waits for them.
async fn work(
    shared: &Shared,
    served: &Served,
    namespace: &Namespace,
    gather: Gather,
) -> Result<Next, StoreError> {
    let batch = served.warmer.batch;
    let mut wanted = asked(served, namespace, batch).await?;
    let left = batch - wanted.len();
    // Readers wait for what they asked for.
    let (mut next, mut is_urgent) = (None, !wanted.is_empty());
    if left > 0 {
        let ahead = served.warmer.lives.refresh_ahead.unwrap_or_default();
        let due = namespace.due(left, DUE_AGAIN, gather).await?;
        next = due.next;
        // What has been due for half of the time that there was would end before its turn.
        is_urgent |= due.late >= ahead / 2;
        wanted.extend(worth_loading(shared, served, namespace, due.params).await?);
    }
    if !wanted.is_empty() {
        return Ok(Next::Load(wanted, is_urgent));
    }
    // Redis has counted it: whether the clocks of the two agree does not matter.
    let until = next.unwrap_or(LOOK_EVERY);
    Ok(Next::Sleep(until.clamp(Duration::from_millis(1), LOOK_EVERY)))
}

/// What readers asked for, each once, as far as it is this warmer's. Of a value that was asked for twice the last ask
/// counts: the lease of the one before was over.
async fn asked(served: &Served, namespace: &Namespace, most: usize) -> Result<Vec<Wanted>, StoreError> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut places = HashMap::new();
    for ask in namespace.asks(most).await? {
        let texts = texts_of(&ask.params).filter(|_| served.warmer.is_askable());
        let entry = texts.as_deref().and_then(|texts| served.shape.entry(texts).ok());
        match (texts, entry) {
            (Some(texts), Some(entry))
                if entry.key == ask.key && texts.len() == served.shape.columns().len() =>
            {
                let place = *places.entry(entry.key).or_insert(wanted.len());
                let one = Wanted { texts, token: Some(ask.token) };
                if let Some(before) = wanted.get_mut(place) { *before = one } else { wanted.push(one) }
            }
            _ => {
                metrics::cache_asks_refused_total(namespace.name()).increment(1);
                tracing::warn!(
                    warmer = namespace.name(),
                    key = ask.key.chars().take(200).collect::<String>(),
                    params = ask.params.chars().take(200).collect::<String>(),
                    "a reader asked for a key that these parameters do not make; look at its template"
                );
            }
        }
    }
    Ok(wanted)
}

/// Those of the due values that are still worth it: all that are to be kept warm; of a warmer that keeps what is hot,
/// those that were read since they were loaded.
async fn worth_loading(
    shared: &Shared,
    served: &Served,
    namespace: &Namespace,
    due: Vec<String>,
) -> Result<Vec<Wanted>, StoreError> {
    let mut entries: Vec<(Entry, Vec<String>)> = Vec::with_capacity(due.len());
    let mut strangers = Vec::new();
    for params in due {
        match texts_of(&params).and_then(|texts| Some((served.shape.entry_of(&params)?, texts))) {
            Some(found) => entries.push(found),
            None => strangers.push(params),
        }
    }
    if served.warmer.keeping.is_hot {
        let (hot, cold) = by_heat(namespace, entries, served.warmer.keeping.hot_max).await?;
        strangers.extend(cold.into_iter().map(|(entry, _)| entry.params));
        entries = hot;
    }
    if !strangers.is_empty() {
        namespace.let_go(&strangers).await?;
    }
    if !served.warmer.is_askable() && !entries.is_empty() {
        // One value cannot be loaded by itself; all of them are, by a job. Until one has, they stay due.
        shared.warm_all(namespace.name(), "a value is due").await;
        let wanted: Vec<Wanted> =
            entries.into_iter().map(|(_, texts)| Wanted { texts, token: None }).collect();
        keep_meanwhile(shared, served, &wanted).await?;
        return Ok(Vec::new());
    }
    Ok(entries.into_iter().map(|(_, texts)| Wanted { texts, token: None }).collect())
}

type Entries = Vec<(Entry, Vec<String>)>;

/// The hot and the cold: hot is what readers with the whole protocol read most, and what Redis itself has seen read
/// since it was put there.
async fn by_heat(
    namespace: &Namespace,
    entries: Entries,
    most: u64,
) -> Result<(Entries, Entries), StoreError> {
    if entries.is_empty() {
        return Ok((entries, Vec::new()));
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let hot: HashSet<String> = namespace.hot(most).await?.into_iter().map(|(params, _)| params).collect();
    let keys: Vec<String> = entries.iter().map(|(entry, _)| entry.key.clone()).collect();
    let (now_s, idle) = namespace.idle_s(&keys).await?;
    let notes = namespace.notes(&keys).await?;
    let was_read = |idle: Option<i64>, note: Option<&Note>| match (idle, note) {
        // The server counts whole seconds; what cannot be told counts as read.
        (Some(idle), Some(note)) => idle < now_s - note.at_ms / 1_000,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let mut parted = (Vec::new(), Vec::new());
    for ((entry, idle), note) in entries.into_iter().zip(idle).zip(&notes) {
        let is_hot = hot.contains(&entry.0.params) || was_read(idle, note.as_ref());
        if is_hot { parted.0.push(entry) } else { parted.1.push(entry) }
    }
    Ok(parted)
}

async fn load(shared: &Shared, name: &str, wanted: Vec<Wanted>, is_urgent: bool) -> Result<Tally, Failed> {
    let Some(served) = shared.warmers.get(name) else { return Ok(Tally::default()) };
    if let Err(error) = keep_meanwhile(shared, served, &wanted).await {
        return Err(Failed { error: error.into(), wanted });
    }
    let filler = Filler::new(&shared.loaders, name, &served.warmer, &shared.worker).urgently(is_urgent);
    filler.fill(wanted.clone()).await.map_err(|error| Failed { error, wanted })
}

/// What came of a load, for the circuit; values that could not be loaded live on as long as they may.
async fn judge(
    shared: &Shared,
    name: &str,
    ended: Option<Result<Result<Tally, Failed>, tokio::task::JoinError>>,
    circuit: &mut Circuit,
) {
    let failed = match ended {
        None => return,
        Some(Ok(Ok(tally))) => {
            circuit.succeeded();
            if tally.broken.0 > 0 || tally.oversized.0 > 0 {
                tracing::warn!(warmer = name, broken = ?tally.broken, oversized = ?tally.oversized, "values were not cached");
            }
            return;
        }
        Some(Ok(Err(failed))) => failed,
        Some(Err(error)) => {
            tracing::error!(warmer = name, %error, "loading values broke");
            circuit.failed();
            return;
        }
    };
    metrics::cache_load_failures_total(name).increment(1);
    let mut again = circuit.failed();
    match &failed.error {
        FillError::Plan(LoaderProblem::Unfit { help, .. }) => {
            again = again.max(MISFIT_PAUSE);
            tracing::error!(warmer = name, error = %chain(&failed.error), help, "the warmer does not fit the database");
        }
        error => {
            tracing::warn!(warmer = name, error = %chain(error), "values could not be loaded; they live on as long as they may");
        }
    }
    shared.loaders.forget_plan(name);
    let Some(served) = shared.warmers.get(name) else { return };
    if let Err(error) = extend(shared, served, &failed.wanted, served.warmer.lives.longest(), again).await {
        tracing::debug!(warmer = name, %error, "could not let values live on");
    }
}

/// Lets values live on while somebody tries to load them again, where that is wanted: a source that is away may take
/// longer to say so than the values have.
async fn keep_meanwhile(shared: &Shared, served: &Served, wanted: &[Wanted]) -> Result<(), StoreError> {
    let lives = &served.warmer.lives;
    if lives.stale_max <= lives.stale {
        return Ok(());
    }
    let kept: Vec<Wanted> = wanted.iter().map(|one| Wanted { token: None, ..one.clone() }).collect();
    extend(shared, served, &kept, shared.loaders.lease_max(served.shape.name()), DUE_AGAIN).await
}

/// Lets values live on for so long at most, as long as they may be stale, and lets go of the leases that are given.
async fn extend(
    shared: &Shared,
    served: &Served,
    wanted: &[Wanted],
    most: Duration,
    again: Duration,
) -> Result<(), StoreError> {
    let token = |wanted: &Wanted| wanted.token.clone().unwrap_or_default();
    let found =
        wanted.iter().filter_map(|wanted| Some((served.shape.entry(&wanted.texts).ok()?, token(wanted))));
    let entries: Vec<(Entry, String)> = found.collect();
    let entries: Vec<(&Entry, &str)> = entries.iter().map(|(entry, token)| (entry, token.as_str())).collect();
    let namespace = shared.loaders.caches.namespace(served.shape.name());
    namespace.extend(&entries, served.warmer.lives.stale_max, most, again).await.map(drop)
}

/// Nobody loads what readers ask for while the circuit is open; their leases keep them from asking again at once.
async fn drop_asks(namespace: &Namespace, most: usize) {
    while namespace.asks(most).await.is_ok_and(|asks| !asks.is_empty()) {}
}
