//! What an examination of the servers finds, as `brasa doctor` says it.

use std::sync::Arc;

use brasa_shared::finding::{Finding, Level, Section};

use super::looks::Look;
use crate::desk::Desk;

/// What was found, server by server.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) sections: Vec<Section>,
}

impl Examined {
    /// How many findings are that bad.
    pub(crate) fn count(&self, level: Level) -> usize {
        self.findings().filter(|finding| finding.level == level).count()
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|section| &section.findings)
    }
}

/// What is found at the servers now, or was until a while ago; nothing while they are looked at for the first time.
pub(crate) async fn examined(desk: &Desk) -> Option<Arc<Look<Examined>>> {
    let examining = (desk.doctor)();
    desk.examined.see(desk, async { Examined { sections: examining.await } }).await
}
