//! The fault suite: `make faults`.
//!
//! A *case* brings one kind of fault upon real processes on a Redis of their own, again and again, and then holds
//! what jobs wrote down (`book.rs`) against what was promised (`stage.rs`). What it came to is a [`Report`]: `lost` are
//! jobs that were acknowledged and never ran, `doubled` are outcomes accepted more than once per job,
//! `stale_accepted` are outcomes of holders that had been given up. All three are 0 where a case holds.
//!
//! Chance is drawn from the seed of the [`Plan`], so a run can be repeated; processes keep time of their own, so what
//! is repeated are the faults and not every instant. A few rounds of each case run in the test suite as well.

mod block;
mod book;
mod crew;
mod cut;
mod drain;
mod due;
mod flush;
mod fresh;
mod hand;
mod kill;
mod kinds;
mod memory;
mod model;
mod outbox;
mod poison;
mod proxy;
pub mod rebuild;
mod report;
mod restart;
mod skew;
mod stage;
mod stop;
mod storm;
mod warmer;
mod weather;
mod writes;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

pub use kinds::catalog;
pub use report::Report;

/// How long anything may take that must happen.
const LIMIT: Duration = Duration::from_mins(3);

/// What a case has to go by.
#[derive(Debug)]
pub struct Plan {
    case: &'static str,
    seed: u64,
    rounds: u32,
    dice: StdRng,
}

/// A case under way.
type Trial = Pin<Box<dyn Future<Output = Report>>>;

/// One kind of fault.
#[derive(Debug)]
pub struct Case {
    /// Its name, by which it is asked for.
    pub name: &'static str,
    /// What happens, for people.
    pub about: &'static str,
    /// How many faults make a whole run.
    pub rounds: u32,
    /// How many the test suite can bear.
    pub few: u32,
    play: fn(Plan) -> Trial,
}

