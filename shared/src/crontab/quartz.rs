//! Signs that only Quartz knows, refused by name: whoever writes them expects them to work.

use super::error::FieldProblem;
use super::field::Unit;

/// Refuses an item that uses `?`, `#`, `L` or `W`, and says what to write instead.
pub(super) fn refuse(unit: Unit, item: &str) -> Result<(), FieldProblem> {
    match instead(unit, &item.to_ascii_uppercase()) {
        Some(instead) => Err(FieldProblem::Quartz { found: item.to_owned(), instead }),
        None => Ok(()),
    }
}

fn instead(unit: Unit, item: &str) -> Option<&'static str> {
    let head = item.split('-').next().unwrap_or_default();
    match unit {
        _ if item.contains('?') => Some("write `*`"),
        Unit::DayOfMonth => match head.trim_start_matches(|c: char| c.is_ascii_digit()) {
            "L" => Some("write `28-31` and let the job check that the month ends"),
            "W" | "LW" => Some("there is no nearest working day; write the day itself"),
            _ => None,
        },
        Unit::DayOfWeek if head == "L" => Some("write `SAT`"),
        Unit::DayOfWeek if item.contains('#') => Some("write the weekday and let the job check the week"),
        Unit::DayOfWeek if is_last_weekday(head) => Some("write the weekday and let the job check the week"),
        _ => None,
    }
}

/// Whether it reads `5L` or `FRIL`, the last Friday of a month.
fn is_last_weekday(item: &str) -> bool {
    item.strip_suffix('L').is_some_and(|day| {
        Unit::DayOfWeek.names().contains(&day) || day.bytes().all(|byte| byte.is_ascii_digit())
    })
}
