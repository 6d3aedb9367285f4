//! The queue against a model of it: random operations, and after each a look at all that Redis holds.
//!
//! The model knows in which place each job must be, and what may be handed out; it does not know the order. What
//! only chance or the retention decides is read, judged, and taken over.

mod check;
mod op;
mod state;
mod step;

use std::env;
use std::fmt::Write as _;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

pub use op::{Conflict, Op, Put, Setup, Until};

use state::Model;

/// Operations of one run, before the next begins in a world of its own.
pub(crate) const STEPS_PER_RUN: u32 = 250;
/// How long a shorter run is looked for that fails too, ms.
const SHRINK_MS: u32 = 15_000;
/// How many steps are made.
const STEPS: &str = "BRASA_STEPS";
/// Where chance begins: 64 hexadecimal digits, as a failure tells them.
const SEED: &str = "BRASA_SEED";

/// How many steps were asked for, or as many as given.
pub fn steps_or(steps: u32) -> u32 {
    env::var(STEPS).ok().and_then(|text| text.parse().ok()).unwrap_or(steps)
}

/// Makes this many random steps, in runs of some hundreds.
///
/// # Panics
/// The queue did something that the model does not allow. The message has the shortest such run that was found,
/// for [`replay`], and the seed.
pub fn run(steps: u32) {
    if let Err(reason) = try_steps(steps, &seed()) {
        panic!("{reason}");
    }
}

/// The same from this seed, with what is wrong as the error.
pub(crate) fn try_steps(steps: u32, seed: &[u8; 32]) -> Result<(), String> {
    let cases = steps.div_ceil(STEPS_PER_RUN).max(1);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 1_000,
        max_shrink_time: SHRINK_MS,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, seed));
    let strategy = (op::setup(), op::ops(STEPS_PER_RUN as usize));
    let tested = runner.run(&strategy, |(setup, ops)| try_run(&setup, &ops).map_err(TestCaseError::fail));
    tested.map_err(|error| match error {
        TestError::Fail(reason, (setup, ops)) => {
            format!("{reason}\n{SEED}={}\nreplay(&{setup:?}, &{ops:#?})", hex(seed))
        }
        aborted @ TestError::Abort(_) => aborted.to_string(),
    })
}

/// Makes exactly these steps.
///
/// # Panics
/// As [`run`].
pub fn replay(setup: &Setup, ops: &[Op]) {
    if let Err(reason) = try_run(setup, ops) {
        panic!("{reason}");
    }
}

fn try_run(setup: &Setup, ops: &[Op]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut model = Model::new(setup);
        for (n, op) in ops.iter().enumerate() {
            let step = async {
                model.make(op).await?;
                model.check().await
            };
            step.await.map_err(|reason| format!("step {n}, {op:?}: {reason}"))?;
        }
        model.drain().await.map_err(|reason| format!("in the end: {reason}"))
    })
}

fn seed() -> [u8; 32] {
    let mut seed = rand::random::<[u8; 32]>();
    if let Ok(text) = env::var(SEED) {
        let digits = |place: usize| u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok();
        seed.iter_mut().enumerate().for_each(|(place, byte)| *byte = digits(place).expect("64 digits"));
    }
    seed
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
