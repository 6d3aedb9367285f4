//! Whether the time that a wrong token takes tells how much of it was right.
//!
//! Guesses that begin like a token are timed among others that do not, in random order, as `dudect` does it (O.
//! Reparaz, J. Balasch, I. Verbauwhede, "Dude, is my code constant time?", 2017): what is slower than 95 % of all is
//! left out, and Welch's t says how far apart the means of two kinds of guesses are. Beyond 4.5 they can be told apart.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use brasa_shared::config::Token;
use brasa_tests::bench::{Bar, Row};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;

use super::Ground;

/// How many letters of a guess are right; none in the first kind, which the others are compared with.
const RIGHT: [usize; 5] = [0, 1, 16, 32, 63];
/// How many different guesses there are of each kind.
const GUESSES: usize = 256;
/// How many others are known beside the token that is guessed.
const KNOWN: usize = 16;
/// Beyond this t two kinds of guesses can be told apart.
const APART: f64 = 4.5;

#[expect(clippy::unnecessary_wraps, reason = "a part may fail")]
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let samples = if ground.is_quick { 100_000 } else { 1_000_000 };
    let secret = letters();
    let known: Vec<[u8; 32]> =
        (0..KNOWN).map(|_| Token::hash_of(&letters())).chain([Token::hash_of(&secret)]).collect();
    // Every one that is known is compared, as the server does it.
    let ours = |guess: &str| {
        let hash = Token::hash_of(guess);
        known.iter().fold(false, |found, one| found | Token::is_same(one, &hash))
    };
    let naive = |guess: &str| secret.bytes().zip(guess.bytes()).all(|(right, said)| black_box(right) == said);
    let (ours, naive) = (greatest_t(&secret, samples, ours), greatest_t(&secret, samples, naive));
    Ok(vec![
        Row::new("guesses that begin rightly, told from others by their time", "t")
            .ours(&Ok(ours))
            .beside("compared letter by letter", &Ok(naive))
            .bar(Bar::AtMost(APART))
            .note(format!("the greatest t of 4 kinds of guesses, of {samples} samples each")),
    ])
}

/// A token as `brasa tokens new` makes it.
fn letters() -> String {
    (0..64).map(|_| char::from(*b"0123456789abcdef".choose(&mut rand::rng()).unwrap_or(&b'0'))).collect()
}

/// How far guesses are apart that begin rightly from those that do not.
fn greatest_t(secret: &str, samples: usize, is_known: impl Fn(&str) -> bool) -> f64 {
    let guesses = RIGHT.map(|right| {
        let mut all = Vec::with_capacity(GUESSES);
        while all.len() < GUESSES {
            let guess = format!("{}{}", &secret[..right], &letters()[right..]);
            if guess.as_bytes()[right] != secret.as_bytes()[right] {
                all.push(guess);
            }
        }
        all
    });
    let mut rng = rand::rng();
    // All are read from the same place: where a guess lies in memory says more than what it is.
    let mut place = String::with_capacity(secret.len());
    let mut times = RIGHT.map(|_| Vec::with_capacity(samples + samples / 10));
    for _ in 0..samples * RIGHT.len() {
        let kind = rng.random_range(0..RIGHT.len());
        place.clear();
        place.push_str(&guesses[kind][rng.random_range(0..GUESSES)]);
        let begun = Instant::now();
        let found = is_known(black_box(&place));
        let took = begun.elapsed();
        assert!(!black_box(found), "a guess was right");
        times[kind].push(took.as_secs_f64() * 1e9);
    }
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let most = all[all.len() * 95 / 100];
    let moments = times.map(|times| Moments::of(times.into_iter().filter(|took| *took <= most)));
    moments[1..].iter().map(|kind| kind.t(&moments[0])).fold(0.0, f64::max)
}

/// Number, mean and variance.
struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(times: impl Iterator<Item = f64>) -> Self {
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for took in times {
            (count, sum, squares) = (count + 1.0, sum + took, took.mul_add(took, squares));
        }
        let mean = sum / count;
        Self { count, mean, variance: (squares / count - mean * mean).max(0.0) }
    }

    /// Welch's t, without its sign.
    fn t(&self, other: &Self) -> f64 {
        let error = (self.variance / self.count + other.variance / other.count).sqrt();
        (self.mean - other.mean).abs() / error
    }
}
