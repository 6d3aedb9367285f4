//! What a warmer makes of the parameters of a value: its key, its tags, and what of it a change touches.

use brasa_shared::cache::{Description, Entry, PROTOCOL, params_of, texts_of};
use brasa_shared::config::{KeyTemplate, MissingColumn, VERSION, Warmer};
use brasa_shared::db::changes::Dependency;

/// What a warmer makes of the parameters of a value.
#[derive(Debug, Clone)]
pub struct Shape {
    name: String,
    template: KeyTemplate,
    version: String,
    columns: Vec<String>,
    tags: Vec<KeyTemplate>,
    dependencies: Vec<Dependency>,
}

/// What a change of a table touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// One value.
    Entry(Entry),
    /// All values with this tag.
    Tag(String),
}

impl Shape {
    /// The shape of the warmer `name`.
    pub fn of(name: &str, warmer: &Warmer) -> Self {
        let columns: Vec<String> = warmer.columns().into_iter().map(ToOwned::to_owned).collect();
        let own = warmer.depends_on.iter().flat_map(|dependency| tags_of(dependency, &columns));
        let own = own.chain([format!("~warmer:{name}")]);
        // What is written here is a template: braces are doubled, and placeholders are columns of the key.
        let parse = |text: String| KeyTemplate::parse(&text).ok();
        Self {
            name: name.to_owned(),
            template: warmer.key.clone(),
            version: warmer.version(),
            tags: warmer.tags.iter().cloned().chain(own.filter_map(parse)).collect(),
            dependencies: warmer.depends_on.clone(),
            columns,
        }
    }

    /// The name of the warmer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the parameters, in their order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The version of the warmer's definition.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The value with these parameters.
    ///
    /// # Errors
    /// There are fewer than the key needs.
    pub fn entry<T: AsRef<str>>(&self, texts: &[T]) -> Result<Entry, MissingColumn> {
        Ok(Entry { key: self.render(&self.template, texts)?, params: params_of(texts) })
    }

    /// The same for parameters that are one text; nothing where they are none of this warmer's.
    pub fn entry_of(&self, params: &str) -> Option<Entry> {
        let texts = texts_of(params)?;
        if texts.len() == self.columns.len() { self.entry(&texts).ok() } else { None }
    }

    /// The parameters that make this key, in their order; none where none do, or where several might.
    pub fn texts_of_key(&self, key: &str) -> Option<Vec<String>> {
        let texts = self.template.read_back(key, &self.version)?;
        Some(texts.into_iter().map(ToOwned::to_owned).collect())
    }

    /// The tags of the value with these parameters.
    pub fn tags<T: AsRef<str>>(&self, texts: &[T]) -> Vec<String> {
        let tags = self.tags.iter().filter_map(|tag| self.render(tag, texts).ok());
        // Tags stand in lines.
        tags.map(|tag| tag.replace(['\n', '\r'], " ")).collect()
    }

    /// What a change of the table at this place of `depends_on` touches: the rows with these texts in its columns, or
    /// all rows.
    pub fn touched(&self, place: usize, keys: Option<&[String]>) -> Vec<Touched> {
        let Some(dependency) = self.dependencies.get(place) else { return Vec::new() };
        let base = Touched::Tag(base_of(dependency));
        let Some(keys) = keys.filter(|keys| keys.len() == dependency.columns.len() && !keys.is_empty())
        else {
            return vec![base];
        };
        let text_of = |name: &str| {
            let place = dependency.columns.iter().position(|column| column.param == name)?;
            keys.get(place).map(String::as_str)
        };
        let texts: Option<Vec<&str>> = self.columns.iter().map(|column| text_of(column)).collect();
        if let Some(entry) = texts.and_then(|texts| self.entry(&texts).ok()) {
            vec![Touched::Entry(entry)]
        } else {
            let tag = format!("{}={}", base_of(dependency), keys.join(","));
            vec![Touched::Tag(tag.replace(['\n', '\r'], " "))]
        }
    }

    /// Which changes touch values, and which values those are, as a text; none where no change does.
    pub fn touches(&self) -> Option<String> {
        if self.dependencies.is_empty() {
            return None;
        }
        let tables: Vec<String> = self.dependencies.iter().map(ToString::to_string).collect();
        let version = if self.template.has_version() { self.version.as_str() } else { "" };
        Some(format!("{} -> {} {version}", tables.join(", "), self.template))
    }

