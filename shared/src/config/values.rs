//! The getters of a section: each takes a key, checks the value, and notes what is wrong with it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::DeValue;

use super::complaint::{Complaint, clip};
use super::json;
use super::section::Section;
use super::suggest::nearest_or_all;
use crate::units::{Quantity, format_duration, parse_duration, parse_size};

const HELP_TEXT: &str = "write it in double quotes";

impl Section<'_> {
    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    /// A text that means something else.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let read = match value.get_ref() {
            DeValue::String(text) => parse(text),
            other => Err(Complaint::mismatch("a text", other, HELP_TEXT)),
        };
        read.map_err(|complaint| self.complain(key, complaint)).ok()
    }

    /// A list of texts that mean something else; each bad one is reported on its own line.
    pub(super) fn parsed_each<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Option<Vec<T>> {
        let value = self.take(key)?;
        let Some(items) = value.get_ref().as_array() else {
            let help = r#"write it as ["…", "…"]"#;
            self.complain(key, Complaint::mismatch("a list of texts", value.get_ref(), help));
            return None;
        };
        let read_item = |item: &Spanned<DeValue<'_>>| {
            let read = match item.get_ref() {
                DeValue::String(text) => parse(text),
                other => Err(Complaint::mismatch("a text", other, HELP_TEXT)),
            };
            read.map_err(|complaint| self.complain_at(item, key, complaint)).ok()
        };
        // All are read before one of them can fail the list.
        let read: Vec<Option<T>> = items.iter().map(read_item).collect();
        read.into_iter().collect()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        self.parsed(key, |text| {
            let chosen = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
            chosen.ok_or_else(|| {
                let known = words.iter().map(|(word, _)| *word);
                let help = nearest_or_all(text, "write one of", known);
                Complaint::new(format!("`{}` is not a choice here", clip(text)), help)
            })
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            let help = "write it without quotes";
            self.complain(key, Complaint::mismatch("`true` or `false`", value.get_ref(), help));
        }
        flag
    }

    /// A whole number within a range.
    pub(super) fn whole<T: TryFrom<u32>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let help = format!("write a whole number from {} to {}", range.start(), range.end());
        let Some(written) = value.get_ref().as_integer() else {
            self.complain(key, Complaint::mismatch("a whole number", value.get_ref(), help));
            return None;
        };
        let number = u32::from_str_radix(written.as_str(), written.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.report(key, format!("{} is out of range", clip(&written.to_string())), help);
        }
        number.and_then(|number| T::try_from(number).ok())
    }

    /// A share, from 0 to 1.
    pub(super) fn share(&mut self, key: &'static str, help: &'static str) -> Option<f64> {
        let value = self.take(key)?;
        let share = read_share(value.get_ref());
        if share.is_none() {
            let complaint = match value.get_ref() {
                DeValue::Integer(_) | DeValue::Float(_) => Complaint::new("that is not a share", help),
                other => Complaint::mismatch("a share", other, help),
            };
            self.complain(key, complaint);
        }
        share
    }

    /// A duration that is not below `at_least`.
    pub(super) fn duration(&mut self, key: &'static str, at_least: Duration) -> Option<Duration> {
        let value = self.take(key)?;
        let read = match value.get_ref() {
            DeValue::String(text) => parse_duration(text).map_err(Complaint::from),
            DeValue::Integer(number) if number.as_str().parse::<u32>().is_ok() => {
                let help = format!("write a unit, too: \"{}s\"", number.as_str());
                Err(Complaint::mismatch("a duration", value.get_ref(), help))
            }
            other => Err(Complaint::mismatch("a duration", other, Quantity::Duration.help())),
        };
        let read = read.and_then(|duration| {
            if duration >= at_least {
                return Ok(duration);
            }
            let help = format!("write at least \"{}\"", format_duration(at_least));
            Err(Complaint::new(format!("\"{}\" is too short", format_duration(duration)), help))
        });
        read.map_err(|complaint| self.complain(key, complaint)).ok()
    }

    /// A size in bytes.
    pub(super) fn size(&mut self, key: &'static str) -> Option<u64> {
        let value = self.take(key)?;
        let read = match value.get_ref() {
            DeValue::String(text) => parse_size(text).map_err(Complaint::from),
            other => Err(Complaint::mismatch("a size", other, Quantity::Size.help())),
        };
        read.map_err(|complaint| self.complain(key, complaint)).ok()
    }

    /// A table of free content, as JSON; none if it is not written.
    pub(super) fn json(&mut self, key: &'static str) -> Option<Map<String, Value>> {
        let value = self.take(key)?;
        let table = self.as_table(key, value, &self.help_table(key, "…"))?;
        let report = |at: &Spanned<DeValue<'_>>, path: &str, complaint: Complaint| {
            self.complain_at(at, path, complaint);
        };
        Some(json::object(table, key, &report))
    }
}

/// A number from 0 to 1.
pub(super) fn read_share(value: &DeValue<'_>) -> Option<f64> {
    let written = match value {
        DeValue::Float(written) => written.as_str().parse().ok()?,
        DeValue::Integer(written) => written.as_str().parse().ok()?,
        _ => return None,
    };
    (0.0..=1.0).contains(&written).then_some(written)
}
