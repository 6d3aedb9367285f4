//! One line of a report: what was measured, beside whom, and whether it is good enough.

use serde_json::{Value, json};

/// What was measured, or why it could not be.
pub type Figure = Result<f64, String>;

/// What a figure of ours has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// So many times the figure beside it, or more.
    TimesAtLeast(f64),
    /// So many times the figure beside it, or less.
    TimesAtMost(f64),
}

/// One line of a report.
#[derive(Debug, Clone)]
pub struct Row {
    measure: String,
    unit: &'static str,
    ours: Option<f64>,
    peer: Option<String>,
    peer_value: Option<f64>,
    bar: Option<Bar>,
    notes: Vec<String>,
}

impl Row {
    /// A line that has no figure yet.
    pub fn new(measure: impl Into<String>, unit: &'static str) -> Self {
        let measure = measure.into();
        Self { measure, unit, ours: None, peer: None, peer_value: None, bar: None, notes: Vec::new() }
    }

    /// With our figure.
    #[must_use]
    pub fn ours(mut self, figure: &Figure) -> Self {
        self.ours = self.value(figure);
        self
    }

    /// With the figure of somebody else.
    #[must_use]
    pub fn beside(mut self, peer: &str, figure: &Figure) -> Self {
        self.peer = Some(peer.to_owned());
        self.peer_value = self.value(figure);
        self
    }

    /// With what our figure has to be.
    #[must_use]
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// With a sentence that a reader needs.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Our figure over the other one.
    pub fn ratio(&self) -> Option<f64> {
        let peer = self.peer_value.filter(|value| *value != 0.0)?;
        self.ours.map(|ours| ours / peer)
    }

    /// Whether the bar is cleared; nothing where there is no bar, or a figure is missing.
    pub fn holds(&self) -> Option<bool> {
        match self.bar? {
            Bar::AtLeast(least) => self.ours.map(|ours| ours >= least),
            Bar::AtMost(most) => self.ours.map(|ours| ours <= most),
            Bar::TimesAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
            Bar::TimesAtMost(most) => self.ratio().map(|ratio| ratio <= most),
        }
    }

    /// The line as others read it.
    pub fn to_json(&self) -> Value {
        let mut row = json!({
            "measure": self.measure,
            "unit": self.unit,
            "ours": self.ours.map(rounded),
            "peer": self.peer,
            "peer_value": self.peer_value.map(rounded),
            "ratio": self.ratio().map(rounded),
            "bar": self.bar_text(),
            "holds": self.holds(),
        });
        if !self.notes.is_empty() {
            row["note"] = self.notes.join("; ").into();
        }
        row
    }

    /// The line as people read it, cell by cell.
    pub(super) fn cells(&self) -> [String; 8] {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), text);
        let (peer, peer_value) = match &self.peer {
            Some(peer) => (peer.clone(), number(self.peer_value)),
            None => Default::default(),
        };
        let holds = match self.holds() {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None => "",
        };
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let bar = self.bar_text().unwrap_or_default();
        [
            self.measure.clone(),
            number(self.ours),
            self.unit.to_owned(),
            peer,
            peer_value,
            ratio,
            bar,
            holds.to_owned(),
        ]
    }

    /// What a reader needs to know about the line.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    fn bar_text(&self) -> Option<String> {
        Some(match self.bar? {
            Bar::AtLeast(least) => format!(">= {}", text(least)),
            Bar::AtMost(most) => format!("<= {}", text(most)),
            Bar::TimesAtLeast(least) => format!(">= {least} x {}", self.peer.as_deref().unwrap_or("?")),
            Bar::TimesAtMost(most) => format!("<= {most} x {}", self.peer.as_deref().unwrap_or("?")),
        })
    }

    fn value(&mut self, figure: &Figure) -> Option<f64> {
        match figure {
            Ok(value) => Some(*value),
            Err(why) => {
                if !self.notes.contains(why) {
                    self.notes.push(why.clone());
                }
                None
            }
        }
    }
}

/// Four places are more than any of this is good for.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// As many places as a reader wants.
fn text(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => format!("{:.1} k", value / 1_000.0),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_bar_holds() {
        let row = Row::new("no-op", "jobs/s").ours(&Ok(60.0)).beside("BullMQ", &Ok(12.0));

        assert_eq!(row.clone().bar(Bar::TimesAtLeast(6.0)).holds(), Some(false));
        assert_eq!(row.clone().bar(Bar::TimesAtLeast(5.0)).holds(), Some(true));
        assert_eq!(row.clone().bar(Bar::AtMost(59.0)).holds(), Some(false));
        assert_eq!(row.holds(), None);
    }

    #[test]
    fn a_figure_that_is_missing_is_a_note_and_no_verdict() {
        let row = Row::new("no-op", "jobs/s").ours(&Ok(60.0)).beside("BullMQ", &Err("no npm".to_owned()));
        let json = row.bar(Bar::TimesAtLeast(6.0)).to_json();

        assert_eq!(json["bar"], ">= 6 x BullMQ");
        assert_eq!(json["note"], "no npm");
        assert!(json["holds"].is_null() && json["ratio"].is_null() && json["peer_value"].is_null());
    }
}
