//! Commands of the manual that are not run here, and why: each begins with these words.

/// What a command begins with, and why it is not run.
const LEFT_OUT: &[(&str, &str)] = &[
    ("make", "each of its words is a run of its own"),
    ("cargo", "crates are built already, or there would be no test"),
    (
        "target/debug/shop-jobs",
        "it is the binary of another project; kinds in Rust are tested by those of team-brasa",
    ),
    ("docker", "it takes a daemon, and images from elsewhere"),
    ("open http", "it takes a screen"),
    ("promtool", "tests/it/alerts.rs runs it"),
    ("cd deploy/prometheus", "it is for promtool"),
    ("rails new", "Rails is not among the things that tests install"),
    ("bundle add", "Rails is not among the things that tests install"),
    ("brasa demo", "it takes the processors of all other tests; its parts are tested one by one"),
    ("brasa completions bash >", "it writes into the system"),
];

/// Why a command is not run, if it is not.
pub(super) fn reason(command: &str) -> Option<&'static str> {
    LEFT_OUT.iter().find(|(begin, _)| begins(command, begin)).map(|(_, why)| *why)
}

/// What is left out here although no command of these begins so.
pub(super) fn stale<'c>(commands: impl Iterator<Item = &'c str>) -> Vec<&'static str> {
    let commands: Vec<&str> = commands.collect();
    let is_stale = |begin: &&str| !commands.iter().any(|command| begins(command, begin));
    LEFT_OUT.iter().map(|(begin, _)| *begin).filter(is_stale).collect()
}

fn begins(command: &str, begin: &str) -> bool {
    let rest = command.strip_prefix(begin);
    rest.is_some_and(|rest| {
        begin.ends_with("http") || rest.is_empty() || rest.starts_with(char::is_whitespace)
    })
}
