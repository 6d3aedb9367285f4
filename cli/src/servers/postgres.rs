//! A private Postgres.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::debug;

use super::process::Program;
use super::server::Server;
use super::user::User;
use super::{Scratch, ServersError, Signal, ports, programs, scratch, wait};

/// The role that owns the cluster.
///
/// Not `brasa`: the search path begins with the schema named like the user, and that schema is ours.
const OWNER: &str = "app";

/// The longest folder whose socket's name still fits into an address, on every system.
const SOCKET_FOLDER_MAX: usize = 80;
/// How long processes of a run whose first was killed may take to notice it.
const ORPHANS_LIMIT: Duration = Duration::from_secs(20);

/// How a private Postgres is to be set up.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Whether it waits for the disk. Data that need not survive a power failure is written faster without.
    pub fsync: bool,
    /// Further settings, as in `postgresql.conf`: name and value. They win over ours.
    pub extra: Vec<(String, String)>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { fsync: true, extra: Vec::new() }
    }
}

/// A real Postgres with a cluster of its own, as a private child of this process. Dropping it ends it.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    options: PostgresOptions,
    password: String,
    port: u16,
    server: Server,
}

impl PostgresServer {
    /// Makes a cluster, starts a server on a free port and waits until it takes connections.
    pub fn start(options: PostgresOptions) -> Result<Self, ServersError> {
        let programs = programs::postgres()?;
        let server = Server::new(Scratch::owned_by(User::instead_of_root()?)?)?;
        let password = scratch::random_name()?;
        let mut postgres = Self { programs, options, password, port: 0, server };
        postgres.create_cluster()?;
        ports::on_a_free_one(|port| {
            postgres.port = port;
            postgres.run()
        })?;
        Ok(postgres)
    }

    /// Copies this server, which has to run, into one that follows it and only reads.
    pub fn standby(&self, options: PostgresOptions) -> Result<Self, ServersError> {
        let server = Server::new(Scratch::owned_by(User::instead_of_root()?)?)?;
        let (programs, password) = (self.programs.clone(), self.password.clone());
        let mut standby = Self { programs, options, password, port: 0, server };
        let mut pgdata = OsString::from("--pgdata=");
        pgdata.push(standby.data());
        let source = format!("--dbname={}", self.url("postgres"));
        let fixed = ["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync"];
        let args = [pgdata, source.into()].into_iter().chain(fixed.map(Into::into)).collect();
        let path = standby.programs.join("pg_basebackup");
        standby.server.prepare(&Program { path, args, farewell: Signal::Kill })?;
        ports::on_a_free_one(|port| {
            standby.port = port;
            standby.run()
        })?;
        Ok(standby)
    }

    /// Where clients find a database of it, with the name and the password of its owner. A fresh cluster has
    /// `postgres` only.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The port it listens on, also after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its first process, or the last such when it does not run.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Ends all of its processes with SIGKILL, as a power failure would, and waits until they are gone.
    pub fn kill(&mut self) -> Result<(), ServersError> {
        self.server.kill()
    }

    /// Shuts it down at once (its "immediate" mode: the next start recovers), and waits until it is gone.
    pub fn stop(&mut self) -> Result<(), ServersError> {
        self.server.stop()
    }

    /// Starts it again on the same port and data, and waits until it takes connections. Stops it first if it runs.
    pub fn restart(&mut self) -> Result<(), ServersError> {
        self.server.stop()?;
        let started = wait::until(ORPHANS_LIMIT, || match self.run() {
            Err(error) if error.is_memory_in_use() => Ok(None),
            ended => ended.map(Some),
        })?;
        // Whatever it says after that is what is so.
        started.map_or_else(|| self.run(), Ok)
    }

    fn data(&self) -> PathBuf {
        // The warden looks for the lock file here.
        self.server.scratch().path().join("data")
    }

