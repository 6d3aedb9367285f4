//! A page of the manual, as the steps that a reader takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::shell;

/// What the text of a file may end with that a page says to write.
const FILES: [&str; 9] = ["json", "mjs", "py", "rb", "rs", "sql", "toml", "yaml", "yml"];

/// Programs by which an indented block is known to be commands.
const PROGRAMS: [&str; 21] = [
    "brasa",
    "bin/rails",
    "bundle",
    "cargo",
    "cd",
    "curl",
    "docker",
    "echo",
    "install",
    "kubectl",
    "make",
    "node",
    "npm",
    "open",
    "pip",
    "printf",
    "promtool",
    "psql",
    "python3",
    "redis-cli",
    "target/debug/shop-jobs",
];

/// A page.
pub(super) struct Page {
    /// Where it is, from the folder of the project.
    pub(super) path: String,
    pub(super) steps: Vec<Step>,
}

/// Something of a page that can be tried, and its line.
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) what: What,
}

/// What can be tried.
pub(super) enum What {
    /// A command. It goes on with the page's other commands of its block.
    Command { text: String, shown: Option<String>, is_alone: bool },
    /// The text of a file that the page says to write.
    File { name: String, text: String },
    /// A piece of a program, of a statement or of the configuration, in the language that its fence names.
    Piece { language: String, text: String },
    /// `brasa …` in the middle of a sentence or a table.
    Mention(String),
}

/// Where the project is.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The first page and all of the manual, by their paths from the folder of the project.
pub(super) fn all() -> BTreeSet<String> {
    let names = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| format!("docs/{}", name.into_string().unwrap()));
    names
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "md"))
        .chain(["README.md".to_owned()])
        .collect()
}

impl Page {
    /// Reads a page.
    pub(super) fn read(path: &str) -> Self {
        Self::of(path, &fs::read_to_string(root().join(path)).unwrap())
    }

    fn of(path: &str, text: &str) -> Self {
        let mut reader =
            Reader { page: Self { path: path.to_owned(), steps: Vec::new() }, said: String::new() };
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        while at < lines.len() {
            at = reader.take(&lines, at);
        }
        reader.paragraph(lines.len());
        reader.page
    }
}

/// Reads a page from its top.
struct Reader {
    page: Page,
    /// The paragraph that is being read; once it is over, until the next one begins.
    said: String,
}

impl Reader {
    /// Takes the block or the line that begins here, and says what comes next.
    fn take(&mut self, lines: &[&str], at: usize) -> usize {
        let line = lines[at];
        let indent = line.len() - line.trim_start().len();
        if let Some(info) = line.trim_start().strip_prefix("```") {
            let end = (at + 1..lines.len()).find(|&n| lines[n].trim() == "```").expect("a fence that ends");
            let name = self.paragraph(at);
            let body = dedented(&lines[at + 1..end], indent);
            self.block(at + 1, info.trim(), name, &body);
            return end + 1;
        }
        if indent >= 4 && self.said.is_empty() {
            let is_within = |n: &usize| lines[*n].starts_with("    ") || lines[*n].is_empty();
            let end =
                (at..lines.len()).take_while(is_within).filter(|&n| !lines[n].is_empty()).last().unwrap() + 1;
            self.indented(at, &dedented(&lines[at..end], 4));
            return end;
        }
        if line.trim().is_empty() {
            // A file's name is in the paragraph right before its text.
            let next = lines[at..].iter().find(|line| !line.trim().is_empty());
            if !next.is_some_and(|line| line.trim_start().starts_with("```")) {
                self.paragraph(at);
            }
            return at + 1;
        }
        if line.starts_with('|') || line.starts_with('#') {
            self.paragraph(at);
            line.clone_into(&mut self.said);
            self.paragraph(at + 1);
            return at + 1;
        }
        if !self.said.is_empty() {
            self.said.push(' ');
        }
        self.said.push_str(line.trim());
        at + 1
    }

