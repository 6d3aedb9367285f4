//! Lengths of values, drawn from what ANALYZE has seen.

/// Values of one column, so many that their lengths are spread as in the table.
#[derive(Debug, Clone)]
pub(crate) struct Draws(Vec<Option<u32>>);

impl Draws {
    /// How many are drawn. Whatever is drawn, is drawn evenly: more would change nothing that a reader sees.
    pub(crate) const COUNT: usize = 512;

    /// Every value has this length.
    pub(crate) fn constant(len: u32) -> Self {
        Self(vec![Some(len)])
    }

    /// No value is there.
    pub(crate) fn null() -> Self {
        Self(vec![None])
    }

    /// Lengths with their weights, of which a share is NULL.
    pub(crate) fn of(lengths: &[(f64, f64)], null_share: f64) -> Self {
        let total: f64 = lengths.iter().map(|(_, weight)| weight).sum();
        let first = lengths.first().map_or(0.0, |(len, _)| *len);
        let is_same = lengths.iter().all(|(len, _)| (len - first).abs() < 0.5);
        if is_same && null_share <= 0.0 {
            return Self::constant(whole(first));
        }
        let mut drawn = Vec::with_capacity(Self::COUNT);
        let (mut passed, mut rest) = (0.0, lengths.iter());
        let mut now = rest.next();
        for turn in 0..Self::COUNT {
            let at = (f64::from(u32::try_from(turn).unwrap_or(0)) + 0.5) / 512.0;
            if at < null_share || total <= 0.0 {
                drawn.push(None);
                continue;
            }
            let at = (at - null_share) / (1.0 - null_share) * total;
            while let Some((_, weight)) = now
                && passed + weight < at
                && rest.len() > 0
            {
                passed += weight;
                now = rest.next();
            }
            drawn.push(now.map(|(len, _)| whole(*len)));
        }
        Self(drawn)
    }

    /// Whether there is but one.
    pub(crate) fn is_constant(&self) -> bool {
        self.0.len() == 1
    }

    /// One of them. Columns that stand beside one another are walked through in different orders, so that lengths of
    /// one say nothing about those of the other.
    pub(crate) fn get(&self, turn: usize, place: usize) -> Option<u32> {
        // Odd steps visit all places of a power of two once.
        let step = STEPS.get(place % STEPS.len()).copied().unwrap_or(1);
        self.0.get((turn * step) % self.0.len()).copied().flatten()
    }
}

/// How each column is walked through.
const STEPS: [usize; 8] = [1, 197, 317, 83, 431, 149, 271, 59];

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a length of a value, at most 2^30"
)]
fn whole(len: f64) -> u32 {
    len.round().max(0.0) as u32
}