/// All of them.
pub static CASES: [Case; 24] = [
    Case {
        name: "kill",
        about: "workers are killed at random moments",
        rounds: 1_000,
        few: 20,
        play: |plan| Box::pin(kill::run(plan)),
    },
    Case {
        name: "poison",
        about: "jobs abort, overflow the stack, take all memory, panic",
        rounds: 100,
        few: 4,
        play: |plan| Box::pin(poison::run(plan)),
    },
    Case {
        name: "stop",
        about: "workers stand still for longer than their leases, and go on",
        rounds: 200,
        few: 3,
        play: |plan| Box::pin(stop::run(plan)),
    },
    Case {
        name: "hand",
        about: "workers are killed, relieved and frozen while jobs are handed over to them",
        rounds: 90,
        few: 3,
        play: |plan| Box::pin(hand::run(plan)),
    },
    Case {
        name: "drain",
        about: "workers are asked to end while they run long jobs",
        rounds: 100,
        few: 2,
        play: |plan| Box::pin(drain::run(plan)),
    },
    Case {
        name: "restart",
        about: "Redis is killed and started again under load",
        rounds: 200,
        few: 4,
        play: |plan| Box::pin(restart::run(plan)),
    },
    Case {
        name: "proxy",
        about: "the network breaks, stalls, freezes and loses answers",
        rounds: 200,
        few: 4,
        play: |plan| Box::pin(proxy::run(plan)),
    },
    Case {
        name: "cut",
        about: "Redis loses the last second of what it had written",
        rounds: 50,
        few: 2,
        play: |plan| Box::pin(cut::run(plan)),
    },
    Case {
        name: "outbox",
        about: "workers are killed between commit, push and mark",
        rounds: 2_000,
        few: 10,
        play: |plan| Box::pin(outbox::run(plan)),
    },
    Case {
        name: "memory",
        about: "Redis has no memory left",
        rounds: 20,
        few: 1,
        play: |plan| Box::pin(memory::run(plan)),
    },
    Case {
        name: "weather",
        about: "Redis is a replica, loads, is busy, forgets its scripts, hangs up",
        rounds: 120,
        few: 6,
        play: |plan| Box::pin(weather::run(plan)),
    },
    Case {
        name: "due",
        about: "thousands of jobs become due at once, for each round",
        rounds: 1_000,
        few: 5,
        play: |plan| Box::pin(due::run(plan)),
    },
    Case {
        name: "writes",
        about: "workers are killed at their nth write",
        rounds: 300,
        few: 10,
        play: |plan| Box::pin(writes::run(plan)),
    },
    Case {
        name: "skew",
        about: "an old and a new build run side by side",
        rounds: 50,
        few: 2,
        play: |plan| Box::pin(skew::run(plan)),
    },
    Case {
        name: "block",
        about: "handlers block every thread for longer than a lease",
        rounds: 50,
        few: 2,
        play: |plan| Box::pin(block::run(plan)),
    },
    Case {
        name: "model",
        about: "hundreds of random operations a round, against a model of the queue",
        rounds: 400,
        few: 4,
        play: |plan| Box::pin(model::run(plan)),
    },
    Case {
        name: "fresh",
        about: "writers, a lagging replica and a Redis that forgets, against values that must never stay stale",
        rounds: 16,
        few: 1,
        play: |plan| Box::pin(fresh::run(plan)),
    },
    Case {
        name: "warmer",
        about: "warmers and Redis are killed between load and fill",
        rounds: 500,
        few: 8,
        play: |plan| Box::pin(warmer::run(plan)),
    },
    Case {
        name: "storm",
        about: "workers are killed while rows change in every way, against aggregates that must be exact all the while",
        rounds: 300,
        few: 6,
        play: |plan| Box::pin(storm::run(plan)),
    },
    Case {
        name: "flush",
        about: "writers of batches, Redis and Postgres are killed while rows are handed over",
        rounds: 1_000,
        few: 10,
        play: |plan| Box::pin(flush::run(plan)),
    },
    Case {
        name: "rebuild",
        about: "rebuilds of indexes are interrupted in every phase, in every way",
        rounds: 140,
        few: 8,
        play: |plan| Box::pin(rebuild::run(plan)),
    },
    Case {
        name: "yield",
        about: "changes of a table come while one of its indexes is rebuilt",
        rounds: 50,
        few: 3,
        play: |plan| Box::pin(rebuild::yields(plan)),
    },
    Case {
        name: "neighbour",
        about: "others build indexes where something of ours is to be tidied",
        rounds: 100,
        few: 4,
        play: |plan| Box::pin(rebuild::neighbours(plan)),
    },
    Case {
        name: "upsert",
        about: "rows are upserted without a rest while their unique index is rebuilt",
        rounds: 500,
        few: 40,
        play: |plan| Box::pin(rebuild::upserts(plan)),
    },
];

/// The case of this name.
///
/// # Errors
/// There is none; the message lists those that there are.
pub fn find(name: &str) -> Result<&'static Case, String> {
    CASES.iter().find(|case| case.name == name).ok_or_else(|| {
        let known: Vec<_> = CASES.iter().map(|case| format!("  {:<8} {}", case.name, case.about)).collect();
        format!("there is no case `{name}`; the cases are:\n{}", known.join("\n"))
    })
}

impl Case {
    /// Brings as many faults about, drawn from this seed. A case that cannot go on does not hold.
    ///
    /// # Panics
    /// There are no threads for it.
    pub fn run(&self, seed: u64, rounds: u32) -> Report {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let plan = Plan { case: self.name, seed, rounds, dice: StdRng::seed_from_u64(seed) };
        let mut broken = Report::of(&plan);
        let trial = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on((self.play)(plan))));
        // What a case left running has nothing to wait for.
        runtime.shutdown_background();
        trial.unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            broken.demand(false, words.unwrap_or_else(|| "it could not go on".to_owned()));
            broken
        })
    }
}

/// A few rounds of a case, as a test.
///
/// # Panics
/// It does not hold; the message says which seed to repeat it with.
pub fn a_few_rounds_of(name: &str) {
    let case = find(name).unwrap_or_else(|unknown| panic!("{unknown}"));
    let report = case.run(rand::random(), case.few);
    assert!(report.holds(), "{report}");
}
