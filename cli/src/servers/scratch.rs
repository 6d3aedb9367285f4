//! Folders for what must not outlive us.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::{env, path};

use tracing::warn;

use super::ServersError;
use super::user::User;
use super::warden::Warden;

/// Where a folder is tried after `TMPDIR`, which may be closed to the user that a server runs as.
const PLACES: [&str; 2] = ["/tmp", "/var/tmp"];

/// A folder for temporary files: nobody else can look into it, nobody can guess its name, and it is removed at the
/// end of this process at the latest.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    user: Option<User>,
    warden: Warden,
}

impl Scratch {
    /// Makes a folder in `TMPDIR`.
    pub fn new() -> Result<Self, ServersError> {
        Self::owned_by(None)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder that belongs to `user`, if one is given.
    pub(super) fn owned_by(user: Option<User>) -> Result<Self, ServersError> {
        let name = format!("brasa-{}", random_name()?);
        let mut refused = Vec::new();
        for place in [env::temp_dir()].into_iter().chain(PLACES.map(PathBuf::from)) {
            let path = path::absolute(place.join(&name))
                .map_err(ServersError::doing(format!("find the folder {}", place.display())))?;
            match Warden::start(&path, user) {
                Ok(warden) => return Ok(Self { path, user, warden }),
                Err(ServersError::NoScratch { said }) => refused.push(said),
                Err(other) => return Err(other),
            }
        }
        Err(ServersError::NoScratch { said: refused.join("\n") })
    }

    /// Whom processes that use this folder run as, if not as we do.
    pub(super) fn user(&self) -> Option<User> {
        self.user
    }

    /// Where processes that use this folder take their tickets.
    pub(super) fn tickets(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Makes a new file that only the folder's owner can read. Never follows what others may have put there.
    pub(super) fn create(&self, name: &str) -> Result<File, ServersError> {
        let path = self.path.join(name);
        let doing = || format!("create {}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        let file = options.open(&path).map_err(ServersError::doing(doing()))?;
        if let Some(user) = self.user {
            lchown(&path, Some(user.uid), Some(user.gid)).map_err(ServersError::doing(doing()))?;
        }
        Ok(file)
    }

    /// Makes a new file with this text in it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, ServersError> {
        let path = self.path.join(name);
        let doing = ServersError::doing(format!("write {}", path.display()));
        self.create(name)?.write_all(text.as_bytes()).map_err(doing)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.warden.dismiss();
        // The warden has done this already, unless somebody killed it.
        if self.path.exists()
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            warn!(path = %self.path.display(), %error, "a scratch folder could not be removed");
        }
    }
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], ServersError> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(ServersError::doing("read /dev/urandom"))?;
    Ok(bytes)
}

/// A word that nobody can guess.
pub(super) fn random_name() -> Result<String, ServersError> {
    Ok(format!("{:032x}", u128::from_ne_bytes(random()?)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_scratch_folder_is_private_and_goes_with_its_value() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("a-file"), "and what is in it").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);

        drop(scratch);

        assert!(!path.exists());
    }
}
