//! What is known about a value, as it stands beside it.
//!
//! ```text
//! kind soft hard at cost bytes version epoch stamp who
//! count tag
//! count tag …
//! ```
//!
//! | Field | Meaning |
//! |---|---|
//! | kind | `v`: there is a value; `-`: it is known that there is none |
//! | soft, hard | until when it is fresh, and when it ends, ms since 1970 |
//! | at | when it was put here, ms since 1970 |
//! | cost | what loading it took in the database, its share of the batch, µs |
//! | bytes | its length as stored |
//! | version | of the warmer's definition |
//! | epoch | in which it was put here |
//! | stamp | `p:` (primary) or `r:` (replica), and the snapshot that it was read from |
//! | who | put it here |
//! | count, tag | a tag, and the count of its mark at that time |

use serde::Serialize;

/// What is known about a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Whether it is known that there is no value.
    pub is_none: bool,
    /// Until when it is fresh, ms since 1970.
    pub soft_ms: i64,
    /// When it ends, ms since 1970.
    pub hard_ms: i64,
    /// When it was put here, ms since 1970.
    pub at_ms: i64,
    /// What loading it took in the database, µs.
    pub cost_us: u64,
    /// Its length as stored.
    pub bytes: u64,
    /// The version of the warmer's definition.
    pub version: String,
    /// The epoch in which it was put here.
    pub epoch: String,
    /// Whether a replica was read.
    pub from_replica: bool,
    /// The snapshot that it was read from, as Postgres writes it.
    pub snapshot: String,
    /// Who put it here.
    pub who: String,
    /// Its tags, each with the count of its mark at that time.
    pub tags: Vec<(String, String)>,
}

impl Note {
    /// Reads a note; nothing where it is none of this build's.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let mut fields = lines.next()?.split(' ');
        let is_none = match fields.next()? {
            "v" => false,
            "-" => true,
            _ => return None,
        };
        let mut number = || fields.next()?.parse::<i64>().ok();
        let (soft_ms, hard_ms, at_ms, cost, bytes) = (number()?, number()?, number()?, number()?, number()?);
        let (version, epoch) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        let (source, snapshot) = fields.next()?.split_once(':')?;
        let who = fields.next().unwrap_or_default().to_owned();
        let tags = lines.filter_map(|line| line.split_once(' '));
        Some(Self {
            is_none,
            soft_ms,
            hard_ms,
            at_ms,
            cost_us: cost.unsigned_abs(),
            bytes: bytes.unsigned_abs(),
            version,
            epoch,
            from_replica: source == "r",
            snapshot: snapshot.to_owned(),
            who,
            tags: tags.map(|(count, tag)| (tag.to_owned(), count.to_owned())).collect(),
        })
    }

    /// Whether nothing has invalidated it, as far as the epoch and the marks of its tags say, which are given in
    /// the order of [`Self::tags`]. The same rule as in `lua/parts/note.lua`.
    pub fn stands(&self, epoch: Option<&str>, marks: &[Option<String>]) -> bool {
        let first = |text: &str| text.split(' ').next().map(ToOwned::to_owned);
        let same =
            |mark: &Option<String>, count: &str| mark.as_deref().and_then(first).as_deref() == Some(count);
        epoch.and_then(first).as_deref() == Some(self.epoch.as_str())
            && self.tags.len() == marks.len()
            && self.tags.iter().zip(marks).all(|((_, count), mark)| same(mark, count))
    }
}

/// As much of a note as a reader needs, where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brief<'a> {
    pub(super) is_none: bool,
    pub(super) soft_ms: i64,
    pub(super) at_ms: i64,
    epoch: &'a str,
    tags: &'a str,
}

