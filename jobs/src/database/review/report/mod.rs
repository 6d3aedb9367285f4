//! A review to be read: what is wrong and what to do first, then each recommendation, then the database as it is, then
//! what could not be looked at.

mod html;
mod markdown;
mod overview;

pub use html::html;
pub use markdown::markdown;
pub use overview::{Line, Overview};

use brasa_shared::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::{Facts, Gap};
use super::recommendation::{Does, Recommendation, Severity};
use super::rules::{Note, notes};
use super::words::many;

/// A review to be read. As JSON it is the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Its number, once it is kept.
    pub review: Option<i64>,
    /// When it was, in UTC.
    pub at: String,
    /// The database.
    pub database: String,
    /// The server: `Postgres 15.4`.
    pub server: String,
    /// How bad it is, and what to do first, in a few sentences.
    pub summary: String,
    /// What is recommended, the worst first.
    pub recommendations: Vec<Shown>,
    /// The database as it is.
    pub overview: Overview,
    /// What there is not enough evidence for.
    pub notes: Vec<Note>,
    /// What could not be looked at, and why.
    pub gaps: Vec<Gap>,
}

/// A recommendation in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What tells it from others, and what it is dismissed by.
    pub fingerprint: String,
    /// What is recommended.
    #[serde(flatten)]
    pub recommendation: Recommendation,
    /// When it was first found, in UTC.
    pub first_seen: Option<String>,
    /// Who does not want to hear of it.
    pub dismissed: Option<Dismissal>,
}

/// That somebody does not want to hear of a recommendation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismissal {
    /// When it was said, in UTC.
    pub at: String,
    /// Who said so.
    pub by: String,
    /// Why.
    pub why: String,
}

impl Report {
    /// What facts say, and what is recommended on them.
    pub(super) fn of(facts: &Facts, recommendations: Vec<Recommendation>) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        let at = Timestamp::from_second(facts.at as i64).unwrap_or_default();
        let version = facts.server.version_text.split(' ').next().unwrap_or_default();
        let shown = |recommendation: Recommendation| Shown {
            fingerprint: recommendation.fingerprint(),
            recommendation,
            first_seen: None,
            dismissed: None,
        };
        let mut report = Self {
            review: None,
            at: at.strftime("%Y-%m-%d %H:%M").to_string(),
            database: facts.server.database.clone(),
            server: format!("Postgres {version}"),
            summary: String::new(),
            recommendations: recommendations.into_iter().map(shown).collect(),
            overview: Overview::of(facts),
            notes: notes(facts),
            gaps: facts.gaps.clone(),
        };
        report.sum_up();
        report
    }

    /// What is open, the worst first.
    pub fn open(&self) -> impl Iterator<Item = &Shown> {
        self.recommendations.iter().filter(|shown| shown.dismissed.is_none())
    }

    /// How many of a severity are open.
    pub fn count(&self, severity: Severity) -> usize {
        self.open().filter(|shown| shown.recommendation.severity == severity).count()
    }

    /// How many somebody does not want to hear of.
    pub fn dismissed(&self) -> usize {
        self.recommendations.len() - self.open().count()
    }

    /// Says anew how bad it is, once it is known what is dismissed.
    pub(super) fn sum_up(&mut self) {
        let [critical, warnings, infos] = Severity::ALL.map(|severity| self.count(severity));
        let mut sentences = vec![match (critical, warnings, infos) {
            (0, 0, 0) => "Nothing is wrong that a review can see.".to_owned(),
            (0, 0, infos) => {
                format!("Nothing hurts. {} could be better.", many(infos, "thing", "things"))
            }
            (0, warnings, _) => format!(
                "Nothing is broken, but {} one day.",
                many(warnings, "thing will hurt", "things will hurt")
            ),
            (critical, warnings, _) => format!(
                "{} now, and {} one day.",
                many(critical, "thing hurts", "things hurt"),
                many(warnings, "other will hurt", "others will hurt")
            ),
        }];
        if let Some(first) = self.open().next().filter(|_| critical + warnings > 0) {
            sentences.push(format!("The first to look at: {}", first.recommendation.title));
        }
        let gaps = self.gaps.iter().filter(|gap| gap.grant.is_some()).count();
        if gaps > 0 {
            sentences.push(format!(
                "{} could not be looked at, as rights are missing: see the end.",
                many(gaps, "thing", "things")
            ));
        }
        self.summary = sentences.join(" ");
    }
}

