//! Interpreters with the packages that the snippets need: installed once, under the target folder.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A failed installation is not tried again for so long, so that every test does not wait for it anew.
const FAILED_FOR: Duration = Duration::from_mins(10);

const PYTHON: [&str; 2] = ["redis==8.1.0", "zstandard==0.25.0"];
const NODE: [&str; 3] = ["redis@6.3.1", "redis-4@npm:redis@4.7.1", "@bokuweb/zstd-wasm@0.0.27"];
/// What leads a browser; it brings none.
const BROWSING: [&str; 1] = ["playwright-core@1.65.1"];
/// What tries everything that a document of an API says.
const TRYING: [&str; 1] = ["schemathesis==4.32.5"];

/// What the quick starts have people install.
const FASTAPI: [&str; 4] =
    ["fastapi==0.165.0", "uvicorn==0.54.0", "psycopg[binary,pool]==3.3.9", "redis==8.1.0"];
const EXPRESS: [&str; 3] = ["express@5.3.0", "pg@8.23.1", "redis@6.3.1"];

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Asyncio,
    Node,
    NodeWithRedis4,
    Ruby,
    Browsing,
    Trying,
    FastApi,
    Express,
}

/// What runs its readers.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) language: Language,
    pub(crate) program: PathBuf,
    /// Where its packages are.
    pub(crate) folder: PathBuf,
}

impl Language {
    /// What runs its readers; nothing where it is not to be had, which is said.
    pub(crate) async fn installed(self) -> Option<Installed> {
        let found = tokio::task::spawn_blocking(move || self.install()).await.unwrap();
        match found {
            Ok(installed) => Some(installed),
            Err(why) => {
                let note = format!("SKIPPED: nothing is read in {self:?}: {why}\n");
                std::io::stderr().write_all(note.as_bytes()).unwrap();
                None
            }
        }
    }

    fn install(self) -> Result<Installed, String> {
        let (name, packages): (_, &[&str]) = match self {
            Self::Python | Self::Asyncio => ("python", &PYTHON),
            Self::Node | Self::NodeWithRedis4 => ("node", &NODE),
            Self::Ruby => ("ruby", &[]),
            Self::Browsing => ("browsing", &BROWSING),
            Self::Trying => ("trying", &TRYING),
            Self::FastApi => ("fastapi", &FASTAPI),
            Self::Express => ("express", &EXPRESS),
        };
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages");
        let folder = all.join(name);
        fs::create_dir_all(&all).map_err(|error| error.to_string())?;
        // Tests are processes beside one another: the first installs, and the others wait.
        let lock = File::create(all.join(format!("{name}.lock"))).and_then(|file| file.lock().map(|()| file));
        let _lock = lock.map_err(|error| error.to_string())?;
        let (done, failed) = (folder.join("packages"), all.join(format!("{name}.failed")));
        let wanted = packages.join(" ");
        if !fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
            let age = fs::metadata(&failed).and_then(|data| data.modified()).map(|at| at.elapsed());
            if matches!(age, Ok(Ok(age)) if age < FAILED_FOR) {
                return Err(fs::read_to_string(&failed).unwrap_or_default());
            }
            let installed = self.fetch(&folder, packages);
            installed.inspect_err(|why| drop(fs::write(&failed, why)))?;
            fs::write(&done, wanted).map_err(|error| error.to_string())?;
        }
        let program = match self {
            Self::Python | Self::Asyncio | Self::Trying | Self::FastApi => folder.join("bin/python"),
            Self::Node | Self::NodeWithRedis4 | Self::Browsing | Self::Express => "node".into(),
            Self::Ruby => "ruby".into(),
        };
        // It may have gone since.
        run(&folder, &program, &["--version"], &[])?;
        Ok(Installed { language: self, program, folder })
    }

    fn fetch(self, folder: &Path, packages: &[&str]) -> Result<(), String> {
        drop(fs::remove_dir_all(folder));
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        match self {
            Self::Python | Self::Asyncio | Self::Trying | Self::FastApi => {
                run(folder, "python3", &["-m", "venv", "."], &[])?;
                let quiet =
                    ["install", "-q", "--disable-pip-version-check", "--retries", "1", "--timeout", "15"];
                run(folder, folder.join("bin/pip"), &quiet, packages)
            }
            Self::Node | Self::NodeWithRedis4 | Self::Browsing | Self::Express => {
                run(folder, "node", &["--version"], &[])?;
                fs::write(folder.join("package.json"), "{}").map_err(|error| error.to_string())?;
                let quiet = [
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--fetch-retries=1",
                    "--fetch-retry-mintimeout=1000",
                ];
                run(folder, "npm", &quiet, packages)
            }
            Self::Ruby => run(folder, "ruby", &["-e", "require 'redis'"], &[]),
        }
    }
}

fn run(folder: &Path, program: impl AsRef<Path>, args: &[&str], more: &[&str]) -> Result<(), String> {
    let program = program.as_ref();
    let ended = Command::new(program).args(args).args(more).current_dir(folder).output();
    let ended = ended.map_err(|error| format!("{}: {error}", program.display()))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let why = said.lines().find(|line| line.to_lowercase().contains("error")).unwrap_or("no word about it");
    Err(format!("{} {}: {why}", program.display(), args.join(" ")))
}
