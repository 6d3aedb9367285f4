//! Every `brasa …` of every page is one that the binary understands: verbs, options and the types of their values.

use std::collections::BTreeSet;

use clap::error::ErrorKind;

use super::page::{self, Page, What};
use super::{PERFORMED, left_out, shell};

/// Values for words that stand for something which has a type.
const VALUES: [(&str, &str); 12] = [
    ("ADDRESS", "127.0.0.1:9700"),
    ("DURATION", "1m"),
    ("ENDING", "dead"),
    ("HOW", "keep"),
    ("ID", "7"),
    ("INSTANT", "2026-12-01T08:00:00Z"),
    ("JSON", "{}"),
    ("N", "1"),
    ("PARAM", "part=1"),
    ("ROLE", "viewer"),
    ("TIME", "2026-12-01T08:00:00Z"),
    ("WHEN", "1d"),
];

/// What a mention may lack: it names a verb, and does not say all that it takes.
const MAY_LACK: [ErrorKind; 5] = [
    ErrorKind::DisplayHelp,
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ErrorKind::DisplayVersion,
    ErrorKind::MissingRequiredArgument,
    ErrorKind::MissingSubcommand,
];

#[test]
fn every_command_of_the_manual_is_one_that_the_binary_understands() {
    let mut wrong = Vec::new();
    for path in page::all() {
        for step in Page::read(&path).steps {
            let (text, is_mention) = match step.what {
                What::Command { text, .. } => (text, false),
                What::Mention(text) => (text, true),
                What::File { .. } | What::Piece { .. } => continue,
            };
            let errors = variants(&text).into_iter().filter_map(|text| misunderstood(&text, is_mention));
            wrong.extend(errors.map(|why| format!("{path}:{}: {text}\n{why}", step.line)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_that_has_something_to_type_is_performed_by_a_test() {
    let has_commands = |path: &String| {
        let steps = Page::read(path).steps;
        steps.iter().any(|step| match &step.what {
            What::Command { text, .. } => left_out::reason(text).is_none(),
            What::Mention(text) => is_whole(text),
            What::File { .. } | What::Piece { .. } => false,
        })
    };
    let pages: Vec<_> = page::all().into_iter().filter(has_commands).collect();
    let missing: Vec<_> = pages.iter().filter(|path| !PERFORMED.contains(&path.as_str())).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

#[test]
fn nothing_is_left_out_that_no_page_has() {
    let pages: Vec<Page> = page::all().iter().map(|path| Page::read(path)).collect();
    let steps = pages.iter().flat_map(|page| &page.steps);
    let commands = steps.filter_map(|step| match &step.what {
        What::Command { text, .. } | What::Mention(text) => Some(text.as_str()),
        What::File { .. } | What::Piece { .. } => None,
    });
    assert_eq!(left_out::stale(commands), Vec::<&str>::new());
}

/// No block of commands is taken for something else.
#[test]
fn no_command_stands_in_a_block_that_is_not_run() {
    let mut found = Vec::new();
    for path in page::all() {
        for step in Page::read(&path).steps {
            let What::Piece { text, .. } = step.what else { continue };
            let commands = text.lines().filter(|line| {
                line.starts_with("brasa ") && !line.starts_with("brasa =") || line.starts_with("$ ")
            });
            found.extend(commands.map(|line| format!("{path}:{}: {line}", step.line)));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// Whether `brasa …` says all that it takes.
pub(super) fn is_whole(command: &str) -> bool {
    let calls = shell::calls(command, |word| word == "brasa");
    !calls.is_empty() && calls.into_iter().all(|words| brasa::command().try_get_matches_from(words).is_ok())
}

/// `brasa db prune [NAME…] --yes` with and without what is in brackets.
fn variants(text: &str) -> BTreeSet<String> {
    let is_synopsis = text.starts_with("brasa ") && text.contains(" [");
    let text = text.replace('…', "").replace("...", "");
    if !is_synopsis {
        return BTreeSet::from([text]);
    }
    let without =
        text.split(" [").map(|piece| piece.rsplit_once(']').map_or(piece, |(_, rest)| rest)).collect();
    BTreeSet::from([text.replace(" [", " ").replace(']', ""), without])
}

/// Why the binary would not do what a command says.
fn misunderstood(command: &str, is_mention: bool) -> Option<String> {
    let is_ours = |word: &str| word == "brasa" || word == "target/debug/shop-jobs";
    let errors = shell::calls(command, is_ours).into_iter().filter_map(|words| {
        let words = words.into_iter().map(|word| value(&word).unwrap_or(word));
        let error = brasa::command().try_get_matches_from(words).err()?;
        let lacks_value = error.to_string().contains("but none was supplied");
        let is_fine = is_mention && (lacks_value || MAY_LACK.contains(&error.kind()));
        (!is_fine).then(|| error.to_string())
    });
    errors.reduce(|all, error| all + &error)
}

fn value(word: &str) -> Option<String> {
    VALUES.iter().find(|(name, _)| *name == word).map(|(_, value)| (*value).to_owned())
}
