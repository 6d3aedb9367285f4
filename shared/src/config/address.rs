//! The address of a server: from the environment, from the file, or from a file of its own.

use super::complaint::Complaint;
use super::interpolate::interpolate;
use super::reader::read_text;
use super::secret::Secret;
use super::section::Section;
use super::suggest::{list, nearest};

/// Which keys and which variable hold an address, and what it may begin with.
pub(super) struct Address {
    /// The key that holds the address itself.
    pub(super) key: &'static str,
    /// The key that names a file which holds it, as orchestrators mount secrets.
    pub(super) file_key: &'static str,
    /// The variable that wins over both.
    pub(super) variable: Option<&'static str>,
    /// What is before `://`.
    pub(super) schemes: &'static [&'static str],
}

/// What was wrong is among the problems.
#[derive(Debug)]
struct Reported;

impl Address {
    /// Reads the address; none if it is not given, or given as an empty text.
    pub(super) fn read(&self, section: &mut Section<'_>) -> Option<Secret> {
        self.look(section).ok().flatten()
    }

    /// Reads an address without which there is no going on.
    pub(super) fn required(&self, section: &mut Section<'_>, help: &str) -> Option<Secret> {
        let found = self.look(section).ok()?;
        if found.is_none() {
            section.report_missing(format!("needs `{}`", self.key), help);
        }
        found
    }

    /// What is given; an error where something about it was wrong, and has been reported.
    fn look(&self, section: &mut Section<'_>) -> Result<Option<Secret>, Reported> {
        let text = section.text(self.key);
        let path = section.text(self.file_key);
        section.at_most_one(self.key, self.file_key);
        // What the environment overrules is not looked into: its variables and files need not exist here.
        if let Some((name, value)) = self.overruling(section) {
            let checked = self.check(&value);
            let report = |complaint: Complaint| {
                section.reader().report_variable(name, complaint.message, complaint.help);
                Reported
            };
            return checked.map(|()| Some(Secret::new(value, name))).map_err(report);
        }
        let (key, read) = match (text, path) {
            (Some(text), _) => (self.key, fill(section, &text)),
            (None, Some(path)) => (self.file_key, read_file(section, &path)),
            (None, None) => return Ok(None),
        };
        let checked = read.and_then(|value| self.check_unless_empty(value));
        let report = |complaints: Vec<Complaint>| {
            for complaint in complaints {
                section.complain(key, complaint);
            }
            Reported
        };
        Ok(checked.map_err(report)?.map(|value| Secret::new(value, source(section, key))))
    }

    /// The variable that is set and wins, with its value.
    fn overruling(&self, section: &Section<'_>) -> Option<(&'static str, String)> {
        let name = self.variable?;
        let value = section.reader().variable(name)?.trim().to_owned();
        (!value.is_empty()).then_some((name, value))
    }

    fn check_unless_empty(&self, value: String) -> Result<Option<String>, Vec<Complaint>> {
        if value.is_empty() {
            return Ok(None);
        }
        self.check(&value).map(|()| Some(value)).map_err(|complaint| vec![complaint])
    }

    /// Never quotes the address, which may hold a password; what is before `://` does not.
    fn check(&self, address: &str) -> Result<(), Complaint> {
        let begins = || {
            format!(
                "addresses here begin with {}",
                list(self.schemes.iter().map(|scheme| format!("{scheme}://")))
            )
        };
        let Some((scheme, _)) = address.split_once("://") else {
            let example = self.schemes.first().copied().unwrap_or_default();
            let help = format!("write it as in {example}://host:port");
            return Err(Complaint::new("the address does not say its kind, as in `kind://`", help));
        };
        if self.schemes.contains(&scheme) {
            return Ok(());
        }
        let is_plain = scheme.len() <= 16 && scheme.chars().all(|c| c.is_ascii_lowercase() || c == '+');
        let shown = if is_plain { format!("`{scheme}://`") } else { "the address".to_owned() };
        let help = nearest(scheme, self.schemes.iter().copied())
            .map_or_else(begins, |known| format!("did you mean `{known}://`?"));
        Err(Complaint::new(format!("{shown} is not a kind of address that is known here"), help))
    }
}

fn fill(section: &Section<'_>, text: &str) -> Result<String, Vec<Complaint>> {
    let filled = interpolate(text, &|name| section.reader().raw_variable(name))?;
    Ok(filled.trim().to_owned())
}

fn read_file(section: &Section<'_>, path: &str) -> Result<String, Vec<Complaint>> {
    let path = section.reader().resolve(&fill(section, path)?);
    let complain = |why: String| {
        let help = "name a file that holds the address and nothing else";
        vec![Complaint::new(format!("cannot read `{}`: {why}", path.display()), help)]
    };
    let text = read_text(&path).map_err(complain)?;
    if text.trim().is_empty() { Err(complain("it is empty".to_owned())) } else { Ok(text.trim().to_owned()) }
}

/// Where the value of a key came from, for messages.
pub(super) fn source(section: &Section<'_>, key: &str) -> String {
    let origin = section.origin();
    format!("{} ({}:{})", section.path_of(key), origin.file, origin.at(key))
}
