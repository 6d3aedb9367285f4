//! Those who want the same at the same time get it together.
//!
//! At most one question per key is under way. Whoever comes meanwhile does not get its answer, which may be from
//! before something that they know of: they share the next question.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

/// A question per key at a time, and one that waits.
pub(super) struct Lines<T: Clone> {
    shards: [Mutex<Open<T>>; SHARDS],
    hasher: RandomState,
}

/// So many, that readers of different keys seldom wait for one another.
const SHARDS: usize = 16;

type Open<T> = HashMap<Arc<str>, Line<T>>;

struct Line<T: Clone> {
    readers: usize,
    turn: Arc<tokio::sync::Mutex<()>>,
    next: Option<Question<T>>,
}

type Question<T> = Shared<BoxFuture<'static, T>>;

/// Somebody who stands in a line, until dropped.
struct Place<T: Clone> {
    lines: Arc<Lines<T>>,
    key: Arc<str>,
}

impl<T: Clone> Default for Lines<T> {
    fn default() -> Self {
        Self { shards: Default::default(), hasher: RandomState::new() }
    }
}

impl<T: Clone + Send + Sync + 'static> Lines<T> {
    /// The answer to a question that is asked from now on. `ask` makes the question where there is none to share.
    pub(super) async fn join(
        self: &Arc<Self>,
        key: &Arc<str>,
        ask: impl FnOnce() -> BoxFuture<'static, T>,
    ) -> T {
        let (question, _place) = self.enter(key, ask);
        question.await
    }

    fn enter(
        self: &Arc<Self>,
        key: &Arc<str>,
        ask: impl FnOnce() -> BoxFuture<'static, T>,
    ) -> (Question<T>, Place<T>) {
        let mut open = self.lock(key);
        let line = open.entry(Arc::clone(key)).or_insert_with(|| Line {
            readers: 0,
            turn: Arc::default(),
            next: None,
        });
        line.readers += 1;
        let place = Place { lines: Arc::clone(self), key: Arc::clone(key) };
        if let Some(question) = &line.next {
            return (question.clone(), place);
        }
        let (lines, key, turn, answer) = (Arc::clone(self), Arc::clone(key), Arc::clone(&line.turn), ask());
        let asking = async move {
            let _turn = turn.lock_owned().await;
            lines.depart(&key);
            answer.await
        };
        let question = asking.boxed().shared();
        line.next = Some(question.clone());
        (question, place)
    }

    /// From now on nobody shares the question that waited.
    fn depart(&self, key: &str) {
        let departed = self.lock(key).get_mut(key).and_then(|line| line.next.take());
        drop(departed);
    }
}

impl<T: Clone> Lines<T> {
    fn lock(&self, key: &str) -> MutexGuard<'_, Open<T>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is left of it is below the count of shards"
        )]
        let place = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Drop for Place<T> {
    fn drop(&mut self) {
        let mut open = self.lines.lock(&self.key);
        let Some(line) = open.get_mut(&self.key) else { return };
        line.readers -= 1;
        if line.readers == 0 {
            let gone = open.remove(&self.key);
            // A question that nobody asked any more goes with it, and not while the lines are locked.
            drop(open);
            drop(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    struct Asked {
        lines: Arc<Lines<usize>>,
        count: Arc<AtomicUsize>,
        gate: Arc<Semaphore>,
    }

    impl Asked {
        fn new() -> Self {
            Self { lines: Arc::default(), count: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
        }

        fn join(&self) -> tokio::task::JoinHandle<usize> {
            let (lines, count, gate) = (self.lines.clone(), self.count.clone(), self.gate.clone());
            tokio::spawn(async move {
                let ask = || {
                    async move {
                        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
                        gate.acquire().await.unwrap().forget();
                        n
                    }
                    .boxed()
                };
                lines.join(&"key".into(), ask).await
            })
        }

        async fn is_asked(&self, times: usize) {
            while self.count.load(Ordering::SeqCst) < times {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn those_who_come_while_a_question_is_under_way_share_the_next_one() {
        let asked = Asked::new();
        let first = asked.join();
        asked.is_asked(1).await;
        let rest: Vec<_> = (0..50).map(|_| asked.join()).collect();
        while asked.lines.lock("key")["key"].readers < 51 {
            tokio::task::yield_now().await;
        }

        asked.gate.add_permits(2);

        assert_eq!(first.await.unwrap(), 1);
        for one in rest {
            assert_eq!(one.await.unwrap(), 2);
        }
        assert!(asked.lines.lock("key").is_empty());
    }

    #[tokio::test]
    async fn who_leaves_a_line_holds_nobody_up_and_leaves_nothing_behind() {
        let asked = Asked::new();
        let first = asked.join();
        asked.is_asked(1).await;
        let (second, third) = (asked.join(), asked.join());
        while asked.lines.lock("key")["key"].readers < 3 {
            tokio::task::yield_now().await;
        }

        second.abort();
        first.abort();
        asked.gate.add_permits(1);

        assert_eq!(third.await.unwrap(), 2);
        assert!(second.await.is_err() && first.await.is_err());
        assert!(asked.lines.lock("key").is_empty());
    }
}
