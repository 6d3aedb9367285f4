//! Which value a verb is about: a warmer and parameters, or a key.

use brasa_jobs::cache::{self, Shape};
use brasa_shared::cache::Entry;
use clap::Args;

use super::{shapes, warmer};
use crate::app::{App, unknown};
use crate::failure::Failure;

/// A value by its warmer and parameters, or by its key.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The warmer, or the key
    #[arg(value_name = "NAME|KEY", required_unless_present = "key", conflicts_with = "key")]
    what: Option<String>,
    /// The parameters of the value, in the order in which they stand in the key
    #[arg(value_name = "PARAM")]
    params: Vec<String>,
    /// The key as it stands in Redis, also where a warmer is called like it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// A value, and the warmer that it belongs to where that is known.
pub(super) struct Found {
    pub(super) key: String,
    pub(super) of: Option<Owner>,
}

/// The warmer of a value.
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// The parameters of the value.
    pub(super) texts: Vec<String>,
}

impl Target {
    /// Finds it in the configuration.
    pub(super) fn find(&self, app: &App) -> Result<Found, Failure> {
        let (name, key) = (self.what.as_deref().unwrap_or_default(), self.key.as_deref());
        match key {
            Some(key) => Ok(by_key(app, key)),
            None if app.config.warm.contains_key(name) => self.by_params(app, name),
            // A word that looks like a key is one; else it is a warmer that somebody misspelt.
            None if self.params.is_empty() && owner(app, name).is_some() => Ok(by_key(app, name)),
            None if self.params.is_empty() && name.contains([':', '/', '{', '.']) => Ok(by_key(app, name)),
            None => Err(unknown("warmer", name, app.config.warm.keys())),
        }
    }

    fn by_params(&self, app: &App, name: &str) -> Result<Found, Failure> {
        let (_, shape) = warmer(app, name)?;
        let (wanted, given) = (shape.columns(), &self.params);
        if wanted.len() != given.len() {
            let names = if wanted.is_empty() { String::new() } else { format!(": {}", wanted.join(", ")) };
            let help = format!(
                "write `brasa cache … {name}{}`",
                wanted.iter().fold(String::new(), |all, name| { format!("{all} {}", name.to_uppercase()) })
            );
            let (wanted, given) = (wanted.len(), given.len());
            return Err(Failure::usage(format!(
                "values of warmer `{name}` have {wanted} parameter(s){names}; {given} given\n  help: {help}"
            )));
        }
        let Entry { key, .. } = shape.entry(given).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Found { key, of: Some(Owner { name: name.to_owned(), shape, texts: given.clone() }) })
    }
}

fn by_key(app: &App, key: &str) -> Found {
    Found { key: key.to_owned(), of: owner(app, key) }
}

/// The one warmer whose template makes this key.
fn owner(app: &App, key: &str) -> Option<Owner> {
    let shapes = shapes(app);
    let (name, texts) = cache::owner(key, shapes.iter().map(|(name, shape)| (*name, shape)))?;
    Some(Owner { name: name.to_owned(), shape: shapes.get(name)?.clone(), texts })
}
