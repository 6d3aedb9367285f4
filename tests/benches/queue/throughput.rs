//! How many no-op jobs a second, and what each costs.

use brasa_tests::bench::{Bar, Contestant, Redis, Row};

use super::drain::{Drain, Load, drain};
use super::field::{Field, Measured, middle};
use super::plan::LEFT_OUT;

/// All of it.
pub(super) fn rows(field: &Field) -> Vec<Row> {
    let load = Load { jobs: field.plan.jobs, processes: 1, kept: 0 };
    let all =
        field.everybody("no-op jobs", field.plan.repeats, |who| drain(field.stage, &field.redis, who, load));
    let what = "no-op jobs, 100 k waiting";
    let mut rows = all.rows(what, "jobs/s", Bar::TimesAtLeast(6.0), |drain| drain.rate);
    let rate = middle(&all.ours, |drain| drain.rate);
    rows.push(Row::new(what, "jobs/s").ours(&rate).bar(Bar::AtLeast(150_000.0)));
    rows.extend(others(field, load));
    rows.extend(processes(field, load));
    rows.extend(all.rows("Redis CPU per no-op job", "µs", Bar::AtMost(3.0), |drain| drain.redis_us));
    rows.extend(all.rows("worker CPU per no-op job", "µs", Bar::AtMost(4.0), |drain| drain.worker_us));
    let bulk = all.rows("enqueue in bulk", "jobs/s", Bar::AtLeast(200_000.0), |drain| drain.bulk_rate);
    rows.extend(bulk.into_iter().zip(&all.peers).map(|(row, (name, _))| match *name {
        "rusty-sidekiq" => row.note("it cannot enqueue in bulk; 50 callers, one by one, stand for that"),
        _ => row,
    }));
    let what = "Redis memory per waiting job, 100 B payload";
    rows.extend(all.rows(what, "bytes", Bar::AtMost(266.0), |drain| drain.waiting_bytes));
    let what = "worker memory at its peak, no-op jobs";
    rows.extend(all.rows(what, "MB", Bar::AtMost(30.0), |drain| drain.peak_mb));
    rows
}

/// The same on other grounds: more jobs, a disk, outcomes that are kept. Each is measured next to the plain one, for
/// what the machine is like now is not what it was like minutes ago.
fn others(field: &Field, load: Load) -> Vec<Row> {
    let here = |load| move |who: &Contestant| drain(field.stage, &field.redis, who, load);
    let repeats = field.plan.repeats;
    let plain = here(load);
    let large = here(Load { jobs: field.plan.jobs_large, ..load });
    // Once in any case: a million jobs are an average by themselves.
    let large = field.us("a million jobs", 1, |who| Ok((large(who)?, plain(who)?)));
    let kept = here(Load { kept: 1_000, ..load });
    let kept = field.us("jobs whose outcomes are kept", repeats, |who| Ok((kept(who)?, plain(who)?)));
    let durable = Redis::start(true).map_err(|error| format!("{error:#}")).and_then(|disk| {
        let durable = |who: &Contestant| drain(field.stage, &disk, who, load);
        field.us("with an append-only file", repeats, |who| Ok((durable(who)?, plain(who)?)))
    });
    let row = |what: &str, pairs: &Measured<Vec<(Drain, Drain)>>| {
        let [there, here] = [middle(pairs, |pair| pair.0.rate), middle(pairs, |pair| pair.1.rate)];
        Row::new(format!("no-op jobs, {what}"), "jobs/s").ours(&there).beside("Brasa, 100 k", &here)
    };
    vec![
        row("1 million waiting", &large).bar(Bar::TimesAtLeast(0.9)),
        row("append-only file, everysec", &durable).bar(Bar::TimesAtLeast(0.7)),
        row("1,000 outcomes kept", &kept),
    ]
}

/// The same with more worker processes.
fn processes(field: &Field, load: Load) -> Vec<Row> {
    let row = |processes: usize| {
        let what = format!("no-op jobs, {processes} worker processes");
        let load = Load { processes, ..load };
        let ours = field.us(&what, field.plan.repeats, |who| drain(field.stage, &field.redis, who, load));
        let peer = if processes == 2 || field.plan.are_peers_whole {
            field.peer("BullMQ", &what, |who| drain(field.stage, &field.redis, who, load))
        } else {
            Err(LEFT_OUT.to_owned())
        };
        let [ours, peer] = [ours, peer].map(|drains| middle(&drains, |drain| drain.rate));
        Row::new(what, "jobs/s").ours(&ours).beside("BullMQ", &peer)
    };
    [2, 4].map(row).into()
}
