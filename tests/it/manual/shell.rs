//! As much of a shell's grammar as the manual's commands have: where one ends, and of which words it is made.

use std::iter::Peekable;
use std::str::Chars;

/// What ends a command within a line.
const OPERATORS: [&str; 8] = ["|", "||", "&", "&&", ";", "<", ">", ">>"];

/// The commands of a text, and on which of its lines each begins. Comments are left out.
pub(super) fn commands(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((begun, line)) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let mut command = line.to_owned();
        while is_open(&command) {
            let (_, more) = lines.next().unwrap_or_else(|| panic!("it has no end: {command}"));
            command = format!("{command}\n{more}");
        }
        for end in documents(&command) {
            loop {
                let (_, more) = lines.next().unwrap_or_else(|| panic!("nothing ends {end}: {command}"));
                command = format!("{command}\n{more}");
                if more == end {
                    break;
                }
            }
        }
        commands.push((begun, command));
    }
    commands
}

/// Whether a command goes on in the next line: a quote is open, or it says so itself.
fn is_open(command: &str) -> bool {
    let mut read = Words { chars: command.chars().peekable(), is_open: false };
    let words = read.all();
    read.is_open || words.last().is_some_and(|word| word == "\\")
}

/// The words by which the documents end that stand behind a command, as in `<<'END'`.
fn documents(command: &str) -> Vec<String> {
    let words = words(command);
    let ends = words.windows(3).filter(|pair| pair[0] == "<" && pair[1] == "<");
    ends.map(|pair| pair[2].clone()).collect()
}

/// The words and operators of a command. Quotes are taken off, variables stay as they are.
pub(super) fn words(command: &str) -> Vec<String> {
    let joined = command.replace("\\\n", " ");
    Words { chars: joined.chars().peekable(), is_open: false }.all()
}

/// What `program` is called with in a command, once for each call.
pub(super) fn calls(command: &str, is_program: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    let words = words(command);
    let simple = words.split(|word| OPERATORS.contains(&word.as_str()) || word == "\n");
    let simple = simple.map(|words| words.iter().skip_while(|word| is_assignment(word)));
    let calls = simple.map(|words| words.cloned().collect::<Vec<_>>());
    calls.filter(|words| words.first().is_some_and(|word| is_program(word))).collect()
}

/// Whether a word sets a variable.
pub(super) fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

struct Words<'t> {
    chars: Peekable<Chars<'t>>,
    /// Whether a quote was open at the end.
    is_open: bool,
}

impl Words<'_> {
    fn all(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(&next) = self.chars.peek() {
            match next {
                '\n' | '|' | '&' | ';' | '<' | '>' => words.push(self.operator(next)),
                _ if next.is_whitespace() => {
                    self.chars.next();
                }
                '#' => while self.chars.next_if(|&c| c != '\n').is_some() {},
                _ => words.push(self.word()),
            }
        }
        words
    }

    fn operator(&mut self, first: char) -> String {
        let mut operator = String::from(first);
        self.chars.next();
        if matches!(first, '|' | '&') && self.chars.next_if_eq(&first).is_some() {
            operator.push(first);
        }
        operator
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        let ends = |c: &char| c.is_whitespace() || "|&;<>".contains(*c);
        while let Some(next) = self.chars.next_if(|c| !ends(c)) {
            match next {
                '\'' => self.quoted('\'', &mut word),
                '"' => self.quoted('"', &mut word),
                '\\' => match self.chars.next() {
                    None => word.push('\\'),
                    Some('\n') => {}
                    Some(escaped) => word.push(escaped),
                },
                _ => word.push(next),
            }
        }
        word
    }

    fn quoted(&mut self, quote: char, word: &mut String) {
        while let Some(next) = self.chars.next() {
            match next {
                _ if next == quote => return,
                '\\' if quote == '"' => word.extend(self.chars.next()),
                _ => word.push(next),
            }
        }
        self.is_open = true;
    }
}

/// A text with some of its words replaced.
pub(super) fn tokens(text: &str, replace: impl Fn(&str) -> Option<String>) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || c == '{';
    let mut replaced = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let (token, more) = rest.split_at(end);
        replaced.push_str(&replace(token).unwrap_or_else(|| token.to_owned()));
        let other = more.find(is_part).unwrap_or(more.len());
        replaced.push_str(&more[..other]);
        rest = &more[other..];
    }
    replaced
}
