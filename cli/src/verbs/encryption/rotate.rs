//! `brasa encryption rotate`.

use brasa_shared::queue::{Queue, Resealed};
use brasa_shared::seal::Keyring;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

/// How often a queue is walked through at most, where jobs were changed meanwhile.
const WALKS_MAX: usize = 5;

pub(super) async fn obey(
    chosen: Option<&str>,
    keyring: &Keyring,
    app: &App,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut all = Resealed::default();
    for queue in app.chosen_queues(chosen).await?.values() {
        all.add(&walk(queue).await?);
    }
    out.line(format!("{} job(s) were sealed anew with key `{}`.", all.anew, keyring.active()))?;
    for (left, why) in [
        (all.running, "are running; run this again when they have ended"),
        (all.changed, "were changed meanwhile; run this again"),
        (all.done, "are done and go by themselves, see keep_done of [queues]"),
        (all.done_plain, "are done and were never sealed; they go by themselves, too"),
        (
            all.unopened,
            "do not open here: their key is missing, or they were changed; `brasa encryption status`",
        ),
        (all.plain, "are not sealed, and were left so: required = true says that nobody vouches for them"),
    ] {
        if left > 0 {
            out.line(format!("{left} job(s) {why}."))?;
        }
    }
    out.value(&all)?;
    if all.is_whole() { Ok(()) } else { Err(Failure::silent(1)) }
}

/// One queue, until nothing changes any more under the hands of the walk. What is left counts as it was found last.
async fn walk(queue: &Queue) -> Result<Resealed, Failure> {
    let mut anew = 0;
    for _ in 1..WALKS_MAX {
        let found = queue.reseal().await?;
        anew += found.anew;
        if found.changed == 0 {
            return Ok(Resealed { anew, ..found });
        }
    }
    let found = queue.reseal().await?;
    Ok(Resealed { anew: anew + found.anew, ..found })
}
