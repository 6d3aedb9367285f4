//! How many pages a build makes: entries are put on pages by the rules that Postgres has for it.

/// Entries that are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    /// How many there are.
    pub count: f64,
    /// How large each is, without its pointer on the page.
    pub size: u32,
    /// How much of it is a list of rows, which the first entry of the next page does not leave behind.
    pub list: u32,
}

/// What a page is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    /// How large it is.
    pub size: u32,
    /// How much of it is left free.
    pub reserve: u32,
    /// It holds entries of the index, not pointers to pages.
    pub is_leaf: bool,
}

/// A pointer to an entry, on its page.
const POINTER: u32 = 4;
/// Header, the index's own part, the pointer to the highest key, and that of the entry which is asked for.
const NEVER_FREE: u32 = 24 + 16 + 2 * POINTER;
/// An entry that points to a row by itself, at the end of a leaf.
const ROW: u32 = 8;
/// The first entry of an inner page has no key.
const NO_KEY: u32 = 8;
/// So many pages are filled to see how many entries one takes,
const PAGES: u32 = 40;
/// with so many entries at most.
const ENTRIES_MAX: u32 = 6_000;
/// How many entries are drawn where they differ.
const DRAWN: u32 = 1_024;

impl Page {
    /// A leaf, so full in per cent.
    pub(super) fn leaf(size: u32, fillfactor: u32) -> Self {
        Self { size, reserve: size * (100 - fillfactor.min(100)) / 100, is_leaf: true }
    }

    /// A page above.
    pub(super) fn inner(size: u32) -> Self {
        Self { size, reserve: size * 30 / 100, is_leaf: false }
    }

    /// How many pages all of these fill, in any order.
    pub(super) fn filled_by(self, items: &[Item]) -> f64 {
        let count: f64 = items.iter().map(|item| item.count).sum();
        if count <= 0.0 { 0.0 } else { count / self.takes(items, count) }
    }

    /// How many entries a page takes: a new page is begun by the last one of the page before.
    fn takes(self, items: &[Item], count: f64) -> f64 {
        let drawn = drawn(items, count);
        let (pages_max, mut pages, mut kept) = (if items.len() == 1 { 3 } else { PAGES }, 0, 0);
        let (mut free, mut on_page, mut last) = (self.free(), 0, (0, 0));
        let (mut entries, mut bytes) = (0, 0);
        for (size, list) in drawn.iter().cycle() {
            let beyond = if self.is_leaf { ROW } else { 0 };
            let is_full = free < size + beyond || (on_page > 1 && free + last.1 < self.reserve);
            if is_full && on_page > 1 {
                pages += 1;
                kept += on_page - 1;
                let first = if self.is_leaf { last.0 } else { NO_KEY };
                free = self.free().saturating_sub(first + POINTER);
                on_page = 1;
            }
            free = free.saturating_sub(size + POINTER);
            (on_page, last) = (on_page + 1, (*size, *list));
            (entries, bytes) = (entries + 1, bytes + u64::from(size + POINTER));
            if pages >= pages_max || (entries >= ENTRIES_MAX && pages > 0) {
                break;
            }
        }
        if pages == 0 { f64::from(entries.max(1)).max(1.0) } else { f64::from(kept) / f64::from(pages) }
    }

    fn free(self) -> u32 {
        self.size - NEVER_FREE
    }
}

/// Entries in an order of chance that is always the same, each kind as often as its share says.
fn drawn(items: &[Item], count: f64) -> Vec<(u32, u32)> {
    if let [item] = items {
        return vec![(item.size, item.list)];
    }
    let mut drawn = Vec::with_capacity(DRAWN as usize);
    let (mut passed, mut rest) = (0.0, items.iter().peekable());
    for turn in 0..DRAWN {
        let at = (f64::from(turn) + 0.5) / f64::from(DRAWN) * count;
        while let Some(item) = rest.peek().copied()
            && passed + item.count < at
            && rest.len() > 1
        {
            passed += item.count;
            rest.next();
        }
        drawn.extend(rest.peek().map(|item| (item.size, item.list)));
    }
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for place in (1..drawn.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(seed >> 33).unwrap_or(0) % (place + 1);
        drawn.swap(place, other);
    }
    drawn
}
