//! Redis, as a thing that comes back.
//!
//! A `Store` is one multiplexed connection that is made again whenever it breaks. Every command has a
//! deadline. Faults that pass by themselves (a lost connection, a server that loads its data, a failover
//! that has not settled) are waited out with jittered backoff for as long as the caller has patience;
//! everything that is sent is safe to send twice, so a lost answer is simply asked for again.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, ProtocolVersion, PushInfo,
    RedisError, ServerErrorKind,
};

/// How long one command may take before the connection is given up.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The first and the longest pause between two tries.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// What kind of trouble Redis is in, and so whether waiting helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time; the command may have run.
    Timeout,
    /// The server is reading its data from disk.
    Loading,
    /// The server is a replica now.
    ReadOnly,
    /// Somebody's script holds the server.
    Busy,
    /// The server cannot write to its disk, or has too few replicas.
    Unwritable,
    /// The server is at its memory limit.
    OutOfMemory,
    /// Wrong password, or a right is missing.
    Denied,
    /// The server is a cluster node, and the key lives elsewhere.
    Moved,
    /// Anything else: a wrong type, a script error.
    Other,
}

impl Fault {
    /// What an error of the client library means.
    pub fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Denied,
            ErrorKind::Server(kind) => match kind {
                ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown => Self::Loading,
                ServerErrorKind::ReadOnly => Self::ReadOnly,
                ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown => Self::Busy,
                ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot => Self::Moved,
                ServerErrorKind::NoPerm => Self::Denied,
                _ => Self::of_code(error.code()),
            },
            _ if error.is_timeout() => Self::Timeout,
            _ if error.is_io_error() || error.is_connection_dropped() => Self::Unreachable,
            _ => Self::of_code(error.code()),
        }
    }

    fn of_code(code: Option<&str>) -> Self {
        match code {
            Some("OOM") => Self::OutOfMemory,
            Some("BUSY") => Self::Busy,
            Some("MISCONF" | "NOREPLICAS") => Self::Unwritable,
            Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Self::Denied,
            _ => Self::Other,
        }
    }

    /// True where the same command may succeed a little later.
    pub fn passes(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::Timeout
                | Self::Loading
                | Self::ReadOnly
                | Self::Busy
                | Self::Unwritable
        )
    }

    /// What to do about it, for a person.
    pub fn help(self) -> &'static str {
        match self {
            Self::Unreachable => "is Redis running, and are REDIS_URL and the network right?",
            Self::Timeout => "Redis does not answer in time; look at its load and at SLOWLOG GET",
            Self::Loading => "Redis is loading its data; wait until it has finished",
            Self::ReadOnly => "this server is a replica; give the address of the primary",
            Self::Busy => "a script of somebody else holds Redis; see SCRIPT KILL",
            Self::Unwritable => "Redis cannot save to disk or lacks replicas; look at its log",
            Self::OutOfMemory => "Redis is at maxmemory; give it more, or let workers drain the queues",
            Self::Denied => "check the user and password in REDIS_URL, and the user's ACL",
            Self::Moved => "this is a Redis Cluster node, which this version does not speak to",
            Self::Other => "see the cause",
        }
    }
}

/// Redis did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("redis at {address} could not {action}: {}", .fault.help())]
pub struct StoreError {
    /// Where, without the password.
    pub address: String,
    /// What was being done.
    pub action: &'static str,
    /// What kind of trouble it is.
    pub fault: Fault,
    /// What the client library said.
    #[source]
    pub source: RedisError,
}

/// A Redis connection that is made again whenever it breaks.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    patience: Duration,
    /// How long one call may take, with everything that belongs to it.
    limit: Option<Duration>,
}

struct Inner {
    client: Client,
    address: String,
    live: RwLock<Live>,
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Live {
    generation: u64,
    connection: Option<MultiplexedConnection>,
}

/// What is sent.
enum Ask<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
    Script(&'a Cmd, &'a str),
}

impl Ask<'_> {
    async fn of<T: FromRedisValue>(&self, mut connection: MultiplexedConnection) -> Result<T, RedisError> {
        match self {
            Self::Command(command) => command.query_async(&mut connection).await,
            Self::Pipeline(pipe) => pipe.query_async(&mut connection).await,
            Self::Script(call, code) => match call.query_async(&mut connection).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    let load = redis::cmd("SCRIPT").arg("LOAD").arg(*code).to_owned();
                    let _hash: String = load.query_async(&mut connection).await?;
                    call.query_async(&mut connection).await
                }
                answer => answer,
            },
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("address", &self.inner.address)
            .field("patience", &self.patience)
            .field("limit", &self.limit)
            .finish()
    }
}

