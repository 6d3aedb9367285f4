//! What a case came to.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use serde_json::{Value, json};

use super::Plan;

/// More breaches than this are told to programs only.
const BREACHES_SHOWN: usize = 8;

/// The ledger of one case. It holds where nothing is in it that must not be.
#[derive(Debug, Default)]
pub struct Report {
    /// Which case.
    pub case: &'static str,
    /// What its chances were drawn from.
    pub seed: u64,
    /// How many faults there were.
    pub rounds: u32,
    /// Jobs that were acknowledged to whoever enqueued them.
    pub acknowledged: usize,
    /// Executions that had their effect.
    pub executions: usize,
    /// Jobs that had their effect more than once: that may be.
    pub repeated: usize,
    /// Jobs that were acknowledged and never had their effect.
    pub lost: usize,
    /// Outcomes that were accepted beyond one per job.
    pub doubled: usize,
    /// Outcomes that were accepted from somebody who had been given up.
    pub stale_accepted: usize,
    /// How long it took from the last fault until nothing was open any more.
    pub drained: Duration,
    notes: Vec<String>,
    breaches: Vec<String>,
}

impl Report {
    /// An empty ledger.
    pub(super) fn of(plan: &Plan) -> Self {
        Self { case: plan.case, seed: plan.seed, rounds: plan.rounds, ..Self::default() }
    }

    /// Takes a sentence that a reader needs.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Where it does not hold, the case does not either, and says so in this sentence.
    pub(super) fn demand(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.breaches.push(otherwise.into());
        }
    }

    /// Whether everything is as it must be.
    pub fn holds(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.stale_accepted == 0 && self.breaches.is_empty()
    }

    /// Writes it as JSON into `folder`, and says where.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!("{}.json", self.case));
        fs::create_dir_all(folder)?;
        fs::write(&path, format!("{:#}\n", self.to_json()))?;
        Ok(path)
    }

    fn to_json(&self) -> Value {
        json!({
            "case": self.case,
            "seed": self.seed,
            "rounds": self.rounds,
            "acknowledged": self.acknowledged,
            "executions": self.executions,
            "repeated": self.repeated,
            "lost": self.lost,
            "doubled": self.doubled,
            "stale_accepted": self.stale_accepted,
            "drained_ms": u64::try_from(self.drained.as_millis()).unwrap_or(u64::MAX),
            "notes": self.breaches.iter().chain(&self.notes).collect::<Vec<_>>(),
            "holds": self.holds(),
        })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "holds" } else { "DOES NOT HOLD" };
        writeln!(f, "{}: {verdict} ({} rounds, seed {})", self.case, self.rounds, self.seed)?;
        writeln!(
            f,
            "    acknowledged {}, lost {}, executions {}, repeated {}",
            self.acknowledged, self.lost, self.executions, self.repeated
        )?;
        writeln!(
            f,
            "    outcomes accepted twice {}, stale {}, drained {:?} after the last fault",
            self.doubled, self.stale_accepted, self.drained
        )?;
        let (shown, count) = (self.breaches.iter().take(BREACHES_SHOWN), self.breaches.len());
        if count > BREACHES_SHOWN {
            writeln!(f, "    {count} breaches, of which the first are:")?;
        }
        shown.into_iter().try_for_each(|breach| writeln!(f, "    BREACH: {breach}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "    {note}"))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn report() -> Report {
        Report::of(&Plan { case: "kill", seed: 7, rounds: 20, dice: StdRng::seed_from_u64(7) })
    }

    #[test]
    fn a_case_holds_while_nothing_is_lost_doubled_stale_or_breached() {
        assert!(report().holds());
        assert!(!Report { lost: 1, ..report() }.holds());
        assert!(!Report { doubled: 1, ..report() }.holds());
        assert!(!Report { stale_accepted: 1, ..report() }.holds());
        let mut breached = report();
        breached.demand(true, "all is well");
        assert!(breached.holds());
        breached.demand(false, "a worker ended by itself");
        assert!(!breached.holds());
    }

    #[test]
    fn what_did_not_hold_comes_first_among_the_notes() {
        let mut report = report();
        report.note("3 workers");
        report.demand(false, "a worker ended by itself");
        let json = report.to_json();

        assert_eq!(json["notes"], json!(["a worker ended by itself", "3 workers"]));
        assert_eq!(
            (&json["case"], &json["seed"], &json["holds"]),
            (&json!("kill"), &json!(7), &json!(false))
        );
        assert!(report.to_string().starts_with("kill: DOES NOT HOLD (20 rounds, seed 7)\n"), "{report}");
    }
}
