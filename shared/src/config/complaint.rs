//! What is wrong with one value, before it is known where the value stands.

use std::borrow::Cow;

use toml::de::DeValue;

use crate::name::NameError;
use crate::units::UnitError;

/// How much of a value is quoted back, in characters.
const QUOTE_MAX: usize = 40;

/// A message and a help, which become a `Problem` once they have a place.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) help: String,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    /// A value of the wrong type.
    pub(super) fn mismatch(wanted: &str, value: &DeValue<'_>, help: impl Into<String>) -> Self {
        Self::new(format!("expected {wanted}, found {}", found(value)), help)
    }
}

impl From<UnitError> for Complaint {
    fn from(error: UnitError) -> Self {
        Self::new(error.to_string(), error.help())
    }
}

impl From<NameError> for Complaint {
    fn from(error: NameError) -> Self {
        Self::new(error.to_string(), "write it as in `departures-board`")
    }
}

/// What a value is, in words.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        // An address may hold a password, and problems end up in logs.
        DeValue::String(text) if text.contains("://") => "a text".to_owned(),
        DeValue::String(text) => format!("the text `{}`", clip(text)),
        DeValue::Integer(number) => format!("the number {}", clip(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", clip(number.as_str())),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A text, cut to a length that fits into a message.
pub(super) fn clip(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
