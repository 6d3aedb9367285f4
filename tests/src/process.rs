//! The real `brasa`, as a process: verbs that end, processes that go on, and the signals that disturb them.
//!
//! Signals go through the shell's own `kill`: the standard library knows SIGKILL only, and more would take
//! unsafe code or one more dependency.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, process};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::World;

/// How long a verb may take. The slowest waits for servers that are not there.
const VERB_LIMIT: Duration = Duration::from_mins(1);
/// How long to wait between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a process that starts may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How `brasa` is to be run: in an environment of its own, and in a folder without a configuration.
#[derive(Debug, Clone)]
pub struct Brasa {
    program: PathBuf,
    env: Vec<(String, OsString)>,
    folder: PathBuf,
    memory_kib_max: Option<u64>,
    is_log_full: bool,
}

impl Default for Brasa {
    fn default() -> Self {
        Self::new()
    }
}

impl Brasa {
    /// `brasa` with nothing in its environment, but that a panic would show where it came from.
    ///
    /// # Panics
    /// It has not been built.
    pub fn new() -> Self {
        let mut env = vec![("RUST_BACKTRACE".to_owned(), "1".into())];
        env.extend(env::var_os("PATH").map(|path| ("PATH".to_owned(), path)));
        // Nobody keeps a brasa.toml there.
        Self {
            program: program("brasa"),
            env,
            folder: PathBuf::from("/"),
            memory_kib_max: None,
            is_log_full: false,
        }
    }

    /// The same with the servers of a world.
    pub fn in_world(world: &World) -> Self {
        Self::new().env("REDIS_URL", &world.redis_url).env("DATABASE_URL", &world.database_url)
    }

    /// The same with the servers of a world and a configuration of this text; `[telemetry]` opens nothing,
    /// so that processes of tests never look for the same port.
    pub fn configured(world: &World, text: &str) -> Self {
        Self::in_world(world).env("BRASA_LISTEN", "off").env("BRASA_CONFIG", world.write_config(text))
    }

    /// The same from another binary, as a team builds it for kinds of its own.
    ///
    /// # Panics
    /// It has not been built.
    #[must_use]
    pub fn from_binary(mut self, name: &str) -> Self {
        self.program = program(name);
        self
    }

    /// The same where no process gets more memory than this, nor do those that it starts.
    #[must_use]
    pub fn within_memory(mut self, kib: u64) -> Self {
        self.memory_kib_max = Some(kib);
        self
    }

    /// The same where nothing can be written to standard error: the disk is full.
    #[must_use]
    pub fn with_a_full_log(mut self) -> Self {
        self.is_log_full = true;
        self
    }

    /// The same with a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// The same without a variable of the environment.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// The same in another folder.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Runs a verb to its end.
    ///
    /// # Panics
    /// It does not end.
    pub async fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ended {
        self.start(args).ended(VERB_LIMIT).await
    }

    /// Runs a verb to its end, with this text on its standard input.
    ///
    /// # Panics
    /// It does not end.
    pub async fn feed<A: AsRef<OsStr>>(&self, input: &str, args: impl IntoIterator<Item = A>) -> Ended {
        let mut file = nameless_file();
        file.write_all(input.as_bytes()).expect("standard input is written");
        file.seek(SeekFrom::Start(0)).expect("standard input is at its beginning");
        self.start_with(file.into(), args).ended(VERB_LIMIT).await
    }

    /// Starts a process and leaves it running.
    ///
    /// # Panics
    /// The system starts no processes.
    pub fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Running {
        self.start_with(Stdio::null(), args)
    }

    fn start_with<A: AsRef<OsStr>>(&self, input: Stdio, args: impl IntoIterator<Item = A>) -> Running {
        let out = nameless_file();
        let err = if self.is_log_full { full_file() } else { nameless_file() };
        let share = |file: &File| file.try_clone().expect("a file can be shared");
        let mut command = match self.memory_kib_max {
            None => Command::new(&self.program),
            Some(kib) => limited(&self.program, kib),
        };
        command.args(args).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).kill_on_drop(true);
        command.stdin(input).stdout(share(&out)).stderr(share(&err));
        let child = command.spawn().expect("brasa starts");
        let pid = child.id().expect("a process that has just been started has a number");
        Running { child, pid, out, err }
    }
}

/// How a process ended, and what it wrote.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote for programs.
    pub stdout: String,
    /// What it wrote for people.
    pub stderr: String,
}

impl Ended {
    /// The same, if it ended with this exit code.
    ///
    /// # Panics
    /// It did not; the message shows everything that it wrote.
    #[must_use]
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// What it wrote for programs, as JSON.
    ///
    /// # Panics
    /// It was not successful, or wrote something else.
    #[track_caller]
    pub fn json(self) -> Value {
        self.with_code(0).json_anyway()
    }

