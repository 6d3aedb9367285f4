//! Runs a command with a Redis and a Postgres of its own: `with-servers cargo nextest run`.
//!
//! The command finds them in `BRASA_TEST_REDIS_URL` and `BRASA_TEST_DATABASE_URL`. They are gone when it is done,
//! and its exit code is ours.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::{env, iter};

use brasa::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer, Signal};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// Nothing was run, because nothing was asked for.
const USAGE: u8 = 2;

/// The servers or the command could not be started.
const FAILED: u8 = 1;

/// What a shell adds to the number of the signal that ended a command.
const SIGNALLED: i32 = 128;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let Some(command) = args.next() else {
        return complain("usage: with-servers COMMAND [ARGUMENT]...", USAGE);
    };
    match run(command, args).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let causes = iter::successors(Some(error.as_ref() as &dyn Error), |&error| error.source());
            let causes: Vec<String> = causes.map(ToString::to_string).collect();
            complain(&causes.join(": "), FAILED)
        }
    }
}

async fn run(command: OsString, args: impl Iterator<Item = OsString>) -> Result<u8, Box<dyn Error>> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let postgres = PostgresServer::start(PostgresOptions {
        // What the tests write need not survive anything.
        fsync: false,
        // Every test brings a pool of its own, and many run at once.
        extra: vec![("max_connections".to_owned(), "300".to_owned())],
    })?;
    let ears = Ears::open()?;
    let child = Command::new(&command)
        .args(args)
        .env("BRASA_TEST_REDIS_URL", redis.url())
        .env("BRASA_TEST_DATABASE_URL", postgres.url("postgres"))
        .spawn()
        .map_err(|error| format!("could not start `{}`: {error}", command.display()))?;
    Ok(code(attend(child, ears).await?))
}

/// What we may be told while the command runs.
struct Ears {
    hangups: Stream,
    interrupts: Stream,
    quits: Stream,
    terminations: Stream,
    /// A terminal tells the command itself, and to be told twice would mean "at once".
    is_terminal: bool,
}

impl Ears {
    fn open() -> io::Result<Self> {
        Ok(Self {
            hangups: signal(SignalKind::hangup())?,
            interrupts: signal(SignalKind::interrupt())?,
            quits: signal(SignalKind::quit())?,
            terminations: signal(SignalKind::terminate())?,
            is_terminal: io::stdin().is_terminal(),
        })
    }

    /// The next thing that the command has to be told.
    async fn hear(&mut self) -> Signal {
        loop {
            let (told, is_by_the_terminal) = tokio::select! {
                _ = self.hangups.recv() => (Signal::Hangup, false),
                _ = self.interrupts.recv() => (Signal::Interrupt, self.is_terminal),
                _ = self.quits.recv() => (Signal::Quit, self.is_terminal),
                _ = self.terminations.recv() => (Signal::Terminate, false),
            };
            if !is_by_the_terminal {
                return told;
            }
        }
    }
}

/// Waits for the command and passes on what we are told meanwhile: it decides how to end, and we end after it.
async fn attend(mut child: Child, mut ears: Ears) -> Result<ExitStatus, Box<dyn Error>> {
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            told = ears.hear() => {
                if let Some(pid) = child.id() {
                    // That it ended in the meantime is no reason to complain.
                    told.send(pid)?;
                }
            }
        }
    }
}

/// The exit code by which a shell would report this.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)
}

fn complain(words: &str, code: u8) -> ExitCode {
    // Without standard error there is nobody to tell, and the code says it too.
    match writeln!(io::stderr(), "with-servers: {words}") {
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}
