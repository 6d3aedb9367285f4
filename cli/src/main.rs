//! The binary `brasa`, with the kinds that it comes with.

use std::process::ExitCode;

/// A worker makes and frees a dozen small things for every job: this allocator takes less time for them, and
/// gives less memory back to the system only to ask for it again.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    brasa::main(brasa_jobs::catalog())
}
