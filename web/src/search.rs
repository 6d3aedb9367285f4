//! Looking for jobs that queues still know, a page at a time: what the pages and the API have in common.
//!
//! A page looks at a bounded number of jobs, so that it is there soon in a queue of a million. Where that was not all,
//! it says where to go on.

use std::fmt;
use std::str::FromStr;

use brasa_shared::queue::{JobView, Search, State as JobState};
use brasa_shared::units::Moment;

use crate::acts::jobs::STATES;
use crate::acts::queues::known;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::view::format;

/// How many jobs a page has: unless it is said otherwise, and at most.
pub(crate) const LISTED: (usize, usize) = (50, 200);
/// How many jobs a page looks at.
const LOOKED_AT: usize = 2_000;
/// How many jobs of a queue and state may be passed over.
const PASSED_MAX: usize = 20_000;
/// How long a text to look for may be, in bytes.
pub(crate) const TEXT_MAX: usize = 200;
/// What has not ended.
const OPEN: [JobState; 4] = [JobState::Running, JobState::Waiting, JobState::Delayed, JobState::Blocked];

/// What is looked for. An empty text is none.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'w> {
    pub(crate) queue: &'w str,
    pub(crate) kind: &'w str,
    /// In this state; else in any that is not an end, or with a text in any.
    pub(crate) state: Option<JobState>,
    pub(crate) since: Option<Moment>,
    pub(crate) until: Option<Moment>,
    pub(crate) text: &'w str,
    pub(crate) after: Option<Place>,
    pub(crate) limit: Option<usize>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Queue by queue, state by state.
    pub(crate) jobs: Vec<JobView>,
    pub(crate) looked_at: usize,
    /// Where to go on, if that was not all.
    pub(crate) next: Option<Place>,
    /// Whether there are some that no page leads to: a narrower search does.
    pub(crate) are_left_out: bool,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    queue: String,
    state: JobState,
    passed: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.queue, word(self.state), self.passed)
    }
}

impl FromStr for Place {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let mut parts = text.split('/');
        let place = (parts.next(), parts.next(), parts.next().map(str::parse), parts.next());
        match place {
            (Some(queue), Some(state), Some(Ok(passed)), None) if passed <= PASSED_MAX => {
                Ok(Self { queue: queue.to_owned(), state: state_of(state)?, passed })
            }
            _ => Err(Refused::bad("`after` is no place in a list", "take it from the page before")),
        }
    }
}

impl Place {
    /// Whether a state of a queue is before it, where states come in this order.
    fn is_past(&self, queue: &str, states: &[JobState], state: JobState) -> bool {
        let at = |wanted: JobState| states.iter().position(|known| *known == wanted);
        queue < self.queue.as_str() || queue == self.queue && at(state) < at(self.state)
    }

    /// How many jobs to pass over there.
    fn passed(&self, queue: &str, state: JobState) -> usize {
        if queue == self.queue && state == self.state { self.passed } else { 0 }
    }
}

/// How many jobs are wanted.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Refused> {
    let limit = asked.unwrap_or(LISTED.0);
    if limit == 0 || limit > LISTED.1 {
        return Err(Refused::bad("`limit` is out of range", format!("ask for 1 to {} jobs", LISTED.1)));
    }
    Ok(limit)
}

/// A state by its word.
pub(crate) fn state_of(told: &str) -> Result<JobState, Refused> {
    let known = STATES.iter().find(|(word, _)| *word == told).map(|(_, state)| *state);
    let words: Vec<&str> = STATES.iter().map(|(word, _)| *word).collect();
    let help = format!("states are: {}", words.join(", "));
    known.ok_or_else(|| Refused::bad(format!("there is no state `{}`", format::short(told, 40)), help))
}

/// The word of a state.
fn word(state: JobState) -> &'static str {
    STATES.iter().find(|(_, known)| *known == state).map_or("", |(word, _)| word)
}

/// Makes sure that a text to look for is not too long.
pub(crate) fn check_text(text: &str) -> Result<(), Refused> {
    if text.len() <= TEXT_MAX {
        return Ok(());
    }
    Err(Refused::bad("that is too much to look for", format!("look for at most {TEXT_MAX} bytes")))
}

/// Looks for jobs, as somebody may see them.
pub(crate) async fn find(desk: &Desk, wanted: &Wanted<'_>, who: &Identity) -> Result<Found, Refused> {
    let limit = limit(wanted.limit)?;
    check_text(wanted.text)?;
    let states = match wanted.state {
        Some(state) => vec![state],
        None if wanted.text.is_empty() => OPEN.to_vec(),
        None => STATES.iter().map(|(_, state)| *state).collect(),
    };
    let queues: Vec<_> = match wanted.queue {
        "" => desk.site.all_queues().await?.into_values().collect(),
        name => vec![known(desk, name).await?],
    };
    let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let now = desk.site.clock.now();
    let ms = |moment: Option<Moment>| moment.map(|moment| moment.before(now).as_millisecond());
    let mut all = Found::default();
    let mut turns = Vec::new();
    for queue in &queues {
        turns.extend(states.iter().map(|state| (queue, *state)));
    }
    for (queue, state) in turns {
        let after = wanted.after.as_ref();
        if after.is_some_and(|after| after.is_past(queue.name(), &states, state)) {
            continue;
        }
        let search = Search {
            kind: given(wanted.kind),
            since_ms: ms(wanted.since),
            until_ms: ms(wanted.until),
            text: given(wanted.text),
            in_args: who.sees_payloads(),
            from: after.map_or(0, |after| after.passed(queue.name(), state)),
            // On a page that is full it only says whether there are more.
            looks: if all.jobs.len() < limit { LOOKED_AT - all.looked_at } else { 0 },
            ..Search::all(state, limit - all.jobs.len())
        };
        let found = queue.search(&search).await?;
        all.jobs.extend(found.jobs);
        all.looked_at += found.looked_at;
        match found.next {
            Some(passed) if passed <= PASSED_MAX => {
                all.next = Some(Place { queue: queue.name().to_owned(), state, passed });
                break;
            }
            Some(_) => all.are_left_out = true,
            None => {}
        }
    }
    Ok(all)
}
