//! Being told that rows were put in.
//!
//! A pooler that lends connections by the transaction takes a `LISTEN` and delivers nothing, and nobody says so.
//! So whoever listens first tells itself something, and knows by hearing it that it will hear others.

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::db::outbox::{CHANNEL, OutboxTable};

/// How long connecting, or an answer, may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long silence is believed before somebody asks whether the connection is still there.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A connection that listens.
#[derive(Debug)]
pub struct Ears(PgListener);

impl OutboxTable {
    /// Listens, over a connection that is not one of the pool's.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn listen(&self) -> Result<Ears, sqlx::Error> {
        let options = self.0.connect_options();
        let own = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let own = own.acquire_timeout(ANSWER_WITHIN).connect_lazy_with((*options).clone());
        let mut listener = PgListener::connect_with(&own).await?;
        listener.ignore_pool_close_event(true);
        // A broken connection is told, and the listener made anew by who asked for it.
        listener.eager_reconnect(false);
        in_time(listener.listen(CHANNEL)).await?;
        Ok(Ears(listener))
    }

    /// Whether what is notified arrives there.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn is_heard_by(&self, ears: &mut Ears) -> Result<bool, sqlx::Error> {
        let say = sqlx::query("/* brasa */ select pg_notify($1, 'can you hear me')").bind(CHANNEL);
        in_time(say.execute(&self.0)).await?;
        match tokio::time::timeout(ANSWER_WITHIN, ears.0.try_recv()).await {
            Ok(heard) => Ok(heard?.is_some()),
            Err(_) => Ok(false),
        }
    }
}

impl Ears {
    /// Waits until rows were put in.
    ///
    /// # Errors
    /// The connection is lost, and with it perhaps a notification.
    pub async fn hear(&mut self) -> Result<(), sqlx::Error> {
        loop {
            match tokio::time::timeout(SILENCE_MAX, self.0.try_recv()).await {
                Ok(Ok(Some(_))) => return Ok(()),
                Ok(Ok(None)) => return Err(sqlx::Error::Io(io::ErrorKind::ConnectionAborted.into())),
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    in_time(sqlx::query("/* brasa */ select 1").execute(&mut self.0)).await.map(drop)?;
                }
            }
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}
