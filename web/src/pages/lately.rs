//! The part of the overview that goes back in time: what was done, how long it took, and how machines were.

use std::time::Duration;

use brasa_shared::minutes::Span;
use maud::{Markup, html};

use crate::desk::Desk;
use crate::view::lately::{Host, Lately, Moment, Step, Times};
use crate::view::plot::{LINES_MAX, Line, Plot, Scale};
use crate::view::{format, layout};

/// Of a step that goes on no pace is told before this much of it is over, in ms.
const TOLD_FROM_MS: i64 = 10_000;

/// What was done, and how long it took.
pub(super) fn work(desk: &Desk, lately: &Lately, span: Span) -> Markup {
    let words = if span == Span::Hour { "hour" } else { "day" };
    let whole = &lately.whole;
    if whole.done + whole.failed == 0 && whole.ran.is_none() && whole.waited.is_none() {
        let how =
            "Workers count what they do, and tell it every five seconds: `brasa worker`, or `brasa run`.";
        return html! { section.card { h2 { "Jobs" } (layout::nothing(&format!("No job ran in the last {words}."), how)) } };
    }
    let now_ms = desk.site.clock.now().as_millisecond();
    let pace = |of: fn(&Step) -> u64| {
        let each = lately.work.iter().map(|step| per_minute(of(step), now_ms - step.at_ms, lately.step_ms));
        each.collect::<Vec<Option<f64>>>()
    };
    let (done, failed) = (pace(|step| step.done), pace(|step| step.failed));
    html! {
        section.card {
            h2 { "Jobs done" }
            p.big { (format::count(whole.done)) }
            p.dim { "done in the last " (words) }
            (paces(lately, ("done", "Done per minute", done)))
        }
        section.card.failing {
            h2 { "Attempts that failed" }
            p.big { (format::count(whole.failed)) }
            p.dim { "failed in the last " (words) ", tried again or dead" }
            (paces(lately, ("failed", "Failed per minute", failed)))
        }
        (times(lately, ("ran", "How long jobs run", "runs", "Time that runs took"), whole.ran, |step| step.ran))
        (times(lately, ("waited", "How long jobs wait", "first attempts", "Time from when a job could start to when it did"),
            whole.waited, |step| step.waited))
    }
}

fn paces(lately: &Lately, (id, title, values): (&str, &str, Vec<Option<f64>>)) -> Markup {
    let times: Vec<i64> = lately.work.iter().map(|step| step.at_ms).collect();
    let lines = vec![Line { name: "per minute".to_owned(), values }];
    Plot { id, title, times: &times, lines, scale: Scale::Amount, limit: None, tell: amount }.draw()
}

fn times(
    lately: &Lately,
    (id, title, of, about): (&str, &str, &str, &str),
    whole: Option<Times>,
    each: fn(&Step) -> Option<Times>,
) -> Markup {
    let told = |of: fn(Times) -> f64| whole.map_or_else(|| "-".to_owned(), |times| time(of(times)));
    let line = |name: &str, of: fn(Times) -> f64| Line {
        name: name.to_owned(),
        values: lately.work.iter().map(|step| each(step).map(of)).collect(),
    };
    let at: Vec<i64> = lately.work.iter().map(|step| step.at_ms).collect();
    let lines = vec![
        line("half (p50)", |times| times.p50_ms),
        line("95 % (p95)", |times| times.p95_ms),
        line("99 % (p99)", |times| times.p99_ms),
    ];
    html! {
        section.card {
            h2 { (title) }
            dl.counts {
                div { dt { "Half" } dd { (told(|times| times.p50_ms)) } }
                div { dt { "95 %" } dd { (told(|times| times.p95_ms)) } }
                div { dt { "99 %" } dd { (told(|times| times.p99_ms)) } }
            }
            p.dim { "of the " (of) ", no longer than this; to within a tenth" }
            (Plot { id, title: about, times: &at, lines, scale: Scale::Time, limit: None, tell: time }.draw())
        }
    }
}

/// What of a moment is drawn, as a share.
type Share = fn(&Moment) -> Option<f64>;

/// How machines are, and were.
pub(super) fn machines(lately: &Lately) -> Markup {
    if lately.hosts.is_empty() {
        let how = "Processes tell how their machine is every ten seconds: `brasa worker`, `scheduler`, `web` or `run`.";
        return html! { h2 { "Machines" } (layout::nothing("Nobody has told how a machine is in the last hour.", how)) };
    }
    let limits = &lately.thresholds;
    let plots: [(&str, &str, f64, Share); 4] = [
        ("cpu", "Processors that are busy", limits.cpu, |moment| moment.cpu),
        ("memory", "Memory in use", limits.memory, |moment| moment.memory),
        ("disk", "The fullest disk", limits.disk, |moment| moment.disk),
        ("pool", "Connections to Postgres in use, of the busiest pool", limits.pool, |moment| moment.pool),
    ];
    html! {
        h2 { "Machines" }
        (now(lately))
        div.cards.plots {
            @for (id, title, limit, of) in plots { (shares(lately, (id, title, limit), of)) }
            (redis(lately))
        }
    }
}

