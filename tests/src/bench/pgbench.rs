//! pgbench: an application whose transactions are measured while something else goes on.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::pause;

/// pgbench, beside one database.
#[derive(Debug, Clone)]
pub struct Pgbench {
    program: PathBuf,
    folder: PathBuf,
    url: String,
}

impl Pgbench {
    /// Finds it, and makes its tables. What it writes goes into folders in this one.
    ///
    /// # Errors
    /// It is not installed, or the database refuses it.
    pub fn new(folder: &Path, url: &str) -> Result<Self> {
        let mut found = Vec::new();
        for place in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
            found.push(place.path().join("bin/pgbench"));
        }
        found.push(PathBuf::from("pgbench"));
        let program = found.into_iter().find(|path| path.is_file()).context("pgbench is not installed")?;
        let bench = Self { program, folder: folder.to_owned(), url: url.to_owned() };
        let status = bench.start(&["-i", "-q", "-s", "10"])?.0.wait()?;
        ensure!(status.success(), "pgbench ended with {status}");
        Ok(bench)
    }

    /// The latencies of transactions in ms, while something is done again and again. They come at a rate of so many a second
    /// that the machine has to bear, so that what is measured is not a queue of its own. A transaction that fails ends it with
    /// a fault.
    ///
    /// # Errors
    /// It ended with a fault, or did too little.
    pub fn run(
        &self,
        args: &[&str],
        (rate, seconds): (&str, u32),
        mut meanwhile: impl FnMut() -> Result<()>,
    ) -> Result<Latencies> {
        let seconds = seconds.to_string();
        let args = [&["-n", "-j", "1", "-l", "-R", rate, "-T", &seconds], args].concat();
        let (mut child, folder) = self.start(&args)?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            meanwhile()?;
            pause(Duration::from_millis(100));
        };
        ensure!(status.success(), "a transaction failed: pgbench ended with {status}");
        let mut took = Vec::new();
        for file in std::fs::read_dir(&folder)? {
            for line in std::fs::read_to_string(file?.path())?.lines() {
                // Client, number, latency in µs from when it was scheduled, …, and at the end how late it began.
                if let Some(us) = line.split(' ').nth(2).and_then(|us| us.parse::<f64>().ok()) {
                    took.push(us / 1_000.0);
                }
            }
        }
        ensure!(took.len() > 100, "pgbench did only {} transactions", took.len());
        took.sort_by(f64::total_cmp);
        Ok(Latencies(took))
    }

    fn start(&self, args: &[&str]) -> Result<(Child, PathBuf)> {
        let folder = self.folder.join(format!("pgbench-{:x}", rand::random::<u32>()));
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(&self.program);
        command.args(args).arg(&self.url).current_dir(&folder);
        Ok((command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?, folder))
    }
}

/// Latencies in ms, the shortest first.
#[derive(Debug, Clone)]
pub struct Latencies(Vec<f64>);

impl Latencies {
    /// The latency that so many of a hundred transactions stay below.
    pub fn percentile(&self, hundredths: usize) -> f64 {
        self.0.get(self.0.len() * hundredths / 100).copied().unwrap_or_default()
    }
}