impl Store {
    /// A store at `url`; connects when first used.
    ///
    /// # Errors
    /// The address cannot be understood.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(|source| StoreError {
            address: "the given address".to_owned(),
            action: "be addressed",
            fault: Fault::of(&source),
            source,
        })?;
        let address = client.get_connection_info().addr().to_string();
        let inner =
            Inner { client, address, live: RwLock::default(), connecting: tokio::sync::Mutex::default() };
        Ok(Self { inner: Arc::new(inner), patience: Duration::from_secs(10), limit: None })
    }

    /// The same store with another bound on how long passing faults are waited out.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same store for callers who cannot wait: a call ends after `limit` at the latest, also where the server
    /// takes it and does not answer, or cannot be connected to.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self.limit = Some(limit);
        self
    }

    /// A store at the same address with a connection of its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        let inner = Inner {
            client: self.inner.client.clone(),
            address: self.inner.address.clone(),
            live: RwLock::default(),
            connecting: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner), patience: self.patience, limit: self.limit }
    }

    /// Where this store is, without the password.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Runs one command that is safe to send twice.
    pub async fn run<T: FromRedisValue>(&self, action: &'static str, command: &Cmd) -> Result<T, StoreError> {
        self.persist(action, Ask::Command(command)).await
    }

    /// Runs a pipeline that is safe to send twice.
    pub async fn run_all<T: FromRedisValue>(
        &self,
        action: &'static str,
        pipe: &Pipeline,
    ) -> Result<T, StoreError> {
        self.persist(action, Ask::Pipeline(pipe)).await
    }

    /// Runs a script, loading it where the server does not know it (a restart and a failover forget).
    pub async fn run_script<T: FromRedisValue>(
        &self,
        action: &'static str,
        call: &Cmd,
        code: &str,
    ) -> Result<T, StoreError> {
        self.persist(action, Ask::Script(call, code)).await
    }

    /// A connection for publish and subscribe; it is the caller's to make again.
    pub async fn subscriber(&self) -> Result<redis::aio::PubSub, StoreError> {
        let fault = |source| self.error("subscribe", source);
        match tokio::time::timeout(CONNECT_TIMEOUT, self.inner.client.get_async_pubsub()).await {
            Ok(answer) => answer.map_err(fault),
            Err(_) => Err(fault(timed_out())),
        }
    }

    /// A connection that hands `push` what the server sends unasked, first of all that it broke; it is the
    /// caller's to make again. Connecting and each command take at most `limit`. `push` must not block.
    pub async fn listener(
        &self,
        limit: Duration,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, StoreError> {
        let fault = |source| self.error("listen", source);
        let info = self.inner.client.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings)).map_err(fault)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limit))
            .set_response_timeout(Some(limit))
            .set_push_sender(move |info| {
                push(info);
                Ok::<(), std::convert::Infallible>(())
            });
        client.get_multiplexed_async_connection_with_config(&config).await.map_err(fault)
    }

    async fn persist<T: FromRedisValue>(&self, action: &'static str, ask: Ask<'_>) -> Result<T, StoreError> {
        let begun = Instant::now();
        let mut pause = BACKOFF.0;
        loop {
            // Others may be connecting before us, one after the other; patience covers that too.
            let longest = self.left(begun).unwrap_or_else(|| self.patience.max(CONNECT_TIMEOUT));
            let connecting = tokio::time::timeout(longest, self.connection());
            let connected = connecting.await.unwrap_or_else(|_| Err(timed_out()));
            let outcome = match connected {
                Ok((generation, connection)) => {
                    let answer = match self.left(begun) {
                        None => ask.of(connection).await,
                        Some(left) => tokio::time::timeout(left, ask.of(connection))
                            .await
                            .unwrap_or_else(|_| Err(timed_out())),
                    };
                    if answer.as_ref().is_err_and(|error| Fault::of(error).passes()) {
                        self.give_up(generation);
                    }
                    answer
                }
                Err(error) => Err(error),
            };
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if !Fault::of(&error).passes() || begun.elapsed() + pause > self.patience {
                return Err(self.error(action, error));
            }
            tracing::debug!(action, %error, "waiting for redis");
            // Full jitter: a fleet that lost its server must not return in step.
            tokio::time::sleep(pause.mul_f64(rand::random::<f64>())).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// How long a call that began then may still take; nothing where that is for the connection to say.
    fn left(&self, begun: Instant) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(begun.elapsed()))
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), RedisError> {
        if let Some(found) = self.current() {
            return Ok(found);
        }
        let _turn = self.inner.connecting.lock().await;
        if let Some(found) = self.current() {
            return Ok(found);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connection = self.inner.client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut live = self.inner.live.write().unwrap_or_else(PoisonError::into_inner);
        live.generation += 1;
        live.connection = Some(connection.clone());
        Ok((live.generation, connection))
    }

    fn current(&self) -> Option<(u64, MultiplexedConnection)> {
        let live = self.inner.live.read().unwrap_or_else(PoisonError::into_inner);
        live.connection.clone().map(|connection| (live.generation, connection))
    }

    /// Forgets a broken connection, unless somebody has made a new one already.
    fn give_up(&self, generation: u64) {
        let mut live = self.inner.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.generation == generation {
            live.connection = None;
        }
    }

    fn error(&self, action: &'static str, source: RedisError) -> StoreError {
        StoreError { address: self.inner.address.clone(), action, fault: Fault::of(&source), source }
    }
}

fn timed_out() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}
