//! The dead letter, by what its jobs died of.
//!
//! A hundred thousand dead jobs are rarely a hundred thousand troubles. Jobs of a kind that died with the same
//! words are one group: its signature is a hash of the kind and of the reason without what differs from job to
//! job, which are numbers, ids and quoted values. What stands in backticks is a name of the configuration, and stays. Groups are made when somebody looks: the outcomes are there,
//! and nothing has to be kept in step with them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::hash::fnv1a;
use crate::queue::{BATCH_MAX, JobView, Queue, QueueError};

/// How long a normalised message is at most, in characters.
const MESSAGE_MAX: usize = 160;
/// How many of its jobs a group names.
const NAMED_MAX: usize = 3;

/// Dead jobs that died of the same.
#[derive(Debug, Clone, Serialize)]
pub struct Grave {
    /// Names the group: the same words of the same kind give the same signature, today and tomorrow.
    pub signature: String,
    /// The queue.
    pub queue: String,
    /// The kind; empty where the jobs cannot be read.
    pub kind: String,
    /// What was being done when it failed.
    pub class: String,
    /// The reason, without what differs from job to job.
    pub message: String,
    /// How many jobs.
    pub count: u64,
    /// When the first of them died, ms since 1970.
    pub first_ms: i64,
    /// When the last of them died, ms since 1970.
    pub last_ms: i64,
    /// Some of them, the latest first.
    pub jobs: Vec<String>,
}

impl Queue {
    /// The groups of the dead letter, the largest first.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn graves(&self) -> Result<Vec<Grave>, QueueError> {
        let mut groups: BTreeMap<String, Grave> = BTreeMap::new();
        self.each_dead(|view| {
            let (signature, class, message) = signature_of(&view);
            let grave = groups.entry(signature.clone()).or_insert_with(|| Grave {
                signature,
                queue: view.queue.clone(),
                kind: view.kind.clone(),
                class,
                message,
                count: 0,
                first_ms: view.state_ms,
                last_ms: view.state_ms,
                jobs: Vec::new(),
            });
            grave.count += 1;
            grave.first_ms = grave.first_ms.min(view.state_ms);
            grave.last_ms = grave.last_ms.max(view.state_ms);
            if grave.jobs.len() < NAMED_MAX {
                grave.jobs.push(view.id);
            }
        })
        .await?;
        let mut graves: Vec<Grave> = groups.into_values().collect();
        graves.sort_by(|left, right| right.count.cmp(&left.count).then(right.last_ms.cmp(&left.last_ms)));
        Ok(graves)
    }

    /// The dead jobs of one group, the latest first.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn buried_in(&self, signature: &str) -> Result<Vec<String>, QueueError> {
        let mut ids = Vec::new();
        self.each_dead(|view| {
            if signature_of(&view).0 == signature {
                ids.push(view.id);
            }
        })
        .await?;
        Ok(ids)
    }

    /// Looks at every dead job, the latest first, a batch at a time.
    async fn each_dead(&self, mut look: impl FnMut(JobView)) -> Result<(), QueueError> {
        let mut command = redis::cmd("ZREVRANGE");
        command.arg(&self.keys().dead).arg(0).arg(-1);
        let ids: Vec<String> = self.run("list dead jobs", &command).await?;
        for ids in ids.chunks(BATCH_MAX) {
            self.views(ids).await?.into_iter().flatten().for_each(&mut look);
        }
        Ok(())
    }
}

/// The signature of a dead job, what was being done, and its reason without what differs from job to job.
fn signature_of(view: &JobView) -> (String, String, String) {
    let reason =
        view.outcome.as_ref().and_then(|outcome| outcome.reason.as_deref()).unwrap_or("without a reason");
    let message = normalised(reason);
    let class = message.split_once(": ").map_or("", |(class, _)| class).to_owned();
    (format!("{:016x}", fnv1a(&format!("{}\n{message}", view.kind))), class, message)
}

/// A reason without numbers, ids and quoted texts.
fn normalised(reason: &str) -> String {
    let mut text = String::new();
    let mut rest = reason.lines().next().unwrap_or_default();
    while let Some(c) = rest.chars().next() {
        let quoted = ['"', '\''].contains(&c).then(|| rest[1..].find(c)).flatten();
        let word: &str = rest.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap_or_default();
        if let Some(end) = quoted {
            text.push('…');
            rest = &rest[end + 2..];
        } else if word.chars().any(|c| c.is_ascii_digit()) && !text.ends_with("SQLSTATE ") {
            text.push('#');
            rest = &rest[word.len()..];
        } else if word.is_empty() {
            let named = (c == '`').then(|| rest[1..].find('`')).flatten();
            let taken = named.map_or(c.len_utf8(), |end| end + 2);
            text.push_str(&rest[..taken]);
            rest = &rest[taken..];
        } else {
            text.push_str(word);
            rest = &rest[word.len()..];
        }
    }
    text.chars().take(MESSAGE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_job_to_job_is_left_out() {
        let of = |reason: &str| normalised(reason);
        assert_eq!(of("could not run: key (id)=(42) exists"), "could not run: key (id)=(#) exists");
        assert_eq!(
            of("order 01ARZ3NDEKTSV4RRFFQ69G5FAV is gone"),
            of("order 7b5e0c1a-55d2-4e8f-9d0a-1c2b3a4d5e6f is gone")
        );
        assert_eq!(of("no column \"naïve\" here"), "no column … here");
        assert_eq!(of("run `top10`: zero (SQLSTATE 22012)"), "run `top10`: zero (SQLSTATE 22012)");
        assert_eq!(of("it's alone"), "it's alone");
        assert_eq!(of(""), "");
    }
}
