//! Schedules that people have paused while everything runs: who, why, since when and until when.
//!
//! They are known to all processes and belong to no queue, so that a schedule that moves to another queue stays
//! paused. A scheduler asks right before it judges a tick. A pause that is over stays written down until the next one:
//! a tick that fell into it stays out, also where it is judged later.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::queue::scripts::{PAUSE_TICKS, RESUME_TICKS};
use crate::queue::{Call, Fleet, FleetKeys};
use crate::script::Lua;
use crate::store::StoreError;

/// How many characters of a reason stand beside each tick that it kept from firing.
const TOLD_MAX: usize = 120;

/// Who paused a schedule, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchedulePause {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// Since when, ms since 1970.
    pub at: i64,
    /// Until when, ms since 1970; none where somebody has to resume it. A tick of that very instant fires.
    pub until: Option<i64>,
}

/// The words of a pause, as they are written down.
#[derive(Debug, Serialize, Deserialize)]
struct Words {
    by: String,
    #[serde(default)]
    reason: String,
}

impl SchedulePause {
    /// When a pause ends that is to last so long from now on: at the next full second, which people can read.
    pub fn end_after(now: Timestamp, lasting: Duration) -> Timestamp {
        let end = now.saturating_add(lasting).unwrap_or(Timestamp::MAX);
        let seconds = end.as_second() + i64::from(end.subsec_nanosecond() > 0);
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    }

    /// Whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now.as_millisecond())
    }

    /// Whether a tick that is judged now does not fire. While it lasts none does that is due; afterwards none that fell
    /// into it.
    pub fn withholds(&self, instant: Timestamp, now: Timestamp) -> bool {
        let instant_ms = instant.as_millisecond();
        let is_before_its_end = self.until.is_none_or(|until| instant_ms < until);
        is_before_its_end && (instant_ms >= self.at || !self.is_over(now))
    }

    /// Who and why, in one short line.
    pub fn told(&self) -> String {
        let reason: String = self.reason.chars().take(TOLD_MAX).collect();
        let told =
            if reason.is_empty() { format!("by {}", self.by) } else { format!("by {}: {reason}", self.by) };
        told.replace(['\n', '\r'], " ")
    }

    fn spell(&self) -> String {
        let words = Words { by: self.by.clone(), reason: self.reason.clone() };
        let words = serde_json::to_string(&words).unwrap_or_default();
        format!("{} {} {words}", self.at, self.until.unwrap_or(0))
    }

    /// What is no pause of ours was written by hand, and is meant as one.
    fn read(text: &str) -> Self {
        let by_hand = || Self { by: "somebody".to_owned(), reason: text.to_owned(), at: 0, until: None };
        let ours = || {
            let mut parts = text.splitn(3, ' ');
            let mut time = || parts.next()?.parse::<i64>().ok();
            let (at, until) = (time()?, time()?);
            let Words { by, reason } = serde_json::from_str(parts.next()?).ok()?;
            Some(Self { by, reason, at, until: Some(until).filter(|until| *until != 0) })
        };
        ours().unwrap_or_else(by_hand)
    }
}

impl Fleet {
    /// Keeps a schedule from firing, until then or until somebody resumes it; what is enqueued already is left alone.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn pause_schedule(
        &self,
        schedule: &str,
        by: &str,
        reason: &str,
        until: Option<Timestamp>,
    ) -> Result<SchedulePause, StoreError> {
        let at = self.clock.now().as_millisecond();
        let until = until.map(Timestamp::as_millisecond);
        let pause = SchedulePause { by: by.to_owned(), reason: reason.to_owned(), at, until };
        let call = calling(&PAUSE_TICKS, &self.keys).arg(schedule).arg(pause.spell());
        self.store.run_script::<()>("pause a schedule", &call.command, PAUSE_TICKS.code()).await?;
        Ok(pause)
    }

    /// Lets a schedule fire again, and gives the pause that ended; none where it was not paused. One that no
    /// configuration has any more is forgotten (`is_known` is false then).
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn resume_schedule(
        &self,
        schedule: &str,
        is_known: bool,
    ) -> Result<Option<SchedulePause>, StoreError> {
        let call = calling(&RESUME_TICKS, &self.keys).arg(self.clock.for_scripts()).arg(schedule);
        let call = call.arg(u8::from(!is_known));
        let text: String =
            self.store.run_script("resume a schedule", &call.command, RESUME_TICKS.code()).await?;
        Ok(Some(text).filter(|text| !text.is_empty()).map(|text| SchedulePause::read(&text)))
    }

    /// What is written down of a schedule's last pause, which may be over.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn last_pause(&self, schedule: &str) -> Result<Option<SchedulePause>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(&self.keys.schedule_pauses).arg(schedule);
        let text: Option<String> = self.store.run("look whether a schedule is paused", &get).await?;
        Ok(text.map(|text| SchedulePause::read(&text)))
    }

    /// The schedules that are paused now, by name, whether a configuration has them or not.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn paused_schedules(&self) -> Result<BTreeMap<String, SchedulePause>, StoreError> {
        let mut get = redis::cmd("HGETALL");
        get.arg(&self.keys.schedule_pauses);
        let texts: BTreeMap<String, String> = self.store.run("look which schedules are paused", &get).await?;
        let now = self.clock.now();
        let all = texts.into_iter().map(|(name, text)| (name, SchedulePause::read(&text)));
        Ok(all.filter(|(_, pause)| !pause.is_over(now)).collect())
    }
}

fn calling(lua: &'static Lua, keys: &FleetKeys) -> Call {
    Call::new(lua, lua.keys().iter().filter_map(|name| keys.named(name)), std::iter::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn pause(until: Option<i64>) -> SchedulePause {
        SchedulePause { by: "ana".into(), reason: "the bank\nis down".into(), at: 100, until }
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        for until in [None, Some(200)] {
            assert_eq!(SchedulePause::read(&pause(until).spell()), pause(until));
        }
        let by_hand = SchedulePause::read("ask ana");
        assert_eq!((by_hand.reason.as_str(), by_hand.until), ("ask ana", None));
        assert_eq!(pause(None).told(), "by ana: the bank is down");
    }

    #[test]
    fn a_pause_keeps_back_what_is_due_while_it_lasts_and_later_what_fell_into_it() {
        let (open, bounded) = (pause(None), pause(Some(200)));
        assert!(open.withholds(at(50), at(150)) && open.withholds(at(5_000), at(6_000)));
        // While it lasts: what was missed before it, too.
        assert!(bounded.withholds(at(50), at(150)) && bounded.withholds(at(150), at(150)));
        // Its end is no part of it, whoever's clock is a little behind.
        assert!(!bounded.withholds(at(200), at(199)));
        // Once it is over.
        assert!(bounded.withholds(at(150), at(300)) && !bounded.withholds(at(50), at(300)));
        assert!(!bounded.withholds(at(250), at(300)));
    }
}
