//! The tables that warmers depend on.

use brasa_shared::db::changes::Dependency;

use crate::app::{App, unknown};
use crate::failure::Failure;

/// What warmers depend on, each once, with the names of those warmers.
pub(crate) fn dependents(app: &App) -> Vec<(Dependency, Vec<String>)> {
    let mut all: Vec<(Dependency, Vec<String>)> = Vec::new();
    for (name, warmer) in &app.config.warm {
        for dependency in &warmer.depends_on {
            match all.iter_mut().find(|(known, _)| known == dependency) {
                Some((_, names)) => names.push(name.clone()),
                None => all.push((dependency.clone(), vec![name.clone()])),
            }
        }
    }
    all
}

/// What warmers depend on; of these tables only, where some are named.
pub(super) fn chosen(app: &App, named: &[String]) -> Result<Vec<Dependency>, Failure> {
    let all: Vec<Dependency> = dependents(app).into_iter().map(|(dependency, _)| dependency).collect();
    if named.is_empty() {
        return Ok(all);
    }
    let mut found: Vec<Dependency> = Vec::new();
    for (wanted, text) in parse_all(named)?.iter().zip(named) {
        let before = found.len();
        found.extend(all.iter().filter(|known| is_same(known, wanted)).cloned());
        if found.len() == before {
            let tables: Vec<String> = all.iter().map(|known| bare(known).to_string()).collect();
            return Err(unknown("table in `depends_on`", text, &tables));
        }
    }
    Ok(found)
}

/// Tables as people name them.
pub(super) fn parse_all(named: &[String]) -> Result<Vec<Dependency>, Failure> {
    let parse = |text: &String| {
        let parsed = Dependency::parse(text).map_err(|error| Failure::usage(format!("--table: {error}")))?;
        Ok(bare(&parsed))
    };
    named.iter().map(parse).collect()
}

/// Whether a dependency is one on this table, which is written with its schema.
pub(crate) fn means(dependency: &Dependency, table: &str) -> bool {
    Dependency::parse(table).is_ok_and(|table| is_same(dependency, &table))
}

/// Whether both are the same table. Without a schema it is whichever the search path finds.
fn is_same(one: &Dependency, other: &Dependency) -> bool {
    let schemas = one.schema.as_ref().zip(other.schema.as_ref());
    one.table == other.table && schemas.is_none_or(|(one, other)| one == other)
}

/// The table alone.
fn bare(dependency: &Dependency) -> Dependency {
    Dependency { columns: Vec::new(), ..dependency.clone() }
}
