//! `make faults`: brings faults upon real processes and says what became of their jobs.
//!
//! `faults [CASE] [--rounds N] [--seed N]`, run by `with-servers`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports to a terminal")]

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use brasa_tests::faults::{CASES, Case, find};

/// What was asked for.
#[derive(Default)]
struct Asked {
    case: Option<&'static Case>,
    rounds: Option<u32>,
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match read(env::args().skip(1)).and_then(|asked| run(&asked)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Asked> {
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} wants a number"));
        match word.as_str() {
            "--rounds" => asked.rounds = Some(value()?.parse().context("--rounds wants a number")?),
            "--seed" => asked.seed = Some(value()?.parse().context("--seed wants a number")?),
            option if option.starts_with('-') => bail!("no option {option}; there are --rounds and --seed"),
            name => asked.case = Some(find(name).map_err(|unknown| anyhow!(unknown))?),
        }
    }
    Ok(asked)
}

/// Runs what was asked for; whether all of it holds.
fn run(asked: &Asked) -> Result<bool> {
    let folder = target()?.join("faults");
    let seed = asked.seed.unwrap_or_else(rand::random);
    let mut all_hold = true;
    for case in CASES.iter().filter(|case| asked.case.is_none_or(|asked| asked.name == case.name)) {
        let rounds = asked.rounds.unwrap_or(case.rounds);
        eprintln!("faults: {}: {}; {rounds} rounds, seed {seed}", case.name, case.about);
        let report = case.run(seed, rounds);
        let path = report.write(&folder).context("write the report")?;
        println!("{report}    as JSON: {}", path.display());
        all_hold &= report.holds();
    }
    Ok(all_hold)
}

/// Where cargo puts what it builds: two folders above this program.
fn target() -> Result<PathBuf> {
    let ours = env::current_exe().context("find this program")?;
    let target = ours.parent().and_then(|profile| profile.parent()).context("find the target folder")?;
    Ok(target.to_owned())
}