/// Each machine as it was told of last.
fn now(lately: &Lately) -> Markup {
    let limits = &lately.thresholds;
    let share = |value: Option<f64>, limit: f64| {
        html! { td.n.bad[value.is_some_and(|value| value > limit)] { (value.map_or_else(|| "-".to_owned(), whole_percent)) } }
    };
    html! {
        div.wide { table {
            thead { tr {
                th { "Machine" } th.n { "Processors" } th.n { "Memory" } th.n { "Disk" } th.n { "Pool" } th.n { "Processes" }
                th.n { "Their processors" } th.n { "Their memory" }
            } }
            tbody {
                @for host in &lately.hosts {
                    @if let Some(moment) = host.minutes.last() {
                        tr {
                            td.name { (host.name) }
                            (share(moment.cpu, limits.cpu))
                            (share(moment.memory, limits.memory))
                            (share(moment.disk, limits.disk))
                            (share(moment.pool, limits.pool))
                            td.n { (format::count(moment.processes)) }
                            td.n { (moment.own_cpu.map_or_else(|| "-".to_owned(), whole_percent)) }
                            td.n { (moment.own_memory_bytes.map_or_else(|| "-".to_owned(), format::bytes)) }
                        }
                    }
                }
            }
        } }
    }
}

/// A line for each machine; of many those that went highest.
fn shares(lately: &Lately, (id, title, limit): (&str, &str, f64), of: Share) -> Markup {
    let times = minutes(lately);
    let line = |host: &Host| {
        let at = |at: &i64| host.minutes.iter().find(|moment| moment.at_ms == *at).and_then(of);
        Line { name: host.name.clone(), values: times.iter().map(at).collect() }
    };
    let mut lines: Vec<Line> =
        lately.hosts.iter().map(line).filter(|line| line.highest().is_some()).collect();
    if lines.is_empty() {
        return html! {};
    }
    lines.sort_by(|one, other| {
        other.highest().partial_cmp(&one.highest()).unwrap_or(std::cmp::Ordering::Equal)
    });
    let left_out = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    // So that a machine looks the same in each of them.
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    let plot = Plot {
        id,
        title,
        times: &times,
        lines,
        scale: Scale::Share,
        limit: Some(limit),
        tell: whole_percent,
    };
    html! {
        section.card {
            (plot.draw())
            @if left_out > 0 { p.dim { "and " (left_out) " machines that were below all the while" } }
        }
    }
}

/// The memory of Redis: as a share of what it may use, where that has an end.
#[expect(clippy::cast_precision_loss, reason = "bytes for people")]
fn redis(lately: &Lately) -> Markup {
    let Some(last) = lately.redis.last() else { return html! {} };
    let times = minutes(lately);
    let is_bounded = last.max_bytes > 0;
    let value = |at: &i64| {
        let told = lately.redis.iter().find(|told| told.at_ms == *at)?;
        let used = told.used_bytes as f64;
        if is_bounded { (told.max_bytes > 0).then(|| used / told.max_bytes as f64) } else { Some(used) }
    };
    let lines = vec![Line { name: "Redis".to_owned(), values: times.iter().map(value).collect() }];
    let limit = is_bounded.then_some(lately.thresholds.redis_memory);
    let (scale, tell): (Scale, fn(f64) -> String) =
        if is_bounded { (Scale::Share, whole_percent) } else { (Scale::Bytes, size) };
    let bound = if is_bounded {
        format!(" of {}", format::bytes(last.max_bytes))
    } else {
        ", without a limit".to_owned()
    };
    html! {
        section.card {
            (Plot { id: "redis", title: "Memory of Redis", times: &times, lines, scale, limit, tell }.draw())
            p.dim { (format::bytes(last.used_bytes)) (bound) }
        }
    }
}

/// The minutes of the last hour, whether anything was told of them or not.
fn minutes(lately: &Lately) -> Vec<i64> {
    let last = lately.hosts.iter().filter_map(|host| Some(host.minutes.last()?.at_ms)).max().unwrap_or(0);
    let first =
        lately.hosts.iter().filter_map(|host| Some(host.minutes.first()?.at_ms)).min().unwrap_or(last);
    // A few minutes are not drawn as wide as an hour.
    let first = first.min(last - 9 * 60_000);
    (0..=(last - first) / 60_000).map(|minute| first + minute * 60_000).collect()
}

/// How many of a step that is a minute; of the one that goes on as far as it went.
#[expect(clippy::cast_precision_loss, reason = "a pace for people")]
fn per_minute(count: u64, elapsed_ms: i64, step_ms: i64) -> Option<f64> {
    let lasted_ms = elapsed_ms.clamp(0, step_ms);
    (lasted_ms >= TOLD_FROM_MS).then(|| count as f64 * 60_000.0 / lasted_ms as f64)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an amount for people")]
fn amount(value: f64) -> String {
    if value > 0.0 && value < 10.0 && value.fract() > 0.05 {
        return format!("{value:.1}");
    }
    format::count(value.round() as u64)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size for people")]
fn size(value: f64) -> String {
    format::bytes(value.round() as u64).replace(".0 ", " ")
}

/// A share without digits behind the point: what is measured every ten seconds is not known any better.
fn whole_percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A time in ms.
fn time(ms: f64) -> String {
    if ms < 1.0 {
        return "< 1 ms".to_owned();
    }
    if ms < 10.0 {
        return format!("{ms:.1} ms");
    }
    Duration::try_from_secs_f64(ms / 1_000.0).map_or_else(|_| "-".to_owned(), format::lasting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_goes_on_is_told_as_far_as_it_went() {
        assert_eq!(per_minute(30, 600_000, 60_000), Some(30.0));
        assert_eq!(per_minute(30, 30_000, 60_000), Some(60.0));
        assert_eq!(per_minute(1, 5_000, 60_000), None);
        assert_eq!(per_minute(30, 7_200_000, 900_000), Some(2.0));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([0.0, 2.25, 9.0, 1_234.5].map(amount), ["0", "2.2", "9", "1\u{202f}235"]);
        assert_eq!(
            [0.5, 1.9, 45.0, 1_500.0, 90_000.0].map(time),
            ["< 1 ms", "1.9 ms", "45 ms", "1.5 s", "90 s"]
        );
    }
}
