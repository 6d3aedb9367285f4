//! One batch: rows are written and the offset moves on, in one transaction.
//!
//! First as if all were well: every row in its statement. If the database refuses, everything is taken back and done
//! again with savepoints: halves are written as long as they can be, and what cannot be written by itself is buried in
//! the same transaction. So a crash at any point leaves either nothing of a batch, or all of it with its offset.

use std::time::Duration;

use brasa_shared::config::Write;
use brasa_shared::db::writes::{Buried, Done, Standing, StreamOf, advance, bury, forget};
use brasa_shared::place::Place;
use brasa_shared::streams::Entry;
use sqlx::postgres::PgDatabaseError;
use sqlx::{Connection as _, PgConnection};

use crate::writes::gather::Gathered;
use crate::writes::numbers::Numbers;
use crate::writes::row::{Poison, Row};
use crate::writes::statement::insert_rows;
use crate::writes::table::Table;

/// Classes of SQLSTATE that are no fault of rows: the connection, serialisation, resources, locks, operators, the system.
const PASSING: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
/// The database takes no writes at present.
const READ_ONLY: &str = "25006";

/// Why a batch was not written. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// Another one has the stream by now, or it was paused.
    #[error("the stream was taken over or paused")]
    Lost,
    /// It may go better a little later.
    #[error("the database did not write")]
    Passing(#[source] sqlx::Error),
    /// The table is not what it was.
    #[error("the table does not take these rows any more")]
    Table(#[source] sqlx::Error),
    /// The database refuses it for what it is.
    #[error("{}", .0.message)]
    Refused(Poison),
}

/// What writes the rows of one name.
#[derive(Debug)]
pub struct Flusher<'a> {
    /// The configuration.
    pub write: &'a Write,
    /// The table, as it was looked at last.
    pub table: &'a Table,
    /// Which stream.
    pub stream: &'a StreamOf,
    /// How long its owner has it from each batch on.
    pub lease: Duration,
}

/// An entry with the row that it is.
struct Given<'a> {
    entry: &'a Entry,
    row: &'a Row,
}

/// What is written together.
#[derive(Default)]
struct Batch<'a> {
    /// The last of its entries.
    to: Place,
    /// How many it has.
    entries: usize,
    /// Those that can be written, as far as is known.
    given: Vec<Given<'a>>,
    dead: Vec<Buried>,
    /// How many came again.
    doubled: usize,
    numbers: Numbers,
}

impl<'a> Batch<'a> {
    fn push(&mut self, entry: &'a Entry, row: &'a Result<Row, Poison>) {
        match row {
            Ok(row) => self.given.push(Given { entry, row }),
            Err(poison) => self.dead.push(buried(entry, poison.clone())),
        }
    }

    fn done(&self) -> Done {
        let (entries, dead, doubled) = (count(self.entries), count(self.dead.len()), count(self.doubled));
        Done { entries, rows: entries - dead - doubled, dead, doubled }
    }
}

