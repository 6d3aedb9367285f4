//! Names in SQL.

/// A name in quotes, so that it is that name and nothing else, whatever is in it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
