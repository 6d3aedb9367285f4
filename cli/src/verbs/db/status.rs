//! `brasa db status`: what database care may do, does, and left.

use brasa_jobs::database::capability::{Capability, Standing, capabilities};
use brasa_jobs::database::rebuild::{Open, open_notes};
use brasa_jobs::database::session::Session;
use brasa_jobs::database::tables::holders;
use clap::Args;
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::app::{App, greet_postgres};
use crate::failure::{Failure, chain};
use crate::output::{Output, distance};

/// From when on a holder of old rows is worth a word, in transactions.
const OLD: i64 = 1_000;

const RUNNING: &str = "select pid, coalesce(relid::regclass::text, '?') as what, phase,
        coalesce(blocks_done::float8 / nullif(blocks_total, 0), 0) as share, command
    from pg_stat_progress_create_index where datname = current_database()
    union all
    select pid, coalesce(relid::regclass::text, '?'), phase,
        coalesce(heap_blks_scanned::float8 / nullif(heap_blks_total, 0), 0), 'VACUUM'
    from pg_stat_progress_vacuum where datname = current_database()
    union all
    select pid, coalesce(relid::regclass::text, '?'), phase,
        coalesce(sample_blks_scanned::float8 / nullif(sample_blks_total, 0), 0), 'ANALYZE'
    from pg_stat_progress_analyze where datname = current_database()";

/// Say what database care may do here, what it does now, and what is left of it
#[derive(Debug, Args)]
pub(crate) struct Status {}

impl Status {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = app.pool_needed()?;
        greet_postgres(&pool).await?;
        // Without a session that could change something there is still much to be said.
        let session = Session::open(&app.config, Some(&pool)).await;
        let refused = session.as_ref().err().map(|error| chain(error));
        let mut own = pool.acquire().await?;
        let mut session = session.ok();
        let connection = match &mut session {
            Some(session) => session.work(),
            None => &mut own,
        };
        let capabilities = capabilities(connection).await?;
        let holders = holders(connection, OLD).await?;
        let running = sqlx::query(RUNNING).fetch_all(&mut *connection).await?;
        let has_ledger = !capabilities
            .iter()
            .any(|known| known.what == "note what is done" && known.standing != Standing::Well);
        let mut notes = pool.acquire().await?;
        let open = if has_ledger { open_notes(&mut notes).await? } else { Vec::new() };
        if let Some(session) = session {
            session.close().await;
        }
        print_mode(app, out, refused.as_deref())?;
        out.table(["", "CAN", "WHAT IS MISSING"], capabilities.iter().map(row).collect(), "")?;
        for (who, age) in &holders {
            out.line(format!("rows of {age} transactions are held by {who}"))?;
        }
        let mut now = Vec::new();
        for row in &running {
            let (what, phase): (String, String) = (row.try_get("what")?, row.try_get("phase")?);
            let (command, share): (String, f64) = (row.try_get("command")?, row.try_get("share")?);
            let pid: i32 = row.try_get("pid")?;
            out.line(format!(
                "running: {command} of {what}, {phase}, {:.0} % (session {pid})",
                share * 100.0
            ))?;
            now.push(json!({ "command": command, "what": what, "phase": phase, "share": share, "pid": pid }));
        }
        for note in &open {
            out.line(format!(
                "a rebuild of {} was begun, and its end is not known: the next run looks after it",
                name(note)
            ))?;
        }
        out.value(&json!({
            "mode": app.config.maintenance.mode.word(),
            "session": refused.map_or_else(|| json!("ok"), |why| json!({ "refused": why })),
            "window_open": app.config.maintenance.windows.open_until(app.clock.now()).is_some(),
            "capabilities": capabilities.iter().map(value).collect::<Vec<_>>(),
            "holders": holders.iter().map(|(who, age)| json!({ "who": who, "age": age })).collect::<Vec<_>>(),
            "running": now,
            "open": open.iter().map(name).collect::<Vec<_>>(),
        }))
    }
}

fn print_mode(app: &App, out: &mut Output, refused: Option<&str>) -> Result<(), Failure> {
    let care = &app.config.maintenance;
    let now = app.clock.now();
    let window = match (care.windows.open_until(now), care.windows.next(now)) {
        _ if care.windows.windows.is_empty() => "changes may be made at any time".to_owned(),
        (Some(end), _) => format!("the window is open, and ends {}", distance(end.duration_since(now))),
        (None, Some(next)) => format!("the next window begins {}", distance(next.duration_since(now))),
        (None, None) => "there is no window within a week".to_owned(),
    };
    out.line(format!("mode: {}; {window}", care.mode.word()))?;
    if let Some(why) = refused {
        out.line(format!("nothing can be changed: {why}"))?;
    }
    Ok(())
}

fn name(note: &Open) -> String {
    format!("{}.{}", note.schema, note.index)
}

fn row(capability: &Capability) -> [String; 3] {
    let (mark, missing) = match &capability.standing {
        Standing::Well => ("yes", String::new()),
        Standing::Missing(grant) => ("no", grant.clone()),
        Standing::Partly(why) => ("partly", why.clone()),
        Standing::Unsafe(why) => ("never", why.clone()),
    };
    [mark.to_owned(), capability.what.to_owned(), missing]
}

fn value(capability: &Capability) -> Value {
    let (standing, why) = match &capability.standing {
        Standing::Well => ("ok", None),
        Standing::Missing(grant) => ("missing", Some(grant)),
        Standing::Partly(why) => ("partly", Some(why)),
        Standing::Unsafe(why) => ("unsafe", Some(why)),
    };
    json!({ "what": capability.what, "standing": standing, "missing": why })
}
