//! A reader in another language, as a process of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use std::{fs, os};

use brasa_tests::World;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::installed::{Installed, Language};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process that reads what it is told to.
pub(super) struct Reader {
    _child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Reader {
    /// A reader of this world.
    pub(super) fn start(installed: &Installed, world: &World) -> Self {
        Self::at(installed, world, &world.redis_url)
    }

    /// The same where Redis is said to be elsewhere.
    pub(super) fn at(installed: &Installed, world: &World, redis_url: &str) -> Self {
        let (snippet, reader, argument) = match installed.language {
            Language::Python => ("brasa_cache.py", "reader.py", "threads"),
            Language::Asyncio => ("brasa_cache.py", "reader.py", "async"),
            Language::Node => ("brasa-cache.mjs", "reader.mjs", "redis"),
            Language::NodeWithRedis4 => ("brasa-cache.mjs", "reader.mjs", "redis-4"),
            Language::Browsing | Language::Trying | Language::FastApi | Language::Express => {
                unreachable!("it reads no values")
            }
            Language::Ruby => ("brasa_cache.rb", "reader.rb", ""),
        };
        Self::of(installed, world, redis_url, [snippet, reader], argument)
    }

    /// A process that is told what to do with a snippet.
    pub(super) fn of(
        installed: &Installed,
        world: &World,
        redis_url: &str,
        [snippet, reader]: [&str; 2],
        argument: &str,
    ) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (snippets, readers) = (root.join("../docs/snippets"), root.join("it/languages"));
        let folder = world.folder();
        // Copied, as people do.
        fs::copy(snippets.join(snippet), folder.join(snippet)).unwrap();
        fs::copy(readers.join(reader), folder.join(reader)).unwrap();
        let packages = folder.join("node_modules");
        if packages.symlink_metadata().is_err() {
            os::unix::fs::symlink(installed.folder.join("node_modules"), packages).unwrap();
        }
        let mut child = Command::new(&installed.program)
            .arg(folder.join(reader))
            .arg(argument)
            .env("REDIS_URL", redis_url)
            .env("PREFIX", &world.prefix)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _child: child, input, lines: BufReader::new(output).lines() }
    }

    /// Lets it read, and says what it said.
    pub(super) async fn tell(&mut self, told: &Value) -> Value {
        self.input.write_all(format!("{told}\n").as_bytes()).await.unwrap();
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("the reader does not answer to {told}"));
        let line = line.unwrap().unwrap_or_else(|| panic!("the reader ended over {told}"));
        serde_json::from_str(&line).unwrap()
    }
}
