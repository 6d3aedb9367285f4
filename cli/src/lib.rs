//! The command line of Brasa. A team's own binary is one line: [`main`] with a catalogue that has their
//! kinds too.

use std::process::ExitCode;

use brasa_jobs::Catalog;
use clap::{CommandFactory as _, Parser};

mod app;
mod check;
mod failure;
mod output;
mod owner;
mod processes;
pub mod servers;
mod verbs;
mod web;

/// Runs the command line with the kinds given.
pub fn main(catalog: Catalog) -> ExitCode {
    let cli = verbs::Cli::parse();
    // The driver of Redis asks for a process-wide choice of cryptography; that it was made already is fine.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::environment(format!("no threads: {error}")).report(cli.json),
    };
    let outcome = runtime.block_on(cli.obey(catalog));
    // Handlers that would not stop are left behind, not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json_asked()),
    }
}

/// What the command line takes: all verbs and options, for whoever writes about them and wants to know that it is true.
pub fn command() -> clap::Command {
    verbs::Cli::command()
}

/// Whether errors are wanted as JSON; the parsed arguments are gone by the time an error is reported.
fn json_asked() -> bool {
    std::env::args().any(|arg| arg == "--json")
}
