//! The network between us and Redis, as bad as a test wants it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Passes bytes on to Redis and back until told otherwise.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mood: Arc<Mood>,
}

/// What happens once a client has written so often.
struct Snare {
    writes_left: u32,
    /// Whether the last of these writes still passes.
    passes: bool,
    springs: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct Mood {
    /// Answers still to be swallowed.
    swallow: AtomicU32,
    swallowed: AtomicU32,
    frozen: AtomicBool,
    thawed: Notify,
    severed: Notify,
    /// How long everything takes on its way, in ms.
    delay_ms: AtomicU64,
    snare: Mutex<Option<Snare>>,
}

impl fmt::Debug for Mood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mood").field("frozen", &self.frozen).finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy to the Redis at `url`.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn to(url: &str) -> Self {
        let target = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (address, mood) = (listener.local_addr().expect("an address"), Arc::<Mood>::default());
        let shared = Arc::clone(&mood);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&target).await {
                    tokio::spawn(carry(client, server, Arc::clone(&shared)));
                }
            }
        });
        Self { address, mood }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients find Redis through it.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// The next answer of Redis gets lost, and its connection with it. What was asked has been done by then.
    pub fn swallow_next_answer(&self) {
        self.mood.swallow.store(1, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub fn swallowed(&self) -> u32 {
        self.mood.swallowed.load(Ordering::SeqCst)
    }

    /// Breaks every connection that there is. New ones can be made at once.
    pub fn sever(&self) {
        self.mood.severed.notify_waiters();
    }

    /// From now on everything takes this much longer in each direction.
    pub fn delay(&self, by: Duration) {
        self.mood.delay_ms.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Does something when clients have written so often from now on: before the last of these writes reaches Redis,
    /// which it then never does, or right after it was passed on.
    pub fn at_write(&self, count: u32, passes: bool, springs: impl FnOnce() + Send + 'static) {
        let snare = Snare { writes_left: count, passes, springs: Box::new(springs) };
        *self.mood.snare.lock().unwrap_or_else(PoisonError::into_inner) = Some(snare);
    }

    /// Whether what was to happen at a write is still to come.
    pub fn is_waiting_for_a_write(&self) -> bool {
        self.mood.snare.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// From now on nothing passes; connections stay open, and nobody is told.
    pub fn freeze(&self) {
        self.mood.frozen.store(true, Ordering::SeqCst);
    }

    /// Everything passes again, what was held up first.
    pub fn thaw(&self) {
        self.mood.frozen.store(false, Ordering::SeqCst);
        self.mood.thawed.notify_waiters();
    }
}

impl Mood {
    async fn when_thawed(&self) {
        loop {
            let thawed = self.thawed.notified();
            if !self.frozen.load(Ordering::SeqCst) {
                return;
            }
            thawed.await;
        }
    }

    async fn when_through(&self) {
        let delay_ms = self.delay_ms.load(Ordering::SeqCst);
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
    }

    /// What is to happen at the write at hand.
    fn sprung(&self) -> Option<Snare> {
        let mut snare = self.snare.lock().unwrap_or_else(PoisonError::into_inner);
        let set = snare.as_mut()?;
        set.writes_left = set.writes_left.saturating_sub(1);
        if set.writes_left == 0 { snare.take() } else { None }
    }

    /// Whether the answer at hand is to be lost.
    fn swallows(&self) -> bool {
        let taken = self.swallow.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if taken.is_ok() {
            self.swallowed.fetch_add(1, Ordering::SeqCst);
        }
        taken.is_ok()
    }
}

/// Carries one connection until either end, or the mood, breaks it.
async fn carry(client: TcpStream, server: TcpStream, mood: Arc<Mood>) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let count = from_client.read(&mut bytes).await?;
            if count == 0 {
                return Ok::<(), io::Error>(());
            }
            mood.when_thawed().await;
            mood.when_through().await;
            let Some(Snare { passes, springs, .. }) = mood.sprung() else {
                to_server.write_all(&bytes[..count]).await?;
                continue;
            };
            if passes {
                to_server.write_all(&bytes[..count]).await?;
            }
            springs();
            if !passes {
                return Ok(());
            }
        }
    };
    let answering = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let count = from_server.read(&mut bytes).await?;
            if count == 0 || mood.swallows() {
                return Ok::<(), io::Error>(());
            }
            mood.when_thawed().await;
            mood.when_through().await;
            to_client.write_all(&bytes[..count]).await?;
        }
    };
    tokio::select! {
        ended = asking => ended,
        ended = answering => ended,
        () = mood.severed.notified() => Ok(()),
    }
}
