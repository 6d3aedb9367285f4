//! Requests over a connection of their own, so that nothing is sent but what a test says.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Scene;

/// For how long an answer is waited for: longer than any that is given on purpose.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    /// Nothing where it is not JSON.
    pub(super) body: Value,
}

impl Answer {
    /// The same, if it has this status.
    #[track_caller]
    pub(super) fn with(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// A header of it.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, text)| text.to_owned())
    }

    /// What it says was not done.
    #[track_caller]
    pub(super) fn problem(&self) -> String {
        self.body["error"]["message"].as_str().unwrap_or_else(|| panic!("no problem: {self:#?}")).to_owned()
    }
}

impl Scene {
    /// Asks for something.
    pub(super) async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\n{}", self.who(token)), "").await
    }

    /// Sends JSON.
    pub(super) async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.post_text(token, path, "", &body.to_string()).await
    }

    /// Sends a text that says that it is JSON, with more headers.
    pub(super) async fn post_text(&self, token: &str, path: &str, headers: &str, body: &str) -> Answer {
        let who = self.who(token);
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\n{who}content-type: application/json\r\ncontent-length: {length}\r\n{headers}"
        );
        self.send(&head, body).await
    }

    /// Does something that takes no words.
    pub(super) async fn act(&self, token: &str, path: &str) -> Answer {
        self.send(&format!("POST {path} HTTP/1.1\r\n{}", self.who(token)), "").await
    }

    /// The headers of somebody; of nobody where the token is empty.
    pub(super) fn who(&self, token: &str) -> String {
        let bearer =
            if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        format!("host: {}\r\nconnection: close\r\n{bearer}", self.address)
    }

    /// Sends a head without its end, and a body.
    pub(super) async fn send(&self, head: &str, body: &str) -> Answer {
        exchange(self.address, format!("{head}\r\n{body}").as_bytes()).await
    }
}

/// Sends bytes, and reads what comes until the other end closes.
pub(super) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Where it is refused early, not all of it is read.
        let _sent_or_refused = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        assert!(read.is_ok() || !answer.is_empty(), "no answer: {read:?}");
        String::from_utf8(answer).unwrap()
    };
    let text = tokio::time::timeout(ANSWER_MAX, talk).await.expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or_default() }
}
