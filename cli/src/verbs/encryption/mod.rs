//! `brasa encryption`: keys for what jobs are given, what is sealed with which, and changing them while jobs wait.

use brasa_shared::name::check_name;
use brasa_shared::seal::{Key, Keyring, NAME_MAX};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

mod rotate;
mod status;

#[derive(Debug, Subcommand)]
pub(crate) enum Encryption {
    /// Make a key, and say what to write into the configuration; needs no configuration
    NewKey(NewKey),
    /// Say how much is sealed with which key, and who has them; changes nothing
    Status(Chosen),
    /// Seal everything with the active key; workers may run meanwhile. Exits with 1 while another key has sealed some
    Rotate(Chosen),
}

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// Its name, which is written beside everything that it seals
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// Only this queue
    #[arg(long)]
    queue: Option<String>,
}

impl NewKey {
    /// Says a key and what to write of it.
    pub(crate) fn obey(self, out: &mut Output) -> Result<(), Failure> {
        let Self { name } = self;
        check_name(&name).map_err(|error| Failure::usage(error.to_string()))?;
        if name.len() > NAME_MAX || name.contains('.') {
            let help = "help: as in k1, or 2027-01";
            let text = format!("a name of a key has at most {NAME_MAX} characters and no dot\n  {help}");
            return Err(Failure::usage(text));
        }
        let key = Key::fresh();
        let variable = format!("BRASA_KEY_{}", name.to_ascii_uppercase().replace('-', "_"));
        out.line("The key, which is shown this once; put it where your processes get their secrets:\n")?;
        out.line(format!("  {variable}={key}\n"))?;
        out.line("Write into the configuration of every process, the workers first:\n")?;
        out.line(format!("  [encryption]\n  active = \"{name}\"\n"))?;
        out.line(format!("  [encryption.keys.{name}]\n  key = \"${{{variable}}}\""))?;
        out.value(&json!({ "name": name, "key": key, "variable": variable }))
    }
}

impl Encryption {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::NewKey(verb) => verb.obey(out),
            Self::Status(chosen) => status::obey(chosen.queue.as_deref(), app, out).await,
            Self::Rotate(chosen) => rotate::obey(chosen.queue.as_deref(), keyring(app)?, app, out).await,
        }
    }
}

/// The keys of the configuration.
fn keyring(app: &App) -> Result<&Keyring, Failure> {
    app.config.encryption.keyring.as_deref().ok_or_else(|| {
        let help = "help: `brasa encryption new-key k1` makes one, and says what to write";
        Failure::usage(format!("there are no keys in the configuration\n  {help}"))
    })
}
