//! A team's own `brasa`: everything that the real one does, with kinds that misbehave. The fault suite runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    brasa::main(brasa_tests::faults::catalog())
}
