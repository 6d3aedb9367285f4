//! `brasa demo`
use crate::failure::Failure;
use crate::output::Output;
use brasa_jobs::Catalog;
use clap::Args;
#[derive(Debug, Args)]
pub(crate) struct Demo {}
impl Demo {
    pub(crate) async fn obey(self, _catalog: Catalog, _out: &mut Output) -> Result<(), Failure> {
        Ok(())
    }
}
