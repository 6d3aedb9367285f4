//! What the sections do together: whole files, broken files, curious files.

mod alerts;
mod broken;
mod encryption;
mod environment;
mod example;
mod http;
mod mutated;
mod otlp;
mod statements;
mod tokens;

use std::path::Path;

use super::{Config, Problem, Problems};

const EXAMPLE: &str = include_str!("example.toml");

/// Reads a text in an environment that has keys, and nothing else.
fn parse(text: &str) -> Result<Config, Problems> {
    let variable = |name: &str| match name {
        "BRASA_KEY_K1" => Some("6f1c0a7e93d2485bb0c4e17f2a9d563801fe6b8c47d5a2903ce8714f5b06d9ac".to_owned()),
        "BRASA_KEY_K2" => Some("b2d8f43e0c6a975118ef25d07b4a9c63e1520d8f7c3b6a49f05e1297ad84c36b".to_owned()),
        "SHORT_KEY" => Some("hunter2".to_owned()),
        "WEAK_KEY" => Some("0123456789abcdef".repeat(4)),
        _ => None,
    };
    Config::parse(text, Path::new("brasa.toml"), &variable)
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
