//! The queue against a model of it, step by random step; and the runs that once found something.

use brasa_tests::model::{run, steps_or};

/// `BRASA_STEPS` makes more, `BRASA_SEED` the same again.
#[test]
fn the_queue_does_what_its_model_says() {
    run(steps_or(10_000));
}