impl Flusher<'_> {
    /// Writes entries that stand behind what is written, in their order; returns where the stream stands then.
    ///
    /// # Errors
    /// See [`FlushError`].
    pub async fn flush(
        &self,
        connection: &mut PgConnection,
        standing: &Standing,
        gathered: &Gathered,
    ) -> Result<(Standing, Done), FlushError> {
        let Some(to) = gathered.last() else { return Ok((standing.clone(), Done::default())) };
        let numbers = Numbers::of(connection, self.stream, gathered).await.map_err(FlushError::Passing)?;
        let mut batch = Batch { to, entries: gathered.0.len(), numbers, ..Batch::default() };
        for (entry, row) in &gathered.0 {
            if batch.numbers.is_new(entry) {
                batch.push(entry, row);
            } else {
                batch.doubled += 1;
            }
        }
        let done = self.write_batch(connection, standing, batch).await?;
        Ok((Standing { place: to, ..standing.clone() }, done))
    }

    /// Writes what is new among entries that stand where everything is written already: another server has given such ids
    /// again, or has not heard that they were trimmed. The numbers of their producers tell. Of one without a number nobody
    /// knows: it is buried, unless it is so much older than `recent` that only the latter can be.
    ///
    /// # Errors
    /// See [`FlushError`].
    pub async fn recover(
        &self,
        connection: &mut PgConnection,
        standing: &Standing,
        gathered: &Gathered,
        recent: Duration,
    ) -> Result<Done, FlushError> {
        let numbers = Numbers::of(connection, self.stream, gathered).await.map_err(FlushError::Passing)?;
        let mut batch = Batch { to: standing.place, numbers, ..Batch::default() };
        let since_ms = standing.place.ms - i64::try_from(recent.as_millis()).unwrap_or(i64::MAX);
        for (entry, row) in &gathered.0 {
            match &entry.number {
                Some(_) if !batch.numbers.is_new(entry) => {}
                Some(_) => batch.push(entry, row),
                None if entry.place.ms < since_ms => {}
                None => batch.dead.push(buried(entry, doubtful())),
            }
        }
        batch.entries = batch.given.len() + batch.dead.len();
        if batch.entries == 0 {
            return Ok(Done::default());
        }
        self.write_batch(connection, standing, batch).await
    }

    async fn write_batch(
        &self,
        connection: &mut PgConnection,
        standing: &Standing,
        mut batch: Batch<'_>,
    ) -> Result<Done, FlushError> {
        let done = match self.all_at_once(connection, standing, &batch).await {
            Err(Refusal::Poison(_)) => self.bisecting(connection, standing, &mut batch).await,
            other => other,
        };
        match done {
            Ok(done) => Ok(done),
            Err(Refusal::Error(error)) => Err(error),
            // Its savepoints have seen all rows, one by one in the end.
            Err(Refusal::Poison(poison)) => Err(FlushError::Refused(poison)),
        }
    }

    async fn write(&self, connection: &mut PgConnection, given: &[&Given<'_>]) -> Result<(), sqlx::Error> {
        let rows: Vec<&Row> = given.iter().map(|given| given.row).collect();
        insert_rows(connection, self.write, self.table, &rows).await
    }

    async fn all_at_once(
        &self,
        connection: &mut PgConnection,
        standing: &Standing,
        batch: &Batch<'_>,
    ) -> Result<Done, Refusal> {
        let mut transaction = connection.begin().await.map_err(Refusal::of)?;
        let done = batch.done();
        self.move_on(&mut transaction, standing, batch, done).await?;
        let all: Vec<&Given<'_>> = batch.given.iter().collect();
        self.write(&mut transaction, &all).await.map_err(Refusal::of)?;
        if !batch.dead.is_empty() {
            bury(&mut transaction, self.stream, &batch.dead).await.map_err(Refusal::of_ours)?;
        }
        transaction.commit().await.map_err(Refusal::of)?;
        Ok(done)
    }

    async fn bisecting(
        &self,
        connection: &mut PgConnection,
        standing: &Standing,
        batch: &mut Batch<'_>,
    ) -> Result<Done, Refusal> {
        let mut transaction = connection.begin().await.map_err(Refusal::of)?;
        // What is checked at the end of a transaction would not say which rows it means.
        let at_once = sqlx::query("set constraints all immediate").execute(&mut *transaction);
        at_once.await.map_err(Refusal::of_ours)?;
        let all: Vec<&Given<'_>> = batch.given.iter().collect();
        // All together have just been refused.
        let (first, second) = all.split_at(all.len() / 2);
        let mut parts: Vec<&[&Given<'_>]> = vec![second, first];
        parts.retain(|part| !part.is_empty());
        while let Some(part) = parts.pop() {
            let mut inner = transaction.begin().await.map_err(Refusal::of)?;
            match self.write(&mut inner, part).await {
                Ok(()) => inner.commit().await.map_err(Refusal::of)?,
                Err(error) => {
                    let poison = match Refusal::of(error) {
                        Refusal::Poison(poison) => poison,
                        refusal @ Refusal::Error(_) => return Err(refusal),
                    };
                    inner.rollback().await.map_err(Refusal::of)?;
                    match part {
                        [one] => batch.dead.push(buried(one.entry, poison)),
                        part => {
                            let (first, second) = part.split_at(part.len() / 2);
                            parts.extend([second, first]);
                        }
                    }
                }
            }
        }
        let done = batch.done();
        self.move_on(&mut transaction, standing, batch, done).await?;
        // In the order in which they came, so that they can be replayed in it.
        batch.dead.sort_by_key(|dead| dead.entry.parse::<Place>().unwrap_or_default());
        bury(&mut transaction, self.stream, &batch.dead).await.map_err(Refusal::of_ours)?;
        transaction.commit().await.map_err(Refusal::of)?;
        Ok(done)
    }

    async fn move_on(
        &self,
        connection: &mut PgConnection,
        standing: &Standing,
        batch: &Batch<'_>,
        done: Done,
    ) -> Result<(), Refusal> {
        let moved = advance(connection, self.stream, standing, batch.to, done, self.lease).await;
        if !moved.map_err(Refusal::of_ours)? {
            return Err(Refusal::Error(FlushError::Lost));
        }
        batch.numbers.note(connection, self.stream).await.map_err(Refusal::of_ours)
    }
}

/// Writes a row of the dead letter after all, in the transaction that takes it out of there.
///
/// # Errors
/// See [`FlushError`]; then it is where it was.
pub async fn replay(
    connection: &mut PgConnection,
    write: &Write,
    table: &Table,
    id: i64,
    payload: &[u8],
) -> Result<(), FlushError> {
    let row = Row::of(payload, write, table).map_err(FlushError::Refused)?;
    let written = async {
        let mut transaction = connection.begin().await.map_err(Refusal::of)?;
        if forget(&mut transaction, &[id]).await.map_err(Refusal::of_ours)? == 0 {
            return Err(Refusal::Error(FlushError::Lost));
        }
        insert_rows(&mut transaction, write, table, &[&row]).await.map_err(Refusal::of)?;
        transaction.commit().await.map_err(Refusal::of)
    };
    written.await.map_err(|refusal| match refusal {
        Refusal::Error(error) => error,
        Refusal::Poison(poison) => FlushError::Refused(poison),
    })
}

/// What kept a transaction from its end.
enum Refusal {
    /// Rows were refused, for this reason.
    Poison(Poison),
    /// It has nothing to do with the rows.
    Error(FlushError),
}

impl Refusal {
    /// What the database's refusal of somebody's rows means.
    fn of(error: sqlx::Error) -> Self {
        let Some(said) = error.as_database_error() else { return Self::Error(FlushError::Passing(error)) };
        let code = said.code().unwrap_or_default().into_owned();
        // Of a read-only server too: it is one that was just given up, or not yet taken over.
        if PASSING.iter().any(|class| code.starts_with(class)) || code == READ_ONLY {
            return Self::Error(FlushError::Passing(error));
        }
        if code.starts_with("42") {
            return Self::Error(FlushError::Table(error));
        }
        let postgres = said.try_downcast_ref::<PgDatabaseError>();
        let at_fault = postgres.and_then(|said| said.constraint().or(said.column()));
        let detail = postgres.and_then(PgDatabaseError::detail).map(|detail| format!(" ({detail})"));
        let message = format!("{}{}", said.message(), detail.unwrap_or_default());
        Self::Poison(Poison { sqlstate: Some(code), at_fault: at_fault.map(ToOwned::to_owned), message })
    }

    /// The same for our own tables, which take whatever we write.
    fn of_ours(error: sqlx::Error) -> Self {
        Self::Error(FlushError::Passing(error))
    }
}

/// Why a row is buried of which nobody knows whether it is written.
fn doubtful() -> Poison {
    let message = "Redis failed over, and this row has the place of one that is written: nobody knows whether it is \
                   that one. Replay it if the table does not have it; numbered rows are told apart";
    Poison { sqlstate: None, at_fault: None, message: message.to_owned() }
}

fn buried(entry: &Entry, poison: Poison) -> Buried {
    Buried {
        entry: entry.place.to_string(),
        payload: entry.row.clone().unwrap_or_default(),
        sqlstate: poison.sqlstate,
        at_fault: poison.at_fault,
        message: poison.message,
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
