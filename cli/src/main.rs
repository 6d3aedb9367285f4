//! The binary `brasa`, with the kinds that it comes with.

use std::process::ExitCode;

fn main() -> ExitCode {
    brasa::main(brasa_jobs::catalog())
}
