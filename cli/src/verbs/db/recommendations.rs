//! `brasa db recommendations`: what reviews recommend, and what nobody wants to hear of.

use brasa_jobs::database::review::store::{Kept, dismiss, list, reopen};
use clap::{Args, Subcommand};
use serde_json::json;

use super::with_tables;
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, short};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Recommendations {
    /// Show those too that are done with or dismissed
    #[arg(long)]
    all: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say that a recommendation is not to be heard of again
    Dismiss {
        /// As the list shows it
        fingerprint: String,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Take that back
    Reopen {
        /// As the list shows it with --all
        fingerprint: String,
    },
}

impl Recommendations {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let mut connection = with_tables(app).await?.acquire().await?;
        match self.verb {
            None => {
                let kept = list(&mut connection, self.all).await?;
                let empty = "nothing is recommended: `brasa db review` looks anew";
                let heads = ["FINGERPRINT", "RULE", "SEVERITY", "SINCE", "STATE", "WHAT"];
                out.table(heads, kept.iter().map(row).collect(), empty)?;
                out.value(&json!({ "recommendations": kept }))
            }
            Some(Verb::Dismiss { fingerprint, why }) => {
                if why.trim().is_empty() {
                    return Err(Failure::usage("a reason is needed\n  help: whoever asks later reads it"));
                }
                if !dismiss(&mut connection, &fingerprint, &why).await? {
                    return Err(unknown(&fingerprint));
                }
                out.line(format!("{fingerprint} is not heard of again; `reopen` takes that back"))?;
                out.value(&json!({ "fingerprint": fingerprint, "dismissed": true, "why": why }))
            }
            Some(Verb::Reopen { fingerprint }) => {
                if !reopen(&mut connection, &fingerprint).await? {
                    return Err(unknown(&fingerprint));
                }
                out.line(format!("{fingerprint} is shown again, for as long as its evidence is there"))?;
                out.value(&json!({ "fingerprint": fingerprint, "dismissed": false }))
            }
        }
    }
}

fn unknown(fingerprint: &str) -> Failure {
    Failure::usage(format!(
        "there is no recommendation `{fingerprint}`\n  help: `brasa db recommendations --all` lists them"
    ))
}

fn row(kept: &Kept) -> [String; 6] {
    let told = &kept.recommendation;
    let state = match (&kept.cleared_at, &kept.dismissed) {
        (Some(at), _) => format!("done with since {at}"),
        (None, Some(dismissed)) => format!("dismissed: {}", short(&dismissed.why, 40)),
        (None, None) => "open".to_owned(),
    };
    [
        kept.fingerprint.clone(),
        told.rule.clone(),
        told.severity.word().to_owned(),
        kept.first_seen.clone(),
        state,
        told.title.clone(),
    ]
}