/// How many notes are shown; all are in the JSON.
const NOTES_MAX: usize = 20;

/// The notes that are shown, and what is said of the others.
fn shown_notes(report: &Report) -> (&[Note], Option<String>) {
    let shown = report.notes.get(..NOTES_MAX).unwrap_or(&report.notes);
    let rest = report.notes.len() - shown.len();
    (shown, (rest > 0).then(|| format!("And {} more.", many(rest, "index", "indexes"))))
}

/// From so many on, what one rule recommends is shown together.
const TOGETHER_FROM: usize = 4;

/// What one rule recommends.
struct Group<'r> {
    rule: &'r str,
    of: Vec<&'r Shown>,
}

impl Group<'_> {
    /// Whether it is too much to be shown one by one.
    fn is_together(&self) -> bool {
        self.of.len() >= TOGETHER_FROM
    }

    /// What it is about, and how many there are.
    fn title(&self) -> String {
        let about = about(self.rule);
        let first: String = about.chars().take(1).flat_map(char::to_uppercase).collect();
        format!("{first}{} ({})", about.chars().skip(1).collect::<String>(), self.of.len())
    }
}

/// What is open of a severity, by rules.
fn groups(report: &Report, severity: Severity) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for shown in report.open().filter(|shown| shown.recommendation.severity == severity) {
        let rule = shown.recommendation.rule.as_str();
        match groups.iter_mut().find(|group| group.rule == rule) {
            Some(group) => group.of.push(shown),
            None => groups.push(Group { rule, of: vec![shown] }),
        }
    }
    groups
}

/// What is said of whoever does it.
fn who(does: Does) -> &'static str {
    match does {
        Does::Apply => "Brasa may do this, where it is allowed to",
        Does::Propose => "For you to run, if you agree",
        Does::Advise => "For you to decide",
    }
}

/// A group of recommendations, as people call it.
fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "Critical: it hurts now, or is about to",
        Severity::Warning => "Warnings: it works, and will hurt one day",
        Severity::Info => "Could be better",
    }
}

/// Names of rules are for machines; this is for a reader who wants to know what a figure is about.
fn about(rule: &str) -> &'static str {
    super::rules::RULES.iter().find(|known| known.id == rule).map_or("", |known| known.about)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::database::review::facts::Subject;

    /// A report with one of everything, and text that means something to whoever renders it carelessly.
    pub(in crate::database::review) fn report() -> Report {
        let mut facts = Facts::default();
        facts.server.database = "shop <b>".to_owned();
        facts.server.version_text = "15.4 (Debian)".to_owned();
        facts.at = 1_767_225_600.0;
        facts.gaps.push(Gap::monitor(Subject::Activity, "The role may not look.", "app"));
        let bad = Recommendation::new(
            "R29",
            "public.\"a|b\".id",
            Severity::Critical,
            "97 % of `id` <script> are used.",
        )
        .shows("Last | number", "2,000")
        .proposes("ALTER TABLE t\nALTER COLUMN id TYPE bigint; -- ```")
        .undone_by("ALTER TABLE t ALTER COLUMN id TYPE integer;")
        .clears_when("It is bigint.");
        let fine = Recommendation::new("R30", "public.t", Severity::Info, "It has no key.")
            .clears_when("It has one.");
        let mut report = Report::of(&facts, vec![bad, fine]);
        report
            .notes
            .push(Note { object: "public.i".to_owned(), text: "There is not enough evidence.".to_owned() });
        report
    }

    #[test]
    fn a_summary_says_how_bad_it_is_and_what_to_do_first() {
        let mut report = report();
        assert_eq!(report.at, "2026-01-01 00:00");
        assert!(
            report.summary.starts_with("1 thing hurts now, and 0 others will hurt one day."),
            "{}",
            report.summary
        );
        assert!(report.summary.contains("The first to look at: 97 % of `id`"), "{}", report.summary);
        let dismissal = Dismissal { at: String::new(), by: "me".to_owned(), why: "known".to_owned() };
        report.recommendations[0].dismissed = Some(dismissal);
        report.sum_up();
        assert!(report.summary.starts_with("Nothing hurts. 1 thing could be better."), "{}", report.summary);
        assert_eq!((report.dismissed(), report.count(Severity::Critical)), (1, 0));
    }
}