    /// What it wrote for programs, as JSON, however it ended.
    ///
    /// # Panics
    /// It wrote something else.
    #[track_caller]
    pub fn json_anyway(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}: {self:#?}"))
    }
}

/// A process that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pid: u32,
    out: File,
    err: File,
}

impl Running {
    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it is still there.
    ///
    /// # Panics
    /// The system does not say.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of a child").is_none()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It has ended.
    pub fn signal(&self, signal: Signal) {
        assert!(signal.send(self.pid), "process {} is gone: {}", self.pid, self.log());
    }

    /// Ends it with SIGKILL, and waits until it is gone. What it wrote stays.
    ///
    /// # Panics
    /// The system does not let it end.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child is killed");
    }

    /// Everything that it has logged so far.
    pub fn log(&self) -> String {
        read_all(&self.err)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It has not ended after `limit`; the message shows what it logged.
    pub async fn ended(mut self, limit: Duration) -> Ended {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        let Ok(status) = ended else { panic!("brasa did not end within {limit:?}: {}", self.log()) };
        let status: ExitStatus = status.expect("the end of a child");
        let (stdout, stderr) = (read_all(&self.out), read_all(&self.err));
        Ended { code: status.code(), signal: status.signal(), stdout, stderr }
    }

    /// Where it answers for `/metrics`, `/live` and `/ready`, once it says so; start it with
    /// `--listen 127.0.0.1:0`.
    ///
    /// # Panics
    /// It never says so.
    pub async fn address(&self) -> SocketAddr {
        within(START_LIMIT, "brasa says where it listens", async || {
            let log = self.log();
            let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            events.into_iter().find_map(|event| event["address"].as_str()?.parse().ok())
        })
        .await
    }
}

/// A signal for a process.
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    /// Please end.
    Terminate,
    /// What Ctrl-C sends.
    Interrupt,
    /// Stand still, without being asked.
    Stop,
    /// Go on.
    Continue,
    /// Be gone.
    Kill,
}

impl Signal {
    /// Sends it; whether there is such a process is the answer.
    ///
    /// # Panics
    /// There is no shell.
    pub fn send(self, pid: u32) -> bool {
        let name = match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
            Self::Kill => "KILL",
        };
        let mut shell = process::Command::new("sh");
        shell.args(["-c", r#"kill -s "$1" "$2""#, "signal", name, &pid.to_string()]).stderr(Stdio::null());
        shell.status().expect("a shell").success()
    }
}

/// Whether tests are to do as much as the project promises (`BRASA_LONG=1`), and not only as much as every
/// run of the suite can bear.
pub fn is_long() -> bool {
    env::var_os("BRASA_LONG").is_some_and(|value| value == "1")
}

/// Waits until `look` sees something, for a time of the caller's choice; beyond what [`eventually`] gives.
///
/// [`eventually`]: crate::eventually
///
/// # Panics
/// It still sees nothing after `limit`; the message says what never happened.
pub async fn within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < limit, "within {limit:?} it never happened that {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// One question over HTTP: the status and the body of the answer; none where nobody answers.
pub async fn http_get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(START_LIMIT, ask).await.ok()?.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Where one of our programs is.
fn program(name: &str) -> PathBuf {
    let ours = env::current_exe().expect("the path of this test");
    let folder = ours.parent().expect("a program is in a folder");
    // Cargo puts test binaries into `deps`, beside which it puts the programs.
    let folder = if folder.ends_with("deps") { folder.parent().expect("cargo's folder") } else { folder };
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "there is no `{name}` beside the tests: cargo does not build it for them, `cargo build --workspace --bins` does"
    );
    program
}

/// A program with a limit on its memory, which takes a shell to set.
fn limited(program: &Path, kib: u64) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -v "$0" && exec "$@""#, &kib.to_string()]).arg(program);
    shell
}

/// A file that is gone when nobody has it open any more. Unlike a pipe it never fills up, and what a killed
/// process wrote is still there.
fn nameless_file() -> File {
    let path = env::temp_dir().join(format!("brasa-test-{:032x}", rand::random::<u128>()));
    let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path);
    let file = file.expect("a temporary file");
    fs::remove_file(&path).expect("a temporary file loses its name");
    file
}

/// A file that takes nothing, as if its disk was full.
fn full_file() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("a file that is always full")
}

fn read_all(file: &File) -> String {
    let length = file.metadata().expect("the length of a file").len();
    let mut bytes = vec![0; usize::try_from(length).expect("a file that fits into memory")];
    file.read_exact_at(&mut bytes, 0).expect("what a process wrote");
    String::from_utf8_lossy(&bytes).into_owned()
}
