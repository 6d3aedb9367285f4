//! How things look: the frame of pages, numbers for people, charts, and what is remembered to draw them.

pub(crate) mod chart;
pub(crate) mod database;
pub(crate) mod examined;
pub(crate) mod format;
pub(crate) mod graves;
pub(crate) mod lately;
pub(crate) mod layout;
pub(crate) mod looks;
pub(crate) mod part;
pub(crate) mod plot;
pub(crate) mod series;
