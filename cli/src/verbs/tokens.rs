//! `brasa tokens`: who gets into the dashboard and the API.

use brasa_shared::config::{Role, Token};
use brasa_shared::hash::hex;
use brasa_shared::name::check_name;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    /// Make a token, and say what to write into the configuration; needs no configuration
    New(New),
    /// List the tokens of the configuration
    List,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Its name, which records of acts show
    name: String,
    /// What may be done with it: viewer, operator, admin, or enqueue
    #[arg(long, default_value = "viewer", value_parser = role)]
    role: Role,
    /// The kinds that may be enqueued with it
    #[arg(long, value_delimiter = ',', value_name = "KINDS", required_if_eq("role", "enqueue"))]
    kinds: Vec<String>,
    /// The queues into which
    #[arg(long, value_delimiter = ',', value_name = "QUEUES")]
    queues: Vec<String>,
}

impl New {
    /// Says a token and what to write of it.
    pub(crate) fn obey(self, out: &mut Output) -> Result<(), Failure> {
        let wrong = |error: brasa_shared::name::NameError| Failure::usage(error.to_string());
        check_name(&self.name).map_err(wrong)?;
        for name in self.kinds.iter().chain(&self.queues) {
            check_name(name).map_err(wrong)?;
        }
        let token = hex(&rand::random::<[u8; 32]>());
        let hash = Token::spell(&Token::hash_of(&token));
        out.line(format!("The token, which is shown this once:\n\n  {token}\n"))?;
        out.line("Write into the configuration; whoever reads it there gets in nowhere:\n")?;
        let Self { name, role, kinds, queues } = self;
        out.line(format!("  [web.tokens.{}]", toml_key(&name)))?;
        out.line(format!("  role = \"{}\"\n  hash = \"{hash}\"", role.word()))?;
        for (key, names) in [("kinds", &kinds), ("queues", &queues)] {
            if !names.is_empty() {
                out.line(format!("  {key} = {}", json!(names)))?;
            }
        }
        out.value(&json!({ "name": name, "token": token, "hash": hash, "role": role.word() }))
    }
}

impl Tokens {
    pub(crate) fn list(app: &App, out: &mut Output) -> Result<(), Failure> {
        let tokens = &app.config.web.tokens;
        let rows = tokens.iter().map(|(name, token)| {
            let (kinds, queues) = (token.kinds.join(", "), token.queues.join(", "));
            let expires = token.expires.map_or_else(|| "never".to_owned(), |at| at.to_string());
            [name.clone(), token.role.word().to_owned(), kinds, queues, expires]
        });
        let empty = "there are no tokens: each run of `brasa web` makes one of its own";
        out.table(["TOKEN", "ROLE", "KINDS", "QUEUES", "EXPIRES"], rows.collect(), empty)?;
        let value = tokens.iter().map(|(name, token)| {
            json!({ "name": name, "role": token.role.word(), "kinds": token.kinds, "queues": token.queues,
                "expires": token.expires })
        });
        out.value(&value.collect::<Vec<_>>())
    }
}

/// A name with a dot in it stands in quotes.
fn toml_key(name: &str) -> String {
    if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() }
}

fn role(text: &str) -> Result<Role, String> {
    Role::of(text).ok_or_else(|| "roles are: viewer, operator, admin, enqueue".to_owned())
}
