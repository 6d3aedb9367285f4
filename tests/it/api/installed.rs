//! The program that tries everything that a document says: installed once, under the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "schemathesis==4.32.5";
/// A failed installation is not tried again for so long.
const FAILED_FOR: Duration = Duration::from_mins(10);

/// Where it is; or why it is not to be had.
pub(super) fn schemathesis() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    // Tests are processes beside one another: the first installs, and the others wait.
    let lock = File::create(folder.join("lock")).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|error| error.to_string())?;
    let (done, failed) = (folder.join("package"), folder.join("failed"));
    if !fs::read_to_string(&done).is_ok_and(|found| found == PACKAGE) {
        let age = fs::metadata(&failed).and_then(|data| data.modified()).map(|at| at.elapsed());
        if matches!(age, Ok(Ok(age)) if age < FAILED_FOR) {
            return Err(fs::read_to_string(&failed).unwrap_or_default());
        }
        install(&folder).inspect_err(|why| drop(fs::write(&failed, why)))?;
        fs::write(&done, PACKAGE).map_err(|error| error.to_string())?;
    }
    Ok(folder.join("venv/bin/schemathesis"))
}

fn install(folder: &Path) -> Result<(), String> {
    drop(fs::remove_dir_all(folder.join("venv")));
    run(folder, "python3".as_ref(), &["-m", "venv", "venv"])?;
    let quiet =
        ["install", "-q", "--disable-pip-version-check", "--retries", "1", "--timeout", "15", PACKAGE];
    run(folder, &folder.join("venv/bin/pip"), &quiet)
}

fn run(folder: &Path, program: &Path, args: &[&str]) -> Result<(), String> {
    let ended = Command::new(program).args(args).current_dir(folder).output();
    let ended = ended.map_err(|error| format!("{}: {error}", program.display()))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let why = said.lines().find(|line| line.to_lowercase().contains("error")).unwrap_or("no word about it");
    Err(format!("{} {}: {why}", program.display(), args.join(" ")))
}
