//! What jobs are given and return, sealed: who can read it, who can forge it, and how keys are changed.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

mod attacking;
mod living;
mod people;
mod rotating;

use std::collections::BTreeMap;
use std::sync::Arc;

use brasa_shared::queue::Queue;
use brasa_shared::seal::{Key, Keyring};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World};

/// Keys of tests, by number.
const KEYS: [&str; 3] = [
    "6f1c0a7e93d2485bb0c4e17f2a9d563801fe6b8c47d5a2903ce8714f5b06d9ac",
    "b2d8f43e0c6a975118ef25d07b4a9c63e1520d8f7c3b6a49f05e1297ad84c36b",
    "09e7d3a1c5f84b6288a0164d2fb79ce35a1e80c47d936f12eb58043a7fc12d96",
];

/// The keys `k1`, `k2` … with these numbers; the last one is the active one.
fn ring(numbers: &[usize]) -> Keyring {
    let key = |n: &usize| (format!("k{n}"), Key::read(KEYS[n - 1]).unwrap());
    let keys: BTreeMap<String, Key> = numbers.iter().map(key).collect();
    Keyring::new(keys, &format!("k{}", numbers[numbers.len() - 1]), &format!("k{}", numbers[0])).unwrap()
}

/// The queue `default` of somebody who has these keys.
fn queue_with(world: &World, keyring: Keyring) -> Queue {
    world.queue("default").sealing(Arc::new(keyring))
}

/// A worker with the kinds for tests and these keys.
fn worker_with(world: &World, keyring: Keyring) -> Worker {
    let mut settings = world.settings(kinds(), "");
    let keyring = Arc::new(keyring);
    for (queue, _) in &mut settings.queues {
        *queue = queue.clone().sealing(Arc::clone(&keyring));
    }
    Worker::start(settings)
}

/// What stands in Redis for a job of the queue `default`.
async fn record(world: &World, id: &str) -> Vec<u8> {
    world.redis(redis::cmd("HGET").arg(&world.queue("default").keys().jobs).arg(id)).await
}

/// Puts something else there.
async fn overwrite(world: &World, id: &str, record: &[u8]) {
    let jobs = world.queue("default").keys().jobs.clone();
    let _: u8 = world.redis(redis::cmd("HSET").arg(jobs).arg(id).arg(record)).await;
}

/// The same file with these keys, of which the last one seals.
fn section(numbers: &[usize], is_required: bool) -> String {
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let keys = numbers.iter().map(|n| format!("[encryption.keys.k{n}]\nkey = \"${{BRASA_KEY_K{n}}}\"\n"));
    let keys: String = keys.collect();
    format!("[encryption]\nactive = \"k{last}\"\nunique = \"k{first}\"\nrequired = {is_required}\n{keys}")
}
