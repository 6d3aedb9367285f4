//! What is done around every handler of a build: measuring, tenants, transactions of a team's own.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::catalog::Kind;
use crate::context::JobContext;
use crate::verdict::JobResult;

/// Something around every handler.
///
/// It may look at the job, do something before and after it, change the result, or end it without running the
/// handler. It is inside of the time limit, and a panic in it is the job's failure.
pub trait Middleware: Send + Sync + 'static {
    /// Runs the rest, and whatever belongs around it.
    fn around<'m>(&'m self, ctx: Arc<JobContext>, next: Next<'m>) -> BoxFuture<'m, JobResult<Value>>;
}

/// What a middleware is around: the next one, and in the end the handler.
pub struct Next<'m> {
    pub(crate) rest: &'m [Arc<dyn Middleware>],
    pub(crate) kind: &'m Kind,
    pub(crate) payload: String,
    pub(crate) handler: &'m Handler<'m>,
}

/// What runs a job in the end: the handler of its kind, or whoever gathers jobs for one that takes many.
pub(crate) type Handler<'h> =
    dyn Fn(String, Arc<JobContext>) -> BoxFuture<'static, JobResult<Value>> + Send + Sync + 'h;

impl<'m> Next<'m> {
    /// The kind of the job.
    pub fn kind(&self) -> &Kind {
        self.kind
    }

    /// The arguments, as JSON.
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// Runs it.
    pub fn run(self, ctx: Arc<JobContext>) -> BoxFuture<'m, JobResult<Value>> {
        match self.rest {
            [] => (self.handler)(self.payload, ctx),
            [first, rest @ ..] => first.around(ctx, Self { rest, ..self }),
        }
    }
}
