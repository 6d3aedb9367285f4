//! The process that cleans up after us, however we end.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tracing::warn;

use super::user::User;
use super::{ServersError, wait};

/// What the warden does: `warden.sh`, which needs `end.sh`.
const SCRIPT: &str = concat!(include_str!("end.sh"), "\n", include_str!("warden.sh"));

/// What it says once the folder is there.
const READY: &str = "ready";

/// How long it may take to clean up. It gives a server six seconds by itself, and the folder has to go too.
const DONE_WITHIN: Duration = Duration::from_secs(20);

/// A running warden.
#[derive(Debug)]
pub(super) struct Warden {
    child: Child,
    /// As long as this is open, we are there. Children of ours do not inherit it: the library sees to that.
    pipe: Option<ChildStdin>,
}

impl Warden {
    /// Has a warden make `folder` and watch over it, as `user` if one is given.
    ///
    /// The folder is the warden's from its first moment, so that there is none in which we could leave it behind.
    pub(super) fn start(folder: &Path, user: Option<User>) -> Result<Self, ServersError> {
        let mut command = Command::new("sh");
        // By way of the environment, so that a list of processes shows what this is and not how it is done.
        command.args(["-c", r#"eval "$BRASA_WARDEN""#, "warden"]).arg(folder).env("BRASA_WARDEN", SCRIPT);
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        let mut child = command.spawn().map_err(ServersError::doing("start `sh`"))?;
        let pipe = child.stdin.take();
        let mut warden = Self { child, pipe };
        if warden.hear()? == READY {
            return Ok(warden);
        }
        let said = warden.complaint()?;
        warden.dismiss();
        Err(ServersError::NoScratch { said })
    }

    /// Tells the warden that we are done, and waits until it is.
    pub(super) fn dismiss(&mut self) {
        drop(self.pipe.take());
        let done = wait::until(DONE_WITHIN, || {
            self.child.try_wait().map_err(ServersError::doing("wait for the warden"))
        });
        match done {
            Ok(Some(_)) => {}
            Ok(None) => warn!(pid = self.child.id(), "the warden of a scratch folder is still cleaning up"),
            Err(error) => warn!(%error, "the warden of a scratch folder is gone"),
        }
    }

    /// The warden's first word; it is empty when the warden ended without one.
    fn hear(&mut self) -> Result<String, ServersError> {
        let mut word = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            output.read_to_string(&mut word).map_err(ServersError::doing("listen to the warden"))?;
        }
        Ok(word.trim().to_owned())
    }

    fn complaint(&mut self) -> Result<String, ServersError> {
        let mut words = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut words).map_err(ServersError::doing("listen to the warden"))?;
        }
        Ok(words.trim().to_owned())
    }
}
