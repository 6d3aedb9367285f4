//! What this machine could do at all, so that figures of different machines and hours can be told apart.

use std::time::Instant;

use brasa_tests::bench::{Figure, Redis, Row, say, script_calls, usage};

use super::field::Field;

/// Callers at once.
const CALLERS: usize = 50;
/// Calls per round trip, and calls in all.
const KINDS: [(&str, usize, usize); 2] = [
    ("limit: scripts that do nothing, 50 callers", 1, 100_000),
    ("limit: the same, 50 per round trip", 50, 1_000_000),
];

/// How many calls per second this Redis answers now.
pub(super) fn look(field: &Field) -> Vec<Figure> {
    say("the limits of this machine");
    let calls = KINDS.iter().map(|&(_, pipelined, calls)| {
        let callers = if pipelined == 1 { CALLERS } else { 1 };
        script_calls(&field.redis, callers, pipelined, calls).map_err(|error| format!("{error:#}"))
    });
    calls.collect()
}

/// What the machine and we had cost when we began.
pub(super) struct Begin {
    at: Instant,
    others_us: f64,
}

/// Begins to watch what others do to the machine.
pub(super) fn begin(redis: &Redis) -> Begin {
    Begin { at: Instant::now(), others_us: others_us(redis) }
}

/// How many cores others kept busy meanwhile.
pub(super) fn others(begin: &Begin, redis: &Redis) -> Row {
    let cores = (others_us(redis) - begin.others_us) / 1e6 / begin.at.elapsed().as_secs_f64();
    let row = Row::new("cores that the rest of the machine was using", "cores")
        .beside("others", &Ok(cores.max(0.0)));
    row.note("the less, the more the figures are worth")
}

fn others_us(redis: &Redis) -> f64 {
    usage::machine_cpu_us() - usage::own_cpu_us() - redis.cpu_us()
}

/// The limits, as they were before and after everything else.
pub(super) fn rows(before: &[Figure], after: &[Figure]) -> Vec<Row> {
    let row = |((name, ..), (before, after)): (&(&str, usize, usize), (&Figure, &Figure))| {
        let row = Row::new(*name, "calls/s").beside("Redis, at the end", after);
        match before {
            Ok(before) => row.note(format!("at the begin {before:.0} calls/s; it is what the machine gives")),
            Err(why) => row.note(why.clone()),
        }
    };
    KINDS.iter().zip(before.iter().zip(after)).map(row).collect()
}
