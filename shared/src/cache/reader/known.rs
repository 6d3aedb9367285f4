//! What is known about a warmer, ready for use.

use std::sync::Arc;

use metrics::Histogram;

use crate::cache::keys::note_prefixes;
use crate::cache::reader::CacheError;
use crate::cache::{Description, Entry, EntryKeys, Namespace, params_of};
use crate::config::KeyTemplate;
use crate::telemetry::metrics::cache_read_seconds;

/// What stands in the key of a warmer where the version of its definition belongs.
const VERSION: &str = "{@version}";

/// What is known about a warmer, ready for use.
pub(super) struct Known {
    pub(super) description: Description,
    /// With what the keys begin that concern its values; nothing where that says nothing.
    pub(super) prefixes: Vec<String>,
    pub(super) seconds: Histogram,
    key: KeyTemplate,
    tags: Vec<KeyTemplate>,
    namespace: Namespace,
}

/// A value that is to be read.
pub(super) struct Target {
    pub(super) key: Arc<str>,
    pub(super) entry: Entry,
    pub(super) keys: EntryKeys,
    /// The tags that it should have.
    pub(super) tags: Vec<String>,
}

impl Known {
    /// What a worker told, made ready.
    pub(super) fn new(namespace: &Namespace, description: Description) -> Result<Self, CacheError> {
        let parse = |text: &str| {
            let unreadable = |error| unreadable(namespace, &error);
            let template =
                KeyTemplate::parse(&with_version(text, &description.current)).map_err(unreadable)?;
            let placeholders = template.placeholders();
            match placeholders.iter().find(|name| !description.params.iter().any(|param| param == *name)) {
                Some(name) => Err(unreadable_because(namespace, format!("`{name}` is no parameter"))),
                None => Ok(template),
            }
        };
        let key = parse(&description.key)?;
        let tags = description.tags.iter().map(|tag| parse(tag)).collect::<Result<_, _>>()?;
        let start = key.literal_start();
        let mut prefixes = Vec::new();
        // What begins with nothing would be everything that happens in Redis.
        if !start.is_empty() {
            prefixes.push(start.to_owned());
            prefixes.extend(note_prefixes(&namespace.caches().inner.prefix, start));
        }
        let (seconds, namespace) = (cache_read_seconds(namespace.name()), namespace.clone());
        Ok(Self { description, prefixes, seconds, key, tags, namespace })
    }

    /// The key of the value with these parameters.
    pub(super) fn key<P: AsRef<str>>(&self, params: &[P]) -> Result<String, CacheError> {
        if params.len() != self.description.params.len() {
            return Err(CacheError::Params {
                warmer: self.namespace.name().to_owned(),
                wanted: self.description.params.clone(),
                given: params.len(),
            });
        }
        self.render(&self.key, params)
    }

    /// The value with these parameters, whose key is known already.
    pub(super) fn target<P: AsRef<str>>(&self, key: String, params: &[P]) -> Result<Target, CacheError> {
        let mut tags = Vec::with_capacity(self.tags.len() + 1);
        // Workers may give all of their values this one without saying so.
        tags.push(self.namespace.tag());
        for tag in &self.tags {
            tags.push(self.render(tag, params)?);
        }
        let keys = self.namespace.caches().entry(&key);
        Ok(Target { key: key.as_str().into(), entry: Entry { key, params: params_of(params) }, keys, tags })
    }

    fn render<P: AsRef<str>>(&self, template: &KeyTemplate, params: &[P]) -> Result<String, CacheError> {
        let value_of = |name: &str| {
            let place = self.description.params.iter().position(|param| param == name)?;
            params.get(place).map(AsRef::as_ref)
        };
        template.render(&value_of).map_err(|error| unreadable(&self.namespace, &error))
    }
}

/// The template with the version in its place.
fn with_version(template: &str, version: &str) -> String {
    if !template.contains(VERSION) {
        return template.to_owned();
    }
    template.replace(VERSION, &version.replace('{', "{{").replace('}', "}}"))
}

fn unreadable(namespace: &Namespace, error: &dyn std::error::Error) -> CacheError {
    unreadable_because(namespace, error.to_string())
}

fn unreadable_because(namespace: &Namespace, reason: String) -> CacheError {
    CacheError::Unreadable { warmer: namespace.name().to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_where_the_key_says() {
        assert_eq!(with_version("board:{@version}:{origin}", "9f2c"), "board:9f2c:{origin}");
        assert_eq!(with_version("board:{@version}", "{1}"), "board:{{1}}");
        assert_eq!(with_version("board:{origin}", "9f2c"), "board:{origin}");
    }
}