    fn create_cluster(&mut self) -> Result<(), ServersError> {
        let password = self.server.scratch().write("password", &self.password)?;
        match self.server.prepare(&self.initdb("C.UTF-8", &password)) {
            // Not every system has it; this one all of them have.
            Err(error) if error.is_locale_unknown() => self.server.prepare(&self.initdb("C", &password))?,
            made => made?,
        }
        fs::remove_file(&password).map_err(ServersError::doing(format!("remove {}", password.display())))
    }

    fn initdb(&self, locale: &str, password: &Path) -> Program {
        let mut pgdata = OsString::from("--pgdata=");
        pgdata.push(self.data());
        let mut pwfile = OsString::from("--pwfile=");
        pwfile.push(password);
        let owner = format!("--username={OWNER}");
        let locale = format!("--locale={locale}");
        // A cluster that is gone after the next power failure anyway need not reach the disk.
        // One that failed is the warden's to remove: its lock file names the memory that was shared.
        let fixed = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--no-clean"];
        let args = [pgdata, pwfile, owner.into(), locale.into()].into_iter().chain(fixed.map(Into::into));
        // Asking would not help: the child that does the work ends without cleaning up, however it is told.
        Program { path: self.programs.join("initdb"), args: args.collect(), farewell: Signal::Kill }
    }

    fn run(&mut self) -> Result<(), ServersError> {
        let program = self.postgres();
        let lock = self.data().join("postmaster.pid");
        // The file is not there yet, or is the one of an earlier run.
        self.server.run(&program, |pid| is_ready(&lock, pid))?;
        debug!(port = self.port, pid = self.pid(), "a private Postgres runs");
        Ok(())
    }

    fn postgres(&self) -> Program {
        let folder = self.server.scratch().path().display().to_string();
        let sockets = if folder.len() <= SOCKET_FOLDER_MAX { folder } else { String::new() };
        let ours = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", sockets),
            ("fsync", self.options.fsync.to_string()),
            // Files in the cluster's folder, which go with it, also when nobody had time to remove them.
            ("dynamic_shared_memory_type", "mmap".to_owned()),
            // What statements cost is part of what there is to see. Not everybody has installed it.
            ("shared_preload_libraries", programs::postgres_preloads(&self.programs).to_owned()),
        ];
        let extra = self.options.extra.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let mut args = vec!["-D".into(), self.data().into_os_string()];
        for (name, value) in ours.into_iter().chain(extra) {
            args.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        // SIGQUIT is its immediate shutdown, which needs no client to agree and still gives back the memory it
        // shares.
        Program { path: self.programs.join("postgres"), args, farewell: Signal::Quit }
    }
}

/// Does the lock file of the cluster say that process `pid` takes connections? That is in its eighth line.
fn is_ready(lock: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(lock) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let takes_connections = matches!(lines.get(7), Some(&("ready" | "standby")));
    lines.first() == Some(&pid.to_string().as_str()) && takes_connections
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_killed_postgres_comes_back_where_it_was() {
        let mut postgres = PostgresServer::start(PostgresOptions::default()).unwrap();
        let (url, pid) = (postgres.url("postgres"), postgres.pid());

        postgres.kill().unwrap();
        postgres.restart().unwrap();

        assert_eq!(postgres.url("postgres"), url);
        assert_ne!(postgres.pid(), pid);
    }

    #[test]
    fn a_port_that_somebody_took_is_noticed() {
        let mut postgres = PostgresServer::start(PostgresOptions::default()).unwrap();
        postgres.stop().unwrap();
        let _squatter = TcpListener::bind((Ipv4Addr::LOCALHOST, postgres.port())).unwrap();

        assert!(postgres.restart().unwrap_err().is_port_taken());
    }

    #[test]
    fn a_postgres_that_refuses_to_start_says_why() {
        let extra = vec![("no_such_setting".to_owned(), "1".to_owned())];
        let error =
            PostgresServer::start(PostgresOptions { extra, ..PostgresOptions::default() }).unwrap_err();

        assert!(error.to_string().contains("no_such_setting"), "{error}");
    }
}
