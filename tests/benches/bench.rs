//! `make bench`: how fast the parts of the product are, beside others who do the same, in the same run.
//!
//! What a family measures is in the folder of its name, what all of them stand on in `tests/src/bench/`. This binary
//! is also every process of ours that is measured: `bench FAMILY ROLE ...` starts one.

#![expect(clippy::print_stdout, reason = "a bench reports to a terminal")]

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use brasa_tests::bench::{Report, Stage, say};

mod aggregates;
mod cache;
mod care;
mod queue;
mod web;
mod writes;

/// A part of the product that is measured.
struct Family {
    name: &'static str,
    about: &'static str,
    /// Measures everything that the family has.
    measure: fn(&Stage) -> Result<Report>,
    /// Is a process that is measured, as these words say.
    play: fn(&[String]) -> Result<()>,
}

static FAMILIES: [Family; 6] = [
    Family { name: "queue", about: "background jobs", measure: queue::measure, play: queue::play },
    Family { name: "cache", about: "warm caches", measure: cache::measure, play: cache::play },
    Family {
        name: "aggregates",
        about: "figures that are kept",
        measure: aggregates::measure,
        play: aggregates::play,
    },
    Family { name: "writes", about: "batched writes", measure: writes::measure, play: writes::play },
    Family { name: "web", about: "the dashboard and the API", measure: web::measure, play: web::play },
    Family { name: "care", about: "care of the database", measure: care::measure, play: care::play },
];

/// As the product has it.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Cargo adds the word that tells a bench from a test.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    match obey(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn obey(words: &[String]) -> Result<()> {
    let (options, names): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with("--"));
    if let Some(option) = options.iter().find(|option| **option != "--quick") {
        bail!("no option {option}; there is --quick");
    }
    let family = names.first().map(|name| find(name)).transpose()?;
    match (family, words) {
        (Some(family), [_, role @ ..]) if names.len() > 1 => (family.play)(role),
        (Some(family), _) => measure(family, !options.is_empty()),
        (None, _) => FAMILIES.iter().try_for_each(|family| measure(family, !options.is_empty())),
    }
}

fn find(name: &str) -> Result<&'static Family> {
    let known = FAMILIES.iter().map(|family| format!("{} ({})", family.name, family.about));
    let known = known.collect::<Vec<_>>().join(", ");
    FAMILIES
        .iter()
        .find(|family| family.name == name)
        .with_context(|| format!("there is no family {name}; the families are: {known}"))
}

fn measure(family: &Family, is_quick: bool) -> Result<()> {
    // `target/bench`, wherever the target is.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("find the target folder")?;
    let stage = Stage::new(&target.join("bench"), is_quick)?;
    let begun = Instant::now();
    let report = (family.measure)(&stage)?;
    println!("\n{}: {}\n\n{}", family.name, family.about, report.table());
    let path = report.write(&stage.folder, family.name)?;
    say(&format!("{} took {:.0} s; as JSON: {}", family.name, begun.elapsed().as_secs_f64(), path.display()));
    Ok(())
}