    /// Ends a paragraph, and says which file it announces.
    fn paragraph(&mut self, line: usize) -> Option<String> {
        let said = std::mem::take(&mut self.said);
        let spans: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
        for span in &spans {
            let command = span.split_once("brasa ").filter(|(before, _)| is_only_variables(before));
            if command.is_some_and(|(_, verb)| verb.starts_with(|c: char| c.is_ascii_lowercase() || c == '-'))
            {
                self.push(line, What::Mention((*span).to_owned()));
            }
        }
        let name = spans.first().filter(|_| said.starts_with('`') && said.ends_with(':'))?;
        let is_file = name.rsplit_once('.').is_some_and(|(_, ending)| FILES.contains(&ending));
        is_file.then(|| (*name).to_owned())
    }

    fn block(&mut self, line: usize, info: &str, file: Option<String>, text: &str) {
        match (info.split(' ').next().unwrap_or(""), file) {
            ("bash" | "sh", _) => self.commands(line, text),
            ("console", _) => self.console(line, text),
            (_, Some(name)) => {
                self.push(line, What::File { name, text: text.to_owned() });
                self.push(line, What::Piece { language: format!("{info} file"), text: text.to_owned() });
            }
            _ => self.push(line, What::Piece { language: info.to_owned(), text: text.to_owned() }),
        }
    }

    /// An indented block: commands, or something else. A paragraph of it that begins with a command is one by itself.
    fn indented(&mut self, line: usize, text: &str) {
        let mut parts: Vec<(usize, String)> = Vec::new();
        let mut is_begin = true;
        for (offset, said) in text.lines().enumerate() {
            // What a command prints may have paragraphs, too.
            let is_shown = parts.last().is_some_and(|(_, part)| part.starts_with("$ ")) && !is_command(said);
            match parts.last_mut() {
                Some((_, part)) if !is_begin || is_shown => *part = format!("{part}{said}\n"),
                _ => parts.push((line + offset, format!("{said}\n"))),
            }
            is_begin = said.is_empty();
        }
        for (line, part) in parts {
            if part.starts_with("$ ") {
                self.console(line, &part);
            } else if is_command(&part) {
                self.commands(line, &part);
            } else {
                self.push(line, What::Piece { language: String::new(), text: part });
            }
        }
    }

    fn commands(&mut self, line: usize, text: &str) {
        let commands = shell::commands(text);
        let is_alone = commands.len() == 1;
        for (offset, text) in commands {
            self.push(line + offset, What::Command { text, shown: None, is_alone });
        }
    }

    /// `$ COMMAND`, and what it prints.
    fn console(&mut self, line: usize, text: &str) {
        let mut commands: Vec<(usize, String, String)> = Vec::new();
        for (offset, said) in text.lines().enumerate() {
            match (said.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((offset, command.to_owned(), String::new())),
                (None, Some((_, command, shown))) if shown.is_empty() && command.ends_with('\\') => {
                    *command = format!("{command}\n{said}");
                }
                (None, Some((_, _, shown))) => *shown = format!("{shown}{said}\n"),
                (None, None) => panic!("{}:{}: it begins with no command", self.page.path, line + 1),
            }
        }
        let is_alone = commands.len() == 1;
        for (offset, text, shown) in commands {
            let shown = Some(shown).filter(|shown| !shown.trim().is_empty());
            self.push(line + offset, What::Command { text, shown, is_alone });
        }
    }

    fn push(&mut self, line: usize, what: What) {
        self.page.steps.push(Step { line: line + 1, what });
    }
}

fn is_command(text: &str) -> bool {
    let first = shell::words(text).into_iter().next().unwrap_or_default();
    text.starts_with("$ ") || PROGRAMS.contains(&first.as_str()) || shell::is_assignment(&first)
}

fn is_only_variables(words: &str) -> bool {
    words.split_whitespace().all(shell::is_assignment)
}

fn dedented(lines: &[&str], by: usize) -> String {
    let lines = lines.iter().map(|line| line.get(by..).unwrap_or_else(|| line.trim_start()));
    lines.flat_map(|line| [line, "\n"]).collect()
}
