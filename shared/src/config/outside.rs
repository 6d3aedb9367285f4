//! Secrets that do not belong into the file: they are in the environment, or in a file of their own.

use super::interpolate::interpolate;
use super::reader::read_text;
use super::section::Section;

/// Where such a secret may be said, and what it is called.
pub(super) struct Outside {
    /// What it is, in messages.
    pub(super) noun: &'static str,
    /// The key that names a variable of the environment.
    pub(super) key: &'static str,
    /// The key that names a file that holds it, as orchestrators mount secrets.
    pub(super) file_key: &'static str,
    /// What to write instead where it stands in the file itself.
    pub(super) help: &'static str,
}

/// What is written about where it is.
pub(super) enum Said {
    /// A text with a variable in it.
    Text(String),
    /// The path of a file.
    File(String),
}

impl Outside {
    /// What is written; the first of the two where both are.
    pub(super) fn said(&self, section: &mut Section<'_>) -> Option<Said> {
        let (text, file) = (section.text(self.key), section.text(self.file_key));
        text.map(Said::Text).or(file.map(Said::File))
    }

    /// The secret, and the key that said where it is. What is wrong has been reported where there is none.
    pub(super) fn read(&self, section: &Section<'_>, said: Said) -> Option<(&'static str, String)> {
        match said {
            Said::Text(text) => Some((self.key, self.read_variable(section, &text)?)),
            Said::File(path) => Some((self.file_key, self.read_file(section, &path)?)),
        }
    }

    fn read_file(&self, section: &Section<'_>, path: &str) -> Option<String> {
        let path = section.reader().resolve(path);
        match read_text(&path) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(why) => {
                let message = format!("cannot read `{}`: {why}", path.display());
                let help = format!("name a file that holds the {} and nothing else", self.noun);
                section.report(self.file_key, message, help);
                None
            }
        }
    }

    /// One that stood in the file itself would be read by whoever reads that.
    fn read_variable(&self, section: &Section<'_>, text: &str) -> Option<String> {
        let text = text.trim();
        if !text.starts_with("${") {
            section.report(self.key, format!("a {} does not belong into the file", self.noun), self.help);
            return None;
        }
        match interpolate(text, &|name| section.reader().raw_variable(name)) {
            Ok(secret) => Some(secret.trim().to_owned()),
            Err(complaints) => {
                for complaint in complaints {
                    section.complain(self.key, complaint);
                }
                None
            }
        }
    }
}
