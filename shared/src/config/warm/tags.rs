//! What values can be invalidated by: tags, and the tables that they are made of.

use crate::config::complaint::Complaint;
use crate::config::key_template::KeyTemplate;
use crate::config::section::Section;
use crate::db::changes::Dependency;

/// The most of either.
const MOST: usize = 8;

/// Reads `tags`; what stands in braces in them stands in the key, too.
pub(super) fn read(section: &mut Section<'_>, key: Option<&KeyTemplate>) -> Vec<KeyTemplate> {
    let tags = section.parsed_each("tags", |text| {
        if text.starts_with('~') {
            let help = "begin it with another character";
            return Err(Complaint::new("tags that begin with `~` are Brasa's own", help));
        }
        KeyTemplate::parse(text).map_err(Complaint::from)
    });
    let tags = tags.unwrap_or_default();
    check_count(section, "tags", tags.len());
    for tag in &tags {
        check_columns(section, "tags", key, &tag.placeholders());
    }
    tags
}

/// Reads `depends_on`; parameters of a table's columns stand in the key.
pub(super) fn read_dependencies(section: &mut Section<'_>, key: Option<&KeyTemplate>) -> Vec<Dependency> {
    let read = |text: &str| {
        let help = r#"write it as in depends_on = ["flights(origin)", "public.airlines"]"#;
        Dependency::parse(text).map_err(|error| Complaint::new(error.to_string(), help))
    };
    let tables = section.parsed_each("depends_on", read).unwrap_or_default();
    check_count(section, "depends_on", tables.len());
    for table in &tables {
        let params: Vec<&str> = table.columns.iter().map(|column| column.param.as_str()).collect();
        check_columns(section, "depends_on", key, &params);
    }
    tables
}

fn check_count(section: &Section<'_>, at: &'static str, count: usize) {
    if count > MOST {
        section.report(
            at,
            format!("{count} are too many"),
            format!("at most {MOST}: each is looked at whenever a value is"),
        );
    }
}

fn check_columns(section: &Section<'_>, at: &'static str, key: Option<&KeyTemplate>, used: &[&str]) {
    let Some(known) = key.map(KeyTemplate::placeholders) else { return };
    for column in used.iter().filter(|column| !known.contains(*column)) {
        let help = match known.as_slice() {
            [] => "the key has no columns in braces".to_owned(),
            known => format!("the key has: {}", known.join(", ")),
        };
        section.report(at, format!("`{column}` does not stand in the key"), help);
    }
}
