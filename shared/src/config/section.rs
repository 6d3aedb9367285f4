//! One table of the configuration, whose keys are taken one by one.
//!
//! A getter (`values.rs`) takes a key, checks the type and the range, and records a problem where either is wrong;
//! the caller goes on with its default. What is asked for is also what is known: keys that nobody took
//! are the unknown ones, and the words to suggest instead are those that were asked for. So a key is
//! declared in one place, by reading it.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::complaint::Complaint;
use super::problem::{Origin, join, quoted};
use super::reader::Reader;
use super::suggest::{did_you_mean, list};
use crate::name::check_name;

/// A table and where it stands.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    table: &'a DeTable<'a>,
    path: String,
    line: u32,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Reads the whole document.
    pub(super) fn root<T>(
        reader: &'a Reader<'a>,
        table: &'a DeTable<'a>,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        Self { reader, table, path: String::new(), line: 0, known: Vec::new() }.read(read)
    }

    /// What all sections share.
    pub(super) fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    /// The dotted path of a key of this section.
    pub(super) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Whether a key is written, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a key is written as a table.
    pub(super) fn has_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Records a problem with a key of this section, or with the section if `key` is empty.
    pub(super) fn report(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        let line = self.table.get_key_value(key).map_or(self.line, |(key, _)| self.line_of(key));
        self.reader.report(line, self.path_of(key), message, help);
    }

    /// Records what is wrong with the value of a key.
    pub(super) fn complain(&self, key: &str, complaint: Complaint) {
        self.report(key, complaint.message, complaint.help);
    }

    /// Records what is wrong with a value inside the value of a key, on its own line.
    pub(super) fn complain_at<T>(&self, inside: &Spanned<T>, key: &str, complaint: Complaint) {
        self.reader.report(self.line_of(inside), self.path_of(key), complaint.message, complaint.help);
    }

    /// Records that something is not written, unless it may only have become unreadable.
    pub(super) fn report_missing(&self, message: impl Into<String>, help: impl Into<String>) {
        if self.reader.is_whole() {
            self.report("", message, help);
        }
    }

    /// Where this section was written.
    pub(super) fn origin(&self) -> Origin {
        let mut lines = BTreeMap::new();
        self.collect_lines(self.table, "", &mut lines);
        Origin::new(self.reader.file(), self.line, self.path.clone(), lines)
    }

    /// A table inside this one; where there is none, `read` sees an empty one and takes its defaults.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        self.table_such_as(key, "…", read)
    }

    /// The same; `example` is what may be in it.
    fn table_such_as<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let absent = DeTable::new();
        let value = self.take(key);
        let line = self.table.get_key_value(key).map_or(0, |(key, _)| self.line_of(key));
        let help = self.help_table(key, example);
        let table = value.and_then(|value| self.as_table(key, value, &help)).unwrap_or(&absent);
        self.inner(table, self.path_of(key), line).read(read)
    }

    /// A table inside this one, if there is one; `example` is what may be in it, for whoever wrote something else.
    pub(super) fn optional_table<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&mut Section<'_>) -> Option<T>,
    ) -> Option<T> {
        let is_table = self.has_table(key);
        self.table_such_as(key, example, |section| if is_table { read(section) } else { None })
    }

    /// The tables of a family, by name; without those that `read` could make nothing of.
    pub(super) fn named<T>(
        &mut self,
        family: &'static str,
        read: impl Fn(&mut Section<'_>) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let mut named = BTreeMap::new();
        let help = format!("begin each with `[{family}.NAME]` on a line of its own");
        let Some(table) = self.take(family).and_then(|value| self.as_table(family, value, &help)) else {
            return named;
        };
        for (name, value) in table {
            let (line, path) = (self.line_of(name), self.path_of(&join(family, &quoted(name.get_ref()))));
            if let Err(error) = check_name(name.get_ref()) {
                let complaint = Complaint::from(error);
                self.reader.report(line, path.clone(), complaint.message, complaint.help);
            }
            match value.get_ref() {
                DeValue::Table(table) => {
                    let read = self.inner(table, path, line).read(&read);
                    named.extend(read.map(|read| (name.get_ref().to_string(), read)));
                }
                other => {
                    let complaint = Complaint::mismatch("a table", other, help.as_str());
                    self.reader.report(line, path, complaint.message, complaint.help);
                }
            }
        }
        named
    }

    /// Whether exactly one of two keys is written; if not, that is a problem.
    pub(super) fn exactly_one(&self, one: &'static str, other: &'static str) -> bool {
        let message = format!("needs exactly one of `{one}` and `{other}`");
        match self.last_of_both(one, other) {
            Some(last) => self.report(last, message, format!("remove `{one}` or `{other}`")),
            None if self.has(one) || self.has(other) => return true,
            None => self.report_missing(message, format!("write `{one}` or `{other}`")),
        }
        false
    }

    /// Records a problem if two keys, of which one may be written, are both there.
    pub(super) fn at_most_one(&self, one: &'static str, other: &'static str) {
        if let Some(last) = self.last_of_both(one, other) {
            self.report(last, format!("`{one}` and `{other}` exclude one another"), "remove one of the two");
        }
    }

    /// The same where the first is inside another key, and it is known whether that is written.
    pub(super) fn at_most_one_path(&self, has_one: bool, one: &str, other: &'static str) {
        if has_one && self.has(other) {
            self.report(other, format!("`{one}` and `{other}` exclude one another"), "remove one of the two");
        }
    }

    /// The later one of two keys, if both are written.
    fn last_of_both(&self, one: &'static str, other: &'static str) -> Option<&'static str> {
        let start_of = |key| self.table.get_key_value(key).map(|(key, _)| key.span().start);
        let (start, start_other) = (start_of(one)?, start_of(other)?);
        Some(if start > start_other { one } else { other })
    }

    fn read<T>(mut self, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let value = read(&mut self);
        for key in self.table.keys().filter(|key| !self.known.contains(&&**key.get_ref())) {
            self.report_unknown(key);
        }
        value
    }

    fn report_unknown(&self, key: &Spanned<DeString<'_>>) {
        let word = quoted(key.get_ref());
        let known = self.known.iter().copied();
        let (message, help) = match did_you_mean(key.get_ref(), known.clone()) {
            Some(help) => (format!("unknown key `{word}`"), help),
            // Behind a broken header, keys end up in a table that they were not written for.
            None if !self.reader.is_whole() => return,
            None => (
                format!("unknown key `{word}`: not known to this version"),
                format!("known here: {}", list(known)),
            ),
        };
        self.reader.report(self.line_of(key), self.path_of(&word), message, help);
    }

    /// The value of a key, which is a known one from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// The table that a value should be.
    pub(super) fn as_table(
        &self,
        key: &str,
        value: &'a Spanned<DeValue<'a>>,
        help: &str,
    ) -> Option<&'a DeTable<'a>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.complain(key, Complaint::mismatch("a table", value.get_ref(), help));
        }
        table
    }

    /// How to write a table; `example` is what may be in it.
    pub(super) fn help_table(&self, key: &str, example: &str) -> String {
        let path = self.path_of(key);
        format!("write `{key} = {{ {example} }}`, or begin it with `[{path}]` on a line of its own")
    }

    /// A table inside this one, as a section.
    fn inner<'b>(&self, table: &'b DeTable<'b>, path: String, line: u32) -> Section<'b>
    where
        'a: 'b,
    {
        Section { reader: self.reader, table, path, line, known: Vec::new() }
    }

    fn line_of<T>(&self, spanned: &Spanned<T>) -> u32 {
        self.reader.line(spanned.span().start)
    }

    fn collect_lines(&self, table: &DeTable<'_>, path: &str, lines: &mut BTreeMap<String, u32>) {
        for (key, value) in table {
            let path = join(path, &quoted(key.get_ref()));
            if let DeValue::Table(inner) = value.get_ref() {
                self.collect_lines(inner, &path, lines);
            }
            lines.insert(path, self.line_of(key));
        }
    }
}
