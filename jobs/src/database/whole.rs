//! Everything that would be done to a database now: what is analyzed, vacuumed and rebuilt.

use brasa_shared::config::Indexes;
use sqlx::PgConnection;

use super::rebuild;
use super::tables::{Analyzing, Due, Vacuuming, look, to_analyze, to_vacuum};

/// Everything that would be done.
#[derive(Debug, Clone)]
pub struct Whole {
    /// Tables that would be analyzed.
    pub analyze: Due<Analyzing>,
    /// Tables that would be vacuumed.
    pub vacuum: Due<Vacuuming>,
    /// Indexes that would be rebuilt, and all others.
    pub reindex: rebuild::Plan,
    /// What this is known by: whoever agrees to it agrees to this and to nothing else.
    pub hash: String,
}

const HASH: &str = "/* brasa */ select left(encode(sha256(convert_to($1, 'UTF8')), 'hex'), 12)";

/// Looks what would be done. Nothing is changed. `work` is of the role that would do it, `notes` of the one that owns schema
/// `brasa`.
///
/// # Errors
/// What Postgres says.
pub async fn whole(
    work: &mut PgConnection,
    notes: &mut PgConnection,
    rules: &Indexes,
) -> Result<Whole, sqlx::Error> {
    let tables = look(work, None).await?;
    let (analyze, vacuum) = (to_analyze(tables.clone(), false), to_vacuum(tables));
    // Without names there is nothing that could not be found.
    let reindex = rebuild::plan(work, notes, rules, &[]).await?.unwrap_or_default();
    let tables = analyze.tables.iter().map(|(table, _)| format!("analyze {}", table.name));
    let mut lines: Vec<_> = tables.collect();
    lines.extend(vacuum.tables.iter().map(|(table, why)| format!("vacuum {} {why:?}", table.name)));
    lines.push(reindex.hash.clone());
    let hash = sqlx::query_scalar(HASH).bind(lines.join("\n")).fetch_one(work).await?;
    Ok(Whole { analyze, vacuum, reindex, hash })
}
