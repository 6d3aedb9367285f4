//! Whom Postgres runs as: not root, it refuses that.

use std::process::Command;

use super::ServersError;

/// A user of this machine that a process may be handed to.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    /// The user's number.
    pub(super) uid: u32,
    /// The number of the user's group.
    pub(super) gid: u32,
}

impl User {
    /// Who is to run what root must not; nobody, when we are not root.
    pub(super) fn instead_of_root() -> Result<Option<Self>, ServersError> {
        if id(&["-u"])? != Some(0) {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let (Some(uid), Some(gid)) = (id(&["-u", name])?, id(&["-g", name])?) {
                return Ok(Some(Self { uid, gid }));
            }
        }
        Err(ServersError::Missing {
            program: "nobody",
            advice: "Postgres refuses to run as root: log in as another user, or add a user `postgres`",
        })
    }
}

/// What `id` says; nothing, when there is no such user.
fn id(args: &[&str]) -> Result<Option<u32>, ServersError> {
    let said = Command::new("id").args(args).output().map_err(ServersError::doing("run `id`"))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().parse().ok())
}
