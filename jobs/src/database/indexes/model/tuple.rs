//! How large the entries of an index are.

use super::draws::Draws;

/// What comes before the values of an entry.
const HEADER: u32 = 8;
/// The same where a value is NULL: there is a bit for each.
const HEADER_WITH_NULLS: u32 = 16;
/// The longest value, with its own header, that gets a header of one byte and no alignment.
const SHORT_MAX: u32 = 127;

/// How the values of a column lie in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// How many bytes each value has; -1 where that differs, -2 where it ends in a zero.
    pub len: i16,
    /// Values begin at multiples of this.
    pub align: u32,
    /// Short values have a header of one byte.
    pub is_packable: bool,
}

impl Layout {
    /// Where the next value begins, if one of so many bytes begins here.
    fn after(self, at: u32, payload: u32) -> u32 {
        match self.len {
            -2 => at + payload + 1,
            -1 if self.is_packable && payload < SHORT_MAX => at + payload + 1,
            -1 => aligned(at, self.align) + 4 + payload,
            len => aligned(at, self.align) + u32::from(len.unsigned_abs()),
        }
    }
}

/// The next multiple.
pub(super) fn aligned(at: u32, to: u32) -> u32 {
    at.next_multiple_of(to.max(1))
}

/// How large an entry is whose values have so many bytes; none for a NULL.
pub(super) fn size(columns: impl Iterator<Item = (Layout, Option<u32>)>) -> u32 {
    let (mut at, mut header) = (0, HEADER);
    for (layout, value) in columns {
        match value {
            None => header = HEADER_WITH_NULLS,
            Some(payload) => at = layout.after(at, payload),
        }
    }
    aligned(header + at, 8)
}

/// How large entries are: sizes, and how many of a hundred have each, as shares of 1.
pub(super) fn sizes(columns: &[(Layout, &Draws)]) -> Vec<(u32, f64)> {
    let count = if columns.iter().all(|(_, draws)| draws.is_constant()) { 1 } else { Draws::COUNT };
    let mut all: Vec<u32> = (0..count)
        .map(|turn| {
            size(columns.iter().enumerate().map(|(place, (layout, draws))| (*layout, draws.get(turn, place))))
        })
        .collect();
    all.sort_unstable();
    let mut found: Vec<(u32, f64)> = Vec::new();
    let share = 1.0 / f64::from(u32::try_from(count).unwrap_or(1));
    for size in all {
        match found.last_mut() {
            Some((known, weight)) if *known == size => *weight += share,
            _ => found.push((size, share)),
        }
    }
    found
}
