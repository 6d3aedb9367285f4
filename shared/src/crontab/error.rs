//! What can be wrong with an expression, said so that the next try is right.

use thiserror::Error;

use super::field::Unit;

/// How alike two words must be for one to be taken for a slip of the other, from 0 to 1.
const ALIKE_MIN: f64 = 0.65;

/// Why a text is not an expression that can fire.
#[derive(Debug, Error)]
pub enum CrontabError {
    /// Nothing but white space.
    #[error("the expression is empty; write five fields, such as `30 4 * * 1-5`")]
    Empty,
    /// Neither five fields nor six.
    #[error("found {count} {}; {}", if *count == 1 { "field" } else { "fields" }, layout(*count))]
    FieldCount {
        /// How many there are.
        count: usize,
    },
    /// A macro that does not exist.
    #[error("there is no macro `{found}`; {advice}")]
    Macro {
        /// What was written.
        found: String,
        /// The nearest macro, or all of them.
        advice: String,
    },
    /// `@reboot`: schedulers come and go, and none of their starts means anything.
    #[error("`@reboot` has no meaning for a schedule that outlives every process; write a time of day")]
    Reboot,
    /// A field that cannot be read.
    #[error("{unit} field: {problem}")]
    Field {
        /// Which field.
        unit: Unit,
        /// What is wrong with it.
        problem: FieldProblem,
    },
    /// A date that never comes, such as 30 February.
    #[error("day-of-month field: month `{months}` has no day `{days}`, so this would never fire")]
    NoSuchDay {
        /// The days of the month.
        days: String,
        /// The months.
        months: String,
    },
    /// The `cron` crate refused our translation: a fault of this module.
    #[error("could not hand `{quartz}` to the `cron` crate")]
    Translation {
        /// What was handed to it.
        quartz: String,
        /// Why it refused.
        source: cron::error::Error,
    },
}

impl CrontabError {
    pub(super) fn unknown_macro(found: &str, known: &[&str]) -> Self {
        Self::Macro { found: found.to_owned(), advice: advice(found, known, "the macros are") }
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FieldProblem {
    /// Two commas in a row, or a range without an end.
    #[error("`{found}` lacks a number")]
    Missing {
        /// What was written.
        found: String,
    },
    /// Neither a number nor a name.
    #[error("`{found}` is not {advice}")]
    Unknown {
        /// What was written.
        found: String,
        /// What it should be.
        advice: String,
    },
    /// A number below the lowest of the field.
    #[error("`{found}` is below {low}")]
    Below {
        /// What was written.
        found: String,
        /// The lowest number.
        low: u8,
    },
    /// A number above the highest of the field.
    #[error("`{found}` is above {high}")]
    Above {
        /// What was written.
        found: String,
        /// The highest number.
        high: u8,
    },
    /// A range whose end comes before its start.
    #[error("the range `{found}` runs backwards; write `{instead}`")]
    Backwards {
        /// What was written.
        found: String,
        /// The list that says the same.
        instead: String,
    },
    /// A step that is not a number.
    #[error("`{found}` needs a number after the `/`")]
    StepUnknown {
        /// What was written.
        found: String,
    },
    /// A step of zero.
    #[error("`{found}` never moves on; a step is at least 1")]
    StepZero {
        /// What was written.
        found: String,
    },
    /// A step beyond the whole field, which does not do what its writer hopes for.
    #[error("`{found}` steps out of the field, which starts anew after {longest}; write single numbers")]
    StepLong {
        /// What was written.
        found: String,
        /// The longest step with a meaning.
        longest: u8,
    },
    /// A sign that only Quartz knows.
    #[error("`{found}` is Quartz, not crontab; {instead}")]
    Quartz {
        /// What was written.
        found: String,
        /// What to do instead.
        instead: &'static str,
    },
}

impl FieldProblem {
    pub(super) fn unknown(unit: Unit, found: &str) -> Self {
        let numbers = format!("a number from {} to {}", unit.low(), unit.high());
        let advice = match unit.names() {
            [] => numbers,
            names => format!("{numbers} or a name; {}", advice(found, names, "the names are")),
        };
        Self::Unknown { found: found.to_owned(), advice }
    }
}

/// What each count of fields suggests.
fn layout(count: usize) -> &'static str {
    match count {
        7 => "crontab has no year field: leave out the last one",
        _ => "there are five (minute hour day-of-month month day-of-week), or six with seconds first",
    }
}

/// The known word that was probably meant, or all of them.
fn advice(found: &str, known: &[&str], otherwise: &str) -> String {
    nearest(found, known).map_or_else(
        || format!("{otherwise} {}", known.join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    )
}

fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let found = found.to_ascii_lowercase();
    let likeness = |word: &str| {
        let word = word.to_ascii_lowercase();
        // The first favours a right beginning, as in `MONDAY`, the second forgives two swapped letters.
        strsim::jaro_winkler(&found, &word).max(strsim::normalized_damerau_levenshtein(&found, &word))
    };
    let alike = known.iter().map(|&word| (likeness(word), word)).filter(|&(score, _)| score >= ALIKE_MIN);
    alike.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, word)| word)
}
