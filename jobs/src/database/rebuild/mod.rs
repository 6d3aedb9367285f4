//! Rebuilding indexes that are mostly waste, beside the application and without a trace where it fails.
//!
//! `REINDEX INDEX CONCURRENTLY` builds a second index and takes the place of the first with it. Wherever it is interrupted it
//! leaves one of the two behind, which is kept by every write and used by no query. So the order of things is: what is going
//! to be done is noted in `brasa.care_actions` and committed; then it is done; then whatever it left is taken away and the
//! note is closed. Whoever comes after a crash finds the note, and the number of the index tells how far it came: still the
//! old one, and what is left is the half of a new one; another one, and what is left is the old one.
//!
//! An index that is valid is never dropped here. One that is not is dropped only if a note says that it is ours, nobody is
//! building it, and nobody works on its table; and never by waiting, for somebody who builds an index beside us would
//! otherwise be the one who loses.
//!
//! Not done here: other methods than the server's own (copies, triggers, swaps), and anything that writes wait for, but for
//! small unique indexes where the configuration says so.

mod build;
mod choose;
mod disk;
mod leftover;
mod note;
mod past;
mod plan;
mod preflight;
mod recover;
mod run;
mod upserts;

pub use build::{Built, Rebuild, rebuild};
pub use choose::{Choice, Reason, Saying};
pub use leftover::is_leftover_name;
pub use note::{Open, open_notes};
pub use past::{Past, note_ratios};
pub use plan::{Item, Plan, plan};
pub use preflight::unsafe_server;
pub use recover::{Recovered, recover};
pub use run::{Report, Run, RunError, Told, run};

pub(in crate::database) use upserts::{called, kept, names, written};

use sqlx::PgConnection;

/// What one session holds while it does any of this: the server lets go of it when the session ends, and not before. Only
/// ever tried: whoever waited for it would be waited for by a build.
const LOCK: (i32, i32) = (0x6272_6173, 1);

/// Takes the right to rebuild in this database, which one session has at a time; says whether it was free.
///
/// # Errors
/// What Postgres says.
pub async fn take_turn(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let ask = "/* brasa */ select pg_try_advisory_lock($1, $2)";
    sqlx::query_scalar(ask).bind(LOCK.0).bind(LOCK.1).fetch_one(connection).await
}

/// Which server and database this is, so that no note is ever taken for one about another: it may have come with a dump.
///
/// # Errors
/// What Postgres says.
pub async fn server(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let ask = "/* brasa */ select format('%s/%s/%s', s.system_identifier, d.oid,
            current_setting('server_version_num')::int / 10000)
        from pg_control_system() s, pg_database d where d.datname = current_database()";
    sqlx::query_scalar(ask).fetch_one(connection).await
}
