//! What is shared while one configuration is read: the file, the environment, the problems so far.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::complaint::clip;
use super::problem::{Problem, Problems};

/// What a problem has for a file where no file is to blame.
pub(super) const ENVIRONMENT: &str = "environment";

/// How large any file may be that is read here, in bytes; guards against reading a device to its end.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Looks up a variable of the environment; passed in, so that tests have an environment of their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads values and collects problems; never stops at the first.
pub(super) struct Reader<'a> {
    file: &'a Path,
    env: Environment<'a>,
    line_starts: Vec<usize>,
    /// The lines on which the text is not TOML. While there are any, values may be missing or cut off.
    broken_lines: Vec<u32>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &str, file: &'a Path, env: Environment<'a>) -> Self {
        let after_newlines = text.match_indices('\n').map(|(offset, _)| offset + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Self { file, env, line_starts, broken_lines: Vec::new(), problems: RefCell::default() }
    }

    /// Takes over what the parser of TOML found.
    pub(super) fn syntax(&mut self, text: &str, errors: &[toml::de::Error]) {
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let line = self.line(span.start);
            // One slip makes the parser complain several times about a line: the first time says most.
            if self.broken_lines.contains(&line) {
                continue;
            }
            let excerpt = text.get(span).unwrap_or_default().trim();
            let (message, help) = explain_syntax(error.message(), excerpt);
            self.push(line, String::new(), message, help);
            self.broken_lines.push(line);
        }
    }

    /// Whether the whole text could be read, so that what is missing in it is really missing.
    pub(super) fn is_whole(&self) -> bool {
        self.broken_lines.is_empty()
    }

    /// The line of a byte offset, counted from 1.
    pub(super) fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.line_starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// The file's name, for messages.
    pub(super) fn file(&self) -> String {
        self.file.display().to_string()
    }

    /// Records a problem, unless its line is not even TOML: then that is the one to repair first.
    pub(super) fn report(
        &self,
        line: u32,
        path: String,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if !self.broken_lines.contains(&line) {
            self.push(line, path, message.into(), help.into());
        }
    }

    /// Records a problem with a variable of the environment.
    pub(super) fn report_variable(&self, name: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            file: ENVIRONMENT.to_owned(),
            line: 0,
            path: name.to_owned(),
            message: message.into(),
            help: help.into(),
        });
    }

    /// A variable of the environment; an empty one counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// A variable of the environment, also if it is set to nothing.
    pub(super) fn raw_variable(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    /// A path of the file: relative ones are relative to the folder that the file is in.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// What was read, or every problem in the order of the file.
    pub(super) fn finish<T>(self, read: T) -> Result<T, Problems> {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|a, b| (a.line, &a.path).cmp(&(b.line, &b.path)));
        problems.dedup();
        if problems.is_empty() { Ok(read) } else { Err(Problems(problems)) }
    }

    fn push(&self, line: u32, path: String, message: String, help: String) {
        self.problems.borrow_mut().push(Problem { file: self.file(), line, path, message, help });
    }
}

/// Reads a text file, or says in a few words why not.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| explain_io(&error))?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| explain_io(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

fn explain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

/// Says in our words what the parser of TOML says in its own, where the help can be more than general.
fn explain_syntax(message: &str, excerpt: &str) -> (String, String) {
    let excerpt = clip(excerpt);
    if message.contains("duplicate key") && !excerpt.is_empty() {
        let help = "keep one of the two, or give one another name".to_owned();
        return (format!("`{excerpt}` is written twice"), help);
    }
    if message.contains("must be quoted") {
        // Anything longer or more curious than "30s" may be an address, and hold a password.
        let is_harmless = excerpt.len() <= 16 && excerpt.chars().all(|c| c.is_ascii_alphanumeric());
        return match &*excerpt {
            "" => ("a value is missing".to_owned(), "write one behind `=`".to_owned()),
            text if is_harmless => {
                (format!("`{text}` is not a value"), format!("write it in double quotes: \"{text}\""))
            }
            _ => ("a text is not in quotes".to_owned(), "write it in double quotes".to_owned()),
        };
    }
    let help = if message.contains("escape") {
        r"write a backslash as `\\`, or put the text between single quotes"
    } else if message.contains("multi-line") {
        r#"close the text that begins with `"""` or `'''`: the file ends inside it"#
    } else if message.contains("string") {
        r#"close the text on its own line, or put one of several lines between `"""` and `"""`"#
    } else {
        r#"lines read `key = value` or `[table.name]`; texts stand in double quotes, as in ttl = "30s""#
    };
    (format!("this is not TOML: {message}"), help.to_owned())
}
