//! A valid file with random damage: whatever it is, it is read or refused, and never a panic.

use super::{EXAMPLE, parse};

const ROUNDS: u32 = 1_500;

/// What is put in: all that has a meaning to TOML, to SQL, to templates or to UTF-8.
const SPLINTERS: &[&str] = &[
    "\"", "'", "\"\"\"", "[", "]", "[[", "{", "}", "=", ".", ",", "\n", "\r", "\0", "#", "$", "$$", "${",
    "$9", "-", "--", "/*", "\\", "_", "é", "\u{feff}", "9", "0x", "1e999", "nan", "true", " ",
];

/// The same numbers on every run (an xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn damage(text: &mut Vec<char>, dice: &mut Dice) {
    let at = dice.below(text.len());
    let end = (at + dice.below(12)).min(text.len());
    let piece: Vec<char> = match dice.below(4) {
        0 => Vec::new(),
        1 => text[at..end].to_vec(),
        _ => SPLINTERS[dice.below(SPLINTERS.len())].chars().collect(),
    };
    if dice.below(2) == 0 {
        text.splice(at..end, piece);
    } else {
        text.splice(at..at, piece);
    }
}

/// Reads a text; if it is refused, then with problems that have a place and a message.
#[track_caller]
fn is_refused(text: &str) -> bool {
    let Err(problems) = parse(text) else { return false };
    assert!(!problems.0.is_empty());
    let line_max = u32::try_from(text.matches('\n').count() + 1).unwrap();
    for problem in problems.0 {
        let has_place = (1..=line_max).contains(&problem.line);
        assert!(has_place && !problem.message.is_empty(), "{problem:?}\n{text}");
    }
    true
}

#[test]
fn no_damage_makes_it_panic() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for _ in 0..=dice.below(6) {
            damage(&mut text, &mut dice);
        }
        refused += u32::from(is_refused(&String::from_iter(text)));
    }
    assert!(refused > ROUNDS / 2, "only {refused} files were damaged enough to be refused");
}

#[test]
fn a_file_that_ends_early_does_not_make_it_panic() {
    let ends = EXAMPLE.char_indices().map(|(end, _)| end).step_by(7);
    let refused = ends.filter(|end| is_refused(&EXAMPLE[..*end])).count();
    assert!(refused > 0);
}
