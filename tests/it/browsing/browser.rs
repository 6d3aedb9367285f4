//! A browser that obeys.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::languages::installed::{Installed, Language};

/// Where systems keep it.
const CHROMIUM: [&str; 4] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];
/// How long a step may take.
const STEP_MAX: Duration = Duration::from_mins(2);

/// What a browser needs.
pub(super) struct Program {
    node: Installed,
    chromium: PathBuf,
}

/// What runs one; nothing where something is missing, which is said.
pub(super) async fn installed() -> Option<Program> {
    let Some(chromium) = CHROMIUM.iter().map(PathBuf::from).find(|path| path.exists()) else {
        std::io::stderr().write_all(b"SKIPPED: nothing is browsed: there is no Chromium\n").unwrap();
        return None;
    };
    Some(Program { node: Language::Browsing.installed().await?, chromium })
}

/// A browser.
pub(super) struct Browser {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    pub(super) fn start(program: &Program, address: SocketAddr) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/browsing/walk.mjs");
        let mut child = Command::new(&program.node.program)
            .arg(script)
            .args([&program.node.folder, &program.chromium])
            .arg(format!("http://{address}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _child: child, input, output: BufReader::new(output).lines() }
    }

    /// Does one step, and gives what came of it. Nothing may have been planted, loaded from elsewhere or complained
    /// about, and the page is as wide as the window.
    pub(super) async fn step(&mut self, step: Value) -> Value {
        self.input.write_all(format!("{step}\n").as_bytes()).await.unwrap();
        let line = tokio::time::timeout(STEP_MAX, self.output.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{step}: no answer")).unwrap();
        let told: Value =
            serde_json::from_str(&line.unwrap_or_else(|| panic!("{step}: the browser is gone"))).unwrap();
        assert_eq!(told["error"], Value::Null, "{step}: {told}");
        assert_eq!(told["complaints"], json!([]), "{step}: {told}");
        let look = &told["look"];
        assert_eq!((&look["planted"], &look["scripts"]), (&json!(0), &json!(0)), "{step}: {look}");
        assert_eq!((&look["ran"], &look["wide"]), (&json!(false), &json!(false)), "{step}: {look}");
        told
    }

    /// Opens a page.
    pub(super) async fn go(&mut self, path: &str) -> Value {
        self.step(json!({ "step": "go", "path": path })).await
    }

    /// Presses a button inside of something, with a reason where it wants one.
    pub(super) async fn press(&mut self, within: &str, button: &str, why: Option<&str>) -> Value {
        let fields = why.map_or_else(|| json!({}), |why| json!({ "reason": why }));
        self.send(within, button, fields).await
    }

    /// Writes and chooses this in a form inside of something, by the names of the fields, and presses its button.
    pub(super) async fn send(&mut self, within: &str, button: &str, fields: Value) -> Value {
        self.step(json!({ "step": "press", "within": within, "button": button, "fields": fields })).await
    }

    /// Opens a page, and waits until it has all of its parts.
    pub(super) async fn go_to_all_of(&mut self, path: &str) -> Value {
        self.go(path).await;
        self.step(json!({ "step": "whole" })).await
    }

    /// Waits until the page shows a text.
    pub(super) async fn see(&mut self, text: &str) -> Value {
        self.step(json!({ "step": "see", "text": text })).await
    }
}
