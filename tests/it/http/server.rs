//! A small server, which writes down what it is asked and answers as it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// What somebody asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Such as `POST /hook HTTP/1.1`.
    pub(crate) line: String,
    /// By their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What is answered to the how-manieth request, from 0; nothing keeps who asks waiting.
type Answers = dyn Fn(usize) -> Option<String> + Send + Sync;

/// A server, which ends with its test.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl Server {
    /// On every address of the machine.
    pub(crate) async fn start(answers: impl Fn(usize) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::speaking(None, answers).await
    }

    /// The same through TLS, where there is somebody to accept it.
    pub(crate) async fn speaking(
        tls: Option<TlsAcceptor>,
        answers: impl Fn(usize) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        // Without IPv6 there is nothing of it to be called, either.
        let listener = match TcpListener::bind("[::]:0").await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
        };
        let address = listener.local_addr().unwrap();
        let (seen, connections) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let (noted, counted, answers) =
            (Arc::clone(&seen), Arc::clone(&connections), Arc::new(answers) as Arc<Answers>);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, seen, answers) = (tls.clone(), Arc::clone(&noted), Arc::clone(&answers));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, seen, answers).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, seen, answers).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, connections, accepting: accepting.abort_handle() }
    }

    /// One that always answers this.
    pub(crate) async fn answering(answer: String) -> Self {
        Self::start(move |_| Some(answer.clone())).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it is, by a number.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port())
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// How often somebody connected.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An answer as it goes over the wire.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} So\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Answers>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request);
        seen.len() - 1
    };
    let Some(answer) = answers(number) else {
        let mut rest = [0; 64];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        return;
    };
    // Who asked may have gone: a large answer is not read to its end.
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
}

/// A request; nothing where the connection ends before it does, or something else is spoken.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let (line, rest) = text.split_once("\r\n")?;
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    };
    let headers: BTreeMap<_, _> = rest.split("\r\n").map(header).collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + 4 + length {
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
    let body = String::from_utf8(bytes[head + 4..].to_vec()).unwrap();
    Some(Request { line: line.to_owned(), headers, body })
}
