//! The queue as an apalis backend: the only file that knows both.
//!
//! The claiming loop does the work; here is only the receiving end of its channel. So the rules that apalis
//! 1.0 has for a backend are kept by construction: it never yields an `Err` (that would end the worker), the
//! channel registers the waker on every `Pending`, nothing is claimed here, and there is nothing to close.
//! What is yielded is a whole claim, as raw envelopes: reading them is dispatch's affair, so a bad one is a
//! failed job and not a failed worker.

use std::convert::Infallible;
use std::task::{Context, Poll};

use apalis::prelude::{Backend, Task, WorkerContext};
use apalis_core::backend::BackendConfig;
use apalis_core::backend::finalize::Ephemeral;
use tokio::sync::mpsc;
use tower::layer::util::Identity;

use crate::job::Job;

/// The receiving end of the claiming loop.
pub(crate) struct Feed(pub(crate) mpsc::Receiver<Vec<Job>>);

impl Backend for Feed {
    type Task = Task<Vec<Job>>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Vec<Job>>, Infallible>>> {
        self.0.poll_recv(cx).map(|jobs| jobs.map(|jobs| Ok(Task::new(jobs))))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Feed {
    type Args = Vec<Job>;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
