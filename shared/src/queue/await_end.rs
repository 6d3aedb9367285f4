//! Waiting for the end of a job: told by a push, with a look now and then in case it was lost.

use std::time::{Duration, Instant};

use futures_util::StreamExt;

use crate::queue::{JobView, Queue, QueueError, State};

/// How often to look where no push comes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Queue {
    /// The job as it ended, or as it is when the time is over; none if there is no such job, or not any more.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn wait_for_end(&self, id: &str, at_most: Duration) -> Result<Option<JobView>, QueueError> {
        let until = Instant::now() + at_most;
        let Ok(mut subscriber) = self.store.subscriber().await else {
            return self.watch(id, until).await;
        };
        if subscriber.subscribe(&self.keys().ended).await.is_err() {
            return self.watch(id, until).await;
        }
        let mut ends = subscriber.on_message();
        loop {
            // Written down before the look: whatever ends after it is told.
            let mut register = redis::cmd("HSET");
            register.arg(&self.keys().waiters).arg(id).arg(1);
            self.run::<()>("wait for a job", &register).await?;
            let view = self.show(id).await?;
            if is_over(view.as_ref()) || Instant::now() >= until {
                self.leave_off(id).await?;
                return Ok(view);
            }
            let told = async {
                while let Some(message) = ends.next().await {
                    if message.get_payload::<String>().is_ok_and(|ended| ended == id) {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            let pause = LOOK_EVERY.min(until.saturating_duration_since(Instant::now()));
            let _told_or_not = tokio::time::timeout(pause, told).await;
        }
    }

    /// Looks again and again, where there can be no push.
    async fn watch(&self, id: &str, until: Instant) -> Result<Option<JobView>, QueueError> {
        loop {
            let view = self.show(id).await?;
            if is_over(view.as_ref()) || Instant::now() >= until {
                return Ok(view);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn leave_off(&self, id: &str) -> Result<(), QueueError> {
        let mut command = redis::cmd("HDEL");
        command.arg(&self.keys().waiters).arg(id);
        self.run("wait no longer", &command).await
    }
}

fn is_over(view: Option<&JobView>) -> bool {
    view.is_none_or(|view| matches!(view.state, State::Done | State::Dead))
}
