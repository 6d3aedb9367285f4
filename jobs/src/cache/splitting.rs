//! What becomes of a batch that cannot be loaded as a whole: it is halved until it is known what is in the way, so that
//! one value does not keep the others from being loaded.

use std::collections::HashSet;

use crate::cache::budget::Permit;
use crate::cache::failing::{FillError, is_splittable, is_unreadable, said};
use crate::cache::filler::{Filler, Leased};
use crate::cache::loaders::Origin;
use crate::cache::plan::Batch;
use crate::cache::rows::{Found, RowProblem};
use crate::cache::tally::Tally;

/// How many parts of a batch may give what cannot be before it is the loader that is wrong, and not one of the values:
/// one in five thousand is found by then.
const HOPELESS: usize = 16;

/// What is said about parameters that the database writes in another way.
const OTHERWISE: &str = "the database spells these parameters otherwise";

/// How far a batch is.
struct Progress {
    /// The parts that are still to be loaded, the next one last.
    parts: Vec<Vec<Leased>>,
    /// Values that Redis did not take, and can be loaded again.
    again: Vec<Leased>,
    /// Values of which the loader gives what cannot be, each by itself.
    bad: Vec<(Vec<Leased>, RowProblem)>,
    /// How many parts gave what can be, and how many did not.
    good: usize,
    failures: usize,
}

impl Filler<'_> {
    /// Loads values under lease, the first time as the budget has allowed; returns those that Redis did not take,
    /// unless this is the last try.
    pub(super) async fn fill_leased(
        &self,
        origin: &Origin,
        leased: Vec<Leased>,
        mut permit: Option<Permit>,
        tally: &mut Tally,
        is_last: bool,
    ) -> Result<Vec<Leased>, FillError> {
        let mut progress =
            Progress { parts: vec![leased], again: Vec::new(), bad: Vec::new(), good: 0, failures: 0 };
        while let Some(part) = progress.parts.pop() {
            match self.load(origin, &part, permit.take()).await {
                Ok((batch, took)) => {
                    tally.batches += 1;
                    let part = self.without_strange(&batch, part, tally).await?;
                    match self.found(&batch, &part) {
                        Ok(found) => {
                            progress.good += 1;
                            progress.again.extend(self.put(&found, took, &part, tally, is_last).await?);
                        }
                        Err(problem) => self.look_closer(&mut progress, part, problem).await?,
                    }
                }
                Err(FillError::Load(error)) if is_splittable(&error) && part.len() > 1 => {
                    halve(part, &mut progress.parts);
                }
                Err(FillError::Load(error)) if is_unreadable(&error) => {
                    self.let_go(&part, &said(&error), tally).await?;
                }
                Err(error) => {
                    progress.parts.push(part);
                    return Err(self.fail(&progress.all(), error).await);
                }
            }
        }
        if progress.good == 0
            && let Some((_, problem)) = progress.bad.iter().find(|(part, _)| !self.is_by_readers(part))
        {
            let problem = problem.clone();
            return Err(self.fail(&progress.all(), problem.into()).await);
        }
        for (part, problem) in progress.bad {
            self.let_go(&part, &problem.to_string(), tally).await?;
        }
        Ok(progress.again)
    }

    /// What was loaded of what was asked for, and nothing else.
    fn found<'b>(&self, batch: &'b Batch, part: &[Leased]) -> Result<Found<'b>, RowProblem> {
        let asked: HashSet<&str> = part.iter().map(|one| one.entry.key.as_str()).collect();
        Found::of(&self.shape, batch, Some(&asked))
    }

    /// A part in which the loader gives what cannot be: which value is it?
    async fn look_closer(
        &self,
        progress: &mut Progress,
        part: Vec<Leased>,
        problem: RowProblem,
    ) -> Result<(), FillError> {
        progress.failures += 1;
        let is_worth_it = progress.good > 0 || progress.failures <= HOPELESS || self.is_by_readers(&part);
        if !is_worth_it {
            progress.parts.push(part);
            return Err(self.fail(&progress.all(), problem.into()).await);
        }
        if part.len() > 1 {
            halve(part, &mut progress.parts);
        } else {
            progress.bad.push((part, problem));
        }
        Ok(())
    }

    /// Whether readers said what the parameters of any of these values are.
    fn is_by_readers(&self, part: &[Leased]) -> bool {
        let is_listed = self.warmer.for_each.is_some() && !self.warmer.keeping.is_hot;
        !is_listed || part.iter().any(|one| one.is_asked)
    }

    /// A part without the values that were asked for as `07` where the database says `7`: that there is no row for
    /// them does not mean that there is none.
    async fn without_strange(
        &self,
        batch: &Batch,
        part: Vec<Leased>,
        tally: &mut Tally,
    ) -> Result<Vec<Leased>, FillError> {
        if batch.strange.is_empty() {
            return Ok(part);
        }
        let (mut strange, mut rest) = (Vec::new(), Vec::new());
        for (place, one) in part.into_iter().enumerate() {
            if batch.strange.contains(&place) { strange.push(one) } else { rest.push(one) }
        }
        self.let_go(&strange, OTHERWISE, tally).await?;
        Ok(rest)
    }
}

impl Progress {
    /// All that is still under lease.
    fn all(&self) -> Vec<Vec<Leased>> {
        self.parts.iter().chain(self.bad.iter().map(|(part, _)| part)).cloned().collect()
    }
}

/// Half of it comes next, and then the rest.
fn halve(mut first: Vec<Leased>, parts: &mut Vec<Vec<Leased>>) {
    parts.push(first.split_off(first.len() / 2));
    parts.push(first);
}
