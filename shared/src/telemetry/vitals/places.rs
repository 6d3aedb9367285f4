//! Where Redis and Postgres keep their data, where they are on this machine and say so.

use std::path::PathBuf;

use crate::db::Pools;
use crate::store::Store;

/// After how many looks Redis is asked again, where it did not say.
const ASK_AGAIN: u32 = 30;

/// Nothing, and no error in anybody's log, for a role that may not know.
const DATA: &str = "select current_setting('data_directory')
    where pg_has_role('pg_read_all_settings', 'usage')";

/// The folders whose file systems are looked at.
#[derive(Debug, Default)]
pub(super) struct Places {
    redis: Option<PathBuf>,
    postgres: Option<PathBuf>,
    /// Whether Postgres has been asked; what it does not tell us once it never does.
    is_postgres_asked: bool,
    looks: u32,
}

impl Places {
    /// Those that are known, with whose they are.
    pub(super) fn known(&self) -> Vec<(&'static str, PathBuf)> {
        let own = std::env::current_dir().ok();
        let all = [("own", own), ("redis", self.redis.clone()), ("postgres", self.postgres.clone())];
        all.into_iter().filter_map(|(of, path)| Some((of, path?))).collect()
    }

    /// Asks the servers that have not said it.
    pub(super) async fn ask(&mut self, store: &Store, pools: &Pools, redis_answers: bool) {
        let is_time = self.looks.is_multiple_of(ASK_AGAIN);
        self.looks = self.looks.wrapping_add(1);
        if is_time && self.redis.is_none() && redis_answers && is_here(store.address()) {
            self.redis = of_redis(store).await;
        }
        if !self.is_postgres_asked
            && let Some(answer) = of_postgres(pools).await
        {
            self.is_postgres_asked = true;
            self.postgres = Some(PathBuf::from(answer)).filter(|path| path.is_absolute());
        }
    }
}

async fn of_redis(store: &Store) -> Option<PathBuf> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("dir");
    let answer: Vec<String> = store.run("say where its data is", &command).await.ok()?;
    answer.into_iter().nth(1).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// What it answered, which is empty where we may not know; none where there is no connection that is there and free, for
/// none is made for this.
async fn of_postgres(pools: &Pools) -> Option<String> {
    for (_, pool) in pools.open() {
        let options = pool.connect_options();
        let is_here = options.get_socket().is_some() || is_here(options.get_host());
        if let Some(mut connection) = pool.try_acquire().filter(|_| is_here) {
            let asked = sqlx::query_scalar::<_, String>(DATA).fetch_optional(&mut *connection).await.ok()?;
            return Some(asked.unwrap_or_default());
        }
    }
    None
}

/// Whether an address, with or without a port, is one of this machine.
fn is_here(address: &str) -> bool {
    let starts = ["127.", "localhost", "[::1]", "::1", "/"];
    starts.iter().any(|start| address.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_of_this_machine_are_asked_for_their_folders() {
        for here in ["127.0.0.1:6379", "localhost:6379", "[::1]:6379", "::1", "/run/redis.sock"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["10.0.0.1:6379", "redis:6379", "cache.example.com:6379"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