    /// What readers need to know.
    pub fn describe(&self, warmer: &Warmer, lease_ms: u64, current: &str) -> Description {
        Description {
            protocol: PROTOCOL,
            key: self.template.to_string(),
            params: self.columns.clone(),
            is_askable: warmer.is_askable(),
            tags: self.tags.iter().map(ToString::to_string).collect(),
            ttl_ms: u64::try_from(warmer.lives.ttl.as_millis()).unwrap_or(u64::MAX),
            lease_ms,
            version: self.version.clone(),
            current: current.to_owned(),
            bytes_max: warmer.bytes_max,
        }
    }

    fn render<T: AsRef<str>>(&self, template: &KeyTemplate, texts: &[T]) -> Result<String, MissingColumn> {
        let value_of = |name: &str| {
            if name == VERSION {
                return Some(self.version.as_str());
            }
            let place = self.columns.iter().position(|column| column == name)?;
            texts.get(place).map(AsRef::as_ref)
        };
        template.render(&value_of)
    }
}

/// The one warmer whose template makes this key, and the parameters of the value. Where several might have made it,
/// nobody knows which one did.
pub fn owner<'s>(
    key: &str,
    shapes: impl Iterator<Item = (&'s str, &'s Shape)>,
) -> Option<(&'s str, Vec<String>)> {
    let mut owners = shapes.filter_map(|(name, shape)| Some((name, shape.texts_of_key(key)?)));
    let first = owners.next()?;
    if owners.next().is_none() { Some(first) } else { None }
}

/// The tag of all values that depend on a table.
fn base_of(dependency: &Dependency) -> String {
    format!("~on:{dependency}")
}

/// The tags that a dependency gives a value, as templates: one for the whole table, and one for its rows, unless those
/// say which value it is.
fn tags_of(dependency: &Dependency, columns: &[String]) -> Vec<String> {
    let base = escaped(&base_of(dependency));
    let params: Vec<&str> = dependency.columns.iter().map(|column| column.param.as_str()).collect();
    let is_whole = columns.iter().all(|column| params.contains(&column.as_str()));
    if params.is_empty() || (is_whole && !columns.is_empty()) {
        return vec![base];
    }
    let rows: Vec<String> = params.iter().map(|param| format!("{{{param}}}")).collect();
    vec![format!("{base}={}", rows.join(",")), base]
}

fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use brasa_shared::config::Config;

    use super::*;

    fn shape(more: &str) -> Shape {
        let text = format!(
            "[warm.it]\nsql = \"select 1 as value, $1, $2\"\nparams = [\"origin\", \"day\"]\nttl = \"1m\"\n\
             key = \"board:{{origin}}:{{day}}\"\n{more}"
        );
        let config = Config::parse(&text, Path::new("brasa.toml"), &|_| None).unwrap();
        Shape::of("it", &config.warm["it"])
    }

    #[test]
    fn parameters_make_key_and_tags() {
        let shape = shape(r#"tags = ["flights", "origin:{origin}"]"#);
        let entry = shape.entry(&["JFK", "2013-01-05"]).unwrap();
        assert_eq!(entry.key, "board:JFK:2013-01-05");
        assert_eq!(shape.entry_of(&entry.params), Some(entry));
        assert_eq!(shape.tags(&["JFK", "x"]), ["flights", "origin:JFK", "~warmer:it"]);
        assert_eq!(shape.entry_of("[\"JFK\"]"), None);
        assert_eq!(shape.texts_of_key("board:JFK:2013-01-05").unwrap(), ["JFK", "2013-01-05"]);
        assert_eq!(shape.texts_of_key("board:JFK:a:b"), None);
    }

    #[test]
    fn a_change_touches_one_value_the_rows_of_a_tag_or_all() {
        let shape =
            shape(r#"depends_on = ["flights(origin, day)", "public.airports(code as origin)", "airlines"]"#);
        let row = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let tag = |text: &str| vec![Touched::Tag(text.to_owned())];

        let one = shape.touched(0, Some(&row(&["JFK", "2013-01-05"])));
        assert_eq!(one, [Touched::Entry(shape.entry(&["JFK", "2013-01-05"]).unwrap())]);
        assert_eq!(shape.touched(0, None), tag("~on:flights(origin, day)"));
        assert_eq!(shape.touched(1, Some(&row(&["JFK"]))), tag("~on:public.airports(code as origin)=JFK"));
        assert_eq!(shape.touched(2, None), tag("~on:airlines"));
        let tags = shape.tags(&["JFK", "2013-01-05"]);
        for tag in ["~on:flights(origin, day)", "~on:public.airports(code as origin)=JFK", "~on:airlines"] {
            assert!(tags.contains(&tag.to_owned()), "{tag}: {tags:?}");
        }
    }
}