impl<'a> Brief<'a> {
    /// Reads a note; nothing where it is none of this build's.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (line, tags) = text.split_once('\n').unwrap_or((text, ""));
        let mut fields = line.split(' ');
        let is_none = match fields.next()? {
            "v" => false,
            "-" => true,
            _ => return None,
        };
        let soft_ms = fields.next()?.parse().ok()?;
        let at_ms = fields.nth(1)?.parse().ok()?;
        Some(Self { is_none, soft_ms, at_ms, epoch: fields.nth(3)?, tags })
    }

    /// The same as [`Note::stands`]; `mark_of` knows the marks, and that of the empty tag is the epoch. A tag
    /// whose mark nobody asked for is as good as one that has changed.
    pub(super) fn stands(&self, mark_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        let first = |mark: &'a str| mark.split(' ').next();
        let is_same = |tag: &str, count: &str| mark_of(tag).and_then(first) == Some(count);
        let mut tags = self.tags.split('\n').filter_map(|line| line.split_once(' '));
        is_same("", self.epoch) && tags.all(|(count, tag)| is_same(tag, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "v 1000 2000 500 321 42 9f2c 17 p:100:105:102,103 job-1\n18 flights\n19 origin:J F K";

    #[test]
    fn a_note_says_what_is_known_about_a_value() {
        let note = Note::parse(TEXT).unwrap();
        assert_eq!((note.is_none, note.soft_ms, note.hard_ms, note.at_ms), (false, 1_000, 2_000, 500));
        assert_eq!((note.cost_us, note.bytes, note.epoch.as_str()), (321, 42, "17"));
        assert_eq!((note.from_replica, note.snapshot.as_str()), (false, "100:105:102,103"));
        assert_eq!(note.tags[1], ("origin:J F K".to_owned(), "19".to_owned()));
    }

    #[test]
    fn it_stands_while_epoch_and_tags_are_as_they_were() {
        let note = Note::parse(TEXT).unwrap();
        let marks = |first: &str| vec![Some(first.to_owned()), Some("19 0".to_owned())];
        assert!(note.stands(Some("17 run 99"), &marks("18 7 18:7")));
        assert!(!note.stands(Some("20 run 99"), &marks("18 7 18:7")));
        assert!(!note.stands(None, &marks("18 7 18:7")));
        assert!(!note.stands(Some("17 run 99"), &marks("21 8 21:8")));
        assert!(!note.stands(Some("17 run 99"), &[Some("18 0".to_owned()), None]));
    }

    #[test]
    fn a_reader_who_needs_little_of_a_note_reads_the_same() {
        let absent = TEXT.replacen('v', "-", 1);
        for text in [TEXT, &absent, TEXT.lines().next().unwrap()] {
            let (note, brief) = (Note::parse(text).unwrap(), Brief::parse(text).unwrap());
            assert_eq!((brief.is_none, brief.soft_ms, brief.at_ms), (note.is_none, note.soft_ms, note.at_ms));
            let epochs = [None, Some("17 run 99"), Some("20 run 99"), Some("")];
            let marks = [None, Some("18 7 18:7"), Some("19 0"), Some("21 8 21:8")];
            for epoch in epochs {
                for first in marks {
                    for second in marks {
                        let mark_of = |tag: &str| match tag {
                            "" => epoch,
                            "flights" => first,
                            _ => second,
                        };
                        let own: Vec<_> =
                            note.tags.iter().map(|(tag, _)| mark_of(tag).map(ToOwned::to_owned)).collect();
                        assert_eq!(brief.stands(mark_of), note.stands(epoch, &own), "{epoch:?} {own:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_texts_are_no_notes() {
        for text in ["", "v", "x 1 2 3 4 5 v e p:1:1: w", "v 1 2 3 4 5 v", "v a 2 3 4 5 v e p:1:1: w"] {
            assert_eq!(Note::parse(text), None, "{text}");
        }
        for text in ["", "v", "x 1 2 3 4 5 v e p:1:1: w", "v 1 2 3 4 5 v", "v a 2 3 4 5 v e p:1:1: w"] {
            assert!(Brief::parse(text).is_none(), "{text}");
        }
    }
}
