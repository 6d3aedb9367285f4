//! One item of a field's list: `*`, a number, a name or a range, each with or without a step.

use std::collections::BTreeSet;

use super::error::FieldProblem;
use super::field::Unit;
use super::quartz;

/// An item as it was written, and the field that it stands in.
pub(super) struct Item<'a> {
    unit: Unit,
    text: &'a str,
}

impl<'a> Item<'a> {
    /// The item of a field.
    pub(super) fn new(unit: Unit, text: &'a str) -> Self {
        Self { unit, text }
    }

    /// The numbers that it stands for, with Sunday as 0.
    pub(super) fn values(&self) -> Result<BTreeSet<u8>, FieldProblem> {
        quartz::refuse(self.unit, self.text)?;
        let (range, step) = match self.text.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (self.text, None),
        };
        let (first, last) = if range == "*" {
            (self.unit.low(), self.unit.high())
        } else if let Some((first, last)) = range.split_once('-') {
            self.ends(first, last)?
        } else {
            let first = self.value(range)?;
            (first, if step.is_some() { self.unit.high() } else { first })
        };
        if first > last {
            return Err(self.backwards(first, last, step));
        }
        Ok((first..=last).step_by(step.unwrap_or(1)).map(|number| self.folded(number)).collect())
    }

    fn ends(&self, first: &str, last: &str) -> Result<(u8, u8), FieldProblem> {
        let first = self.value(first)?;
        // As the end of a range, Sunday is the day after Saturday.
        let after_saturday = self.unit == Unit::DayOfWeek && first > 0 && last.eq_ignore_ascii_case("SUN");
        Ok((first, if after_saturday { 7 } else { self.value(last)? }))
    }

    fn value(&self, text: &str) -> Result<u8, FieldProblem> {
        let (low, high) = (self.unit.low(), self.unit.high());
        let found = || text.to_owned();
        match number(text) {
            Some(number) if number < low => Err(FieldProblem::Below { found: found(), low }),
            Some(number) if number > high => Err(FieldProblem::Above { found: found(), high }),
            Some(number) => Ok(number),
            None if text.is_empty() => Err(FieldProblem::Missing { found: self.text.to_owned() }),
            None => self.named(text).ok_or_else(|| FieldProblem::unknown(self.unit, text)),
        }
    }

    fn named(&self, text: &str) -> Option<u8> {
        let mut names = (self.unit.low()..).zip(self.unit.names());
        names.find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(number, _)| number)
    }

    fn step(&self, text: &str) -> Result<usize, FieldProblem> {
        let found = || self.text.to_owned();
        let longest = self.unit.count();
        match number(text) {
            None => Err(FieldProblem::StepUnknown { found: found() }),
            Some(0) => Err(FieldProblem::StepZero { found: found() }),
            Some(step) if step > longest => Err(FieldProblem::StepLong { found: found(), longest }),
            Some(step) => Ok(usize::from(step)),
        }
    }

    /// The refusal of a range that wraps around, with the list that says the same.
    fn backwards(&self, first: u8, last: u8, step: Option<usize>) -> FieldProblem {
        let (low, count) = (self.unit.low(), self.unit.count());
        let first = self.folded(first);
        let wraps = first > last;
        let instead = match step {
            None if wraps => format!("{},{}", self.span(first, low + count - 1), self.span(low, last)),
            None => self.span(first, last),
            Some(step) => {
                let numbers = (first..=if wraps { last + count } else { last }).step_by(step);
                let around = numbers.map(|number| self.spelled(low + (number - low) % count));
                around.collect::<Vec<_>>().join(",")
            }
        };
        FieldProblem::Backwards { found: self.text.to_owned(), instead }
    }

    fn span(&self, first: u8, last: u8) -> String {
        let [from, to] = [first, last].map(|number| self.spelled(number));
        if first == last { from } else { format!("{from}-{to}") }
    }

    /// A number in the style of the item: by name if it uses names.
    fn spelled(&self, number: u8) -> String {
        let named = self.text.contains(|c: char| c.is_ascii_alphabetic());
        let name = self.unit.names().get(usize::from(number - self.unit.low()));
        name.filter(|_| named).map_or_else(|| number.to_string(), |&name| name.to_owned())
    }

    /// The number with one Sunday only.
    fn folded(&self, number: u8) -> u8 {
        if self.unit == Unit::DayOfWeek { number % 7 } else { number }
    }
}

/// A number of digits only; what is too long to be any number here is as good as the highest.
fn number(text: &str) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u8::MAX))
}
