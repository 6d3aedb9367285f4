//! What the sections do together: whole files, broken files, curious files.

mod alerts;
mod broken;
mod environment;
mod example;
mod http;
mod mutated;
mod otlp;
mod tokens;

use std::path::Path;

use super::{Config, Problem, Problems};

const EXAMPLE: &str = include_str!("example.toml");

/// Reads a text in an empty environment.
fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(text, Path::new("brasa.toml"), &|_| None)
}

fn problems(text: &str) -> Vec<Problem> {
    parse(text).map_or_else(|problems| problems.0, |_| Vec::new())
}

/// Holds the problems of a text to what is expected: line, path, and parts of message and help.
#[track_caller]
fn assert_problems(text: &str, expected: &[(u32, &str, &str, &str)]) {
    let found = problems(text);
    let fits = |(problem, (line, path, message, help)): (&Problem, &(u32, &str, &str, &str))| {
        problem.file == "brasa.toml"
            && problem.line == *line
            && problem.path == *path
            && problem.message.contains(message)
            && problem.help.contains(help)
    };
    let all_fit = found.len() == expected.len() && found.iter().zip(expected).all(fits);
    assert!(all_fit, "of\n{text}\nwe expected\n{expected:#?}\nand found\n{found:#?}");
}
