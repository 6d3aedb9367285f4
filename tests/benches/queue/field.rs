//! Who takes part, and on what.

use anyhow::Result;
use brasa_tests::bench::{Bar, Contestant, Figure, Peer, Redis, Row, Stage, figure, median, say};

use super::plan::Plan;

/// Who takes part, and on what.
pub(super) struct Field<'a> {
    pub(super) stage: &'a Stage,
    pub(super) plan: Plan,
    pub(super) redis: Redis,
    pub(super) ours: Contestant,
    pub(super) peers: Vec<Peer>,
}

/// What was measured, or why it could not be.
pub(super) type Measured<T> = Result<T, String>;

impl Field<'_> {
    /// Measures us and then every peer, and does so again: whatever disturbs the machine disturbs all of us.
    pub(super) fn everybody<T>(
        &self,
        what: &str,
        repeats: usize,
        measure: impl Fn(&Contestant) -> Result<T>,
    ) -> Everybody<T> {
        let mut ours = Ok(Vec::new());
        let start = |peer: &Peer| (peer.name, peer.who.as_ref().map(|_| Vec::new()).map_err(Clone::clone));
        let mut peers: Vec<_> = self.peers.iter().map(start).collect();
        for _ in 0..repeats {
            once_more(&mut ours, what, &self.ours, &measure);
            for (peer, (_, values)) in self.peers.iter().zip(&mut peers) {
                if let Ok(who) = &peer.who {
                    once_more(values, what, who, &measure);
                }
            }
        }
        Everybody { ours, peers }
    }

    /// Measures us alone.
    pub(super) fn us<T>(
        &self,
        what: &str,
        repeats: usize,
        measure: impl Fn(&Contestant) -> Result<T>,
    ) -> Measured<Vec<T>> {
        let mut ours = Ok(Vec::new());
        for _ in 0..repeats {
            once_more(&mut ours, what, &self.ours, &measure);
        }
        ours
    }

    /// The peer of that name, alone.
    pub(super) fn peer<T>(
        &self,
        name: &str,
        what: &str,
        measure: impl Fn(&Contestant) -> Result<T>,
    ) -> Measured<Vec<T>> {
        let peer = self.peers.iter().find(|peer| peer.name == name).ok_or("nobody of that name")?;
        let mut values = Ok(Vec::new());
        once_more(&mut values, what, peer.who.as_ref().map_err(Clone::clone)?, &measure);
        values
    }
}

/// Measures once more, unless it has failed before.
fn once_more<T>(
    values: &mut Measured<Vec<T>>,
    what: &str,
    who: &Contestant,
    measure: impl Fn(&Contestant) -> Result<T>,
) {
    let Ok(sofar) = values else { return };
    say(&format!("{what}: {}", who.name));
    match measure(who) {
        Ok(value) => sofar.push(value),
        Err(error) => {
            let why = format!("{}: {error:#}", who.name);
            say(&why);
            *values = Err(why);
        }
    }
}

/// What was measured of everybody, as often as it was repeated.
pub(super) struct Everybody<T> {
    pub(super) ours: Measured<Vec<T>>,
    pub(super) peers: Vec<(&'static str, Measured<Vec<T>>)>,
}

impl<T> Everybody<T> {
    /// One row per peer, of the middle values; the bar belongs to the first.
    pub(super) fn rows(
        &self,
        measure: &str,
        unit: &'static str,
        bar: Bar,
        pick: impl Fn(&T) -> f64,
    ) -> Vec<Row> {
        let ours = middle(&self.ours, &pick);
        let row = |(place, (name, values)): (usize, &(&'static str, Measured<Vec<T>>))| {
            let row = Row::new(measure, unit).ours(&ours).beside(name, &middle(values, &pick));
            if place == 0 { row.bar(bar) } else { row }
        };
        self.peers.iter().enumerate().map(row).collect()
    }
}

/// The middle of what was measured.
pub(super) fn middle<T>(values: &Measured<Vec<T>>, pick: impl Fn(&T) -> f64) -> Figure {
    figure(values, |values| median(values.iter().map(&pick)))
}

/// We, as processes of this very program.
pub(super) fn ours() -> Result<Contestant> {
    let program = std::env::current_exe()?.into_os_string();
    let line = |role: &str| vec![program.clone(), "queue".into(), role.into()];
    Ok(Contestant {
        name: "Brasa",
        folder: std::env::current_dir()?,
        enqueue: line("enqueue"),
        worker: line("worker"),
        concurrency: 256,
    })
}
