//! Are there connections for the pools of our workers?

use brasa_shared::finding::Finding;

use super::facts::{Connections, Facts};

/// From here on connections are nearly used up, in percent.
const FULL_PERCENT: i64 = 80;

/// What is used, and whether one more worker could fill its pool.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    vec![judge(facts.connections)]
}

fn judge(Connections { max, reserved, used, pool }: Connections) -> Finding {
    let usable = i64::from(max) - i64::from(reserved);
    let (used, pool) = (i64::from(used), i64::from(pool));
    let percent = used * 100 / usable.max(1);
    let found = format!("{used} of {usable} are used ({percent} %); a worker takes up to {pool}");
    let why = "a worker that gets no connection lets its jobs wait, and the application may get none either";
    let help = "raise max_connections (and restart Postgres), lower [postgres] pool.max or the application's \
                pools, or put a pooler in session mode in between";
    if percent > FULL_PERCENT || pool > usable {
        return Finding::warning("connections", found, why, help);
    }
    if used + pool > usable {
        return Finding::note("connections", found, "another worker could not fill its pool", help);
    }
    Finding::fine("connections", found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use brasa_shared::finding::Level;

    #[test]
    fn connections_are_measured_against_what_others_use() {
        for (used, pool, level) in [
            (10, 10, Level::Ok),
            (80, 10, Level::Ok),
            (80, 21, Level::Note),
            (81, 1, Level::Warning),
            (1, 101, Level::Warning),
        ] {
            let connections = Connections { max: 103, reserved: 3, used, pool };
            assert_eq!(judge(connections).level, level, "{connections:?}");
        }
    }
}
