//! A private Redis.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::debug;

use super::process::Program;
use super::server::Server;
use super::{Scratch, ServersError, Signal, ports, programs};

/// How long one look at a starting server may take.
const LOOK: Duration = Duration::from_secs(1);

/// More than the answer to one look ever is.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// How a private Redis is to be set up.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Whether it keeps its data in an append-only file, written out every second.
    pub append_only: bool,
    /// Further lines of its configuration: directive and value. They win over ours.
    pub extra: Vec<(String, String)>,
    /// A folder for the data that outlives the server; else the data is scratch.
    pub dir: Option<PathBuf>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { append_only: true, extra: Vec::new(), dir: None }
    }
}

/// A real `redis-server` as a private child of this process. Dropping it ends it.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    config: PathBuf,
    port: u16,
    url: String,
    server: Server,
}

impl RedisServer {
    /// Starts a server on a free port and waits until it answers.
    pub fn start(options: RedisOptions) -> Result<Self, ServersError> {
        let program = programs::redis()?;
        let scratch = Scratch::new()?;
        let RedisOptions { append_only, extra, dir } = options;
        let data = dir.unwrap_or_else(|| scratch.path().join("data"));
        let config = scratch.write("redis.conf", &config(append_only, &data_folder(&data)?, &extra))?;
        let mut redis = Self { program, config, port: 0, url: String::new(), server: Server::new(scratch)? };
        ports::on_a_free_one(|port| {
            redis.port = port;
            redis.run()
        })?;
        redis.url = format!("redis://127.0.0.1:{}/", redis.port);
        Ok(redis)
    }

    /// Where clients find it: `redis://127.0.0.1:PORT/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port it listens on, also after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process, or the last one when it does not run.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Ends it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> Result<(), ServersError> {
        self.server.kill()
    }

    /// Lets it shut down, and waits until it is gone.
    pub fn stop(&mut self) -> Result<(), ServersError> {
        self.server.stop()
    }

    /// Starts it again on the same port and data, and waits until it has loaded them. Stops it first if it runs.
    pub fn restart(&mut self) -> Result<(), ServersError> {
        self.server.stop()?;
        self.run()
    }

    fn run(&mut self) -> Result<(), ServersError> {
        let port = self.port;
        let args = [self.config.as_os_str(), "--port".as_ref(), port.to_string().as_ref()].map(Into::into);
        let program = Program { path: self.program.clone(), args: args.into(), farewell: Signal::Terminate };
        // Until it listens it refuses connections, and while it loads its data it answers with errors.
        self.server.run(&program, |pid| is_ready(port, pid).unwrap_or(false))?;
        debug!(port, pid = self.pid(), "a private Redis runs");
        Ok(())
    }
}

/// Makes the folder if need be, and quotes its name for the configuration.
fn data_folder(path: &Path) -> Result<String, ServersError> {
    let folder = fs::create_dir_all(path)
        .and_then(|()| fs::canonicalize(path))
        .map_err(ServersError::doing(format!("create the folder {}", path.display())))?;
    Ok(folder.display().to_string().replace('\\', r"\\").replace('"', r#"\""#))
}

fn config(append_only: bool, data: &str, extra: &[(String, String)]) -> String {
    let append_only = if append_only { "yes" } else { "no" };
    let mut lines = format!(
        "bind 127.0.0.1\n\
         protected-mode yes\n\
         daemonize no\n\
         logfile \"\"\n\
         dir \"{data}\"\n\
         save \"\"\n\
         appendonly {append_only}\n\
         appendfsync everysec\n\
         maxmemory-policy noeviction\n"
    );
    for (directive, value) in extra {
        lines.extend([directive, " ", value, "\n"]);
    }
    lines
}

/// Does process `pid` answer on this port, with all of its data? Another server may have been faster to take it.
fn is_ready(port: u16, pid: u32) -> io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, LOOK)?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.write_all(b"PING\r\nINFO server\r\nQUIT\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    // One that asks for a password tells strangers nothing more, and so it has to do.
    let is_ours = answer.lines().any(|line| line == format!("process_id:{pid}"));
    Ok(answer.starts_with("-NOAUTH") || (answer.starts_with("+PONG") && is_ours))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// One command and its answer.
    fn ask(redis: &RedisServer, command: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).unwrap();
        write!(stream, "{command}\r\nQUIT\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_killed_redis_comes_back_where_it_was_with_what_it_had() {
        let mut redis = RedisServer::start(RedisOptions::default()).unwrap();
        let (url, pid) = (redis.url().to_owned(), redis.pid());
        assert_eq!(ask(&redis, "SET bread baked"), "+OK\r\n+OK\r\n");

        redis.kill().unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).is_err());
        redis.restart().unwrap();

        assert_eq!(ask(&redis, "GET bread"), "$5\r\nbaked\r\n+OK\r\n");
        assert_eq!(redis.url(), url);
        assert_ne!(redis.pid(), pid);
    }

    #[test]
    fn data_in_a_folder_of_the_callers_outlives_the_server() {
        let scratch = Scratch::new().unwrap();
        let dir = scratch.path().join("with \"quotes\" and \\ more");
        let options = RedisOptions { dir: Some(dir.clone()), ..RedisOptions::default() };
        let mut first = RedisServer::start(options.clone()).unwrap();
        assert_eq!(ask(&first, "SET bread baked"), "+OK\r\n+OK\r\n");
        first.stop().unwrap();
        drop(first);

        let second = RedisServer::start(options).unwrap();

        assert_eq!(ask(&second, "GET bread"), "$5\r\nbaked\r\n+OK\r\n");
        assert!(dir.is_dir());
    }

    #[test]
    fn a_port_that_somebody_took_is_noticed() {
        let mut redis = RedisServer::start(RedisOptions::default()).unwrap();
        redis.stop().unwrap();
        let _squatter = TcpListener::bind((Ipv4Addr::LOCALHOST, redis.port())).unwrap();

        assert!(redis.restart().unwrap_err().is_port_taken());
    }

    #[test]
    fn another_redis_on_the_port_is_not_taken_for_ours() {
        let other = RedisServer::start(RedisOptions::default()).unwrap();

        assert!(is_ready(other.port(), other.pid()).unwrap());
        assert!(!is_ready(other.port(), other.pid() + 1).unwrap());
    }

    #[test]
    fn a_redis_that_refuses_to_start_says_why() {
        let extra = vec![("no-such-directive".to_owned(), "1".to_owned())];
        let error = RedisServer::start(RedisOptions { extra, ..RedisOptions::default() }).unwrap_err();

        assert!(error.to_string().contains("no-such-directive"), "{error}");
    }

    #[test]
    fn a_redis_with_a_password_starts_too() {
        let extra = vec![("requirepass".to_owned(), "secret".to_owned())];
        let redis = RedisServer::start(RedisOptions { extra, ..RedisOptions::default() }).unwrap();

        assert!(ask(&redis, "PING").starts_with("-NOAUTH"));
    }
}
