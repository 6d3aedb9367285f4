//! A shell into which commands are typed, one after the other. What one leaves behind is there for the next: its
//! folder, its variables, what runs in the background.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

/// How long a command may take.
const COMMAND_MAX: Duration = Duration::from_mins(1);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is typed before anything else. A call that is not answered with 2xx has failed; of several commands of a pipe
/// any may fail.
const BEGIN: &str =
    "set -E -o pipefail; curl() { command curl -sS --fail-with-body --max-time 30 \"$@\"; }\n";

/// What a line begins with that says which part of a command failed.
pub(super) const FAILED: &str = "failed: ";
/// Notes what fails in the middle of a command, as in `curl …; echo`.
const NOTE: &str = "failed=0; trap 'failed=$?; echo \"failed: $BASH_COMMAND\" >&2' ERR\n";
/// Ends with what failed last, or before.
const NOTED: &str = "code=$?; trap - ERR; [ $code != 0 ] || code=$failed; return $code\n";

/// What became of a command.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) text: String,
}

/// A command that goes on.
pub(super) struct Going {
    pub(super) command: String,
    file: PathBuf,
}

/// A shell.
pub(super) struct Terminal {
    shell: Child,
    input: ChildStdin,
    files: PathBuf,
    count: u32,
}

impl Terminal {
    /// A shell in a folder, with nothing in its environment but this.
    pub(super) async fn open(folder: &Path, variables: &[(&str, OsString)]) -> Self {
        let files = folder.join(".typed");
        fs::create_dir_all(&files).unwrap();
        let mut shell = Command::new("bash");
        shell.arg("--norc").env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        shell.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // All that it starts is in one group with it, and goes with it.
        let mut shell = shell.process_group(0).kill_on_drop(true).spawn().unwrap();
        let input = shell.stdin.take().unwrap();
        let mut terminal = Self { shell, input, files, count: 0 };
        terminal.send(BEGIN).await;
        terminal
    }

    /// Runs a script, as far as nothing of it fails.
    pub(super) async fn perform(&mut self, script: &str) -> Said {
        self.run(&format!(
            "trap 'failed=$?; echo \"failed: $BASH_COMMAND\" >&2; return $failed' ERR\n{script}"
        ))
        .await
    }

    /// Runs a command to its end.
    pub(super) async fn run(&mut self, command: &str) -> Said {
        let file = self.write(&format!("{NOTE}{command}\n{NOTED}"));
        let at = file.display();
        self.send(&format!(". {at} </dev/null >{at}.out 2>&1; echo $? >{at}.code\n")).await;
        let code = self.code(&file, command).await;
        Said { code, text: said(&file) }
    }

    /// Starts a command that goes on. Its number is in the variable `going`.
    pub(super) async fn start(&mut self, command: &str) -> Going {
        let file = self.write(&format!("exec {command}\n"));
        let at = file.display();
        self.send(&format!(". {at} </dev/null >{at}.out 2>&1 & going=$!; echo $going >{at}.pid\n")).await;
        Going { command: command.to_owned(), file }
    }

    /// Asks it to end, and says what became of it.
    pub(super) async fn stop(&mut self, going: Going) -> Said {
        let at = going.file.display();
        self.send(&format!("kill $(<{at}.pid); wait $(<{at}.pid); echo $? >{at}.code\n")).await;
        let code = self.code(&going.file, &going.command).await;
        Said { code, text: said(&going.file) }
    }

    fn write(&mut self, command: &str) -> PathBuf {
        self.count += 1;
        let file = self.files.join(format!("{}.sh", self.count));
        fs::write(&file, command).unwrap();
        file
    }

    async fn send(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    async fn code(&self, file: &Path, command: &str) -> i32 {
        let code = PathBuf::from(format!("{}.code", file.display()));
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&code).unwrap_or_default();
            if let Some(number) = text.strip_suffix('\n') {
                return number.parse().unwrap();
            }
            let is_late = begun.elapsed() > COMMAND_MAX;
            let first = command.lines().next().unwrap_or_default();
            assert!(!is_late, "it does not end: {first}\n{}", said(file));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Going {
    /// What it has said so far.
    pub(super) fn said(&self) -> String {
        said(&self.file)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(group) = self.shell.id() {
            let mut kill = process::Command::new("sh");
            kill.args(["-c", "kill -s KILL -- -\"$1\"", "kill", &group.to_string()]);
            // Where it has ended by itself there is nobody to tell.
            drop(kill.stderr(Stdio::null()).status());
        }
    }
}

fn said(file: &Path) -> String {
    let bytes = fs::read(format!("{}.out", file.display())).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The folders in which programs are looked for, with these before the others.
pub(super) fn path(first: &[PathBuf]) -> OsString {
    let others = env::var_os("PATH").unwrap_or_default();
    env::join_paths(first.iter().cloned().chain(env::split_paths(&others))).unwrap()
}
