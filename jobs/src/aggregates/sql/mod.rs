//! The statements of an aggregate.
//!
//! Everything is put together of names in quotes, of expressions from the configuration between brackets, and of values
//! of ours. What a statement has to do with rows of the source is in `rows.rs`, with time in `time.rs`.

mod board;
mod build;
mod check;
mod fold;
mod rows;
mod tables;
pub(super) mod time;
mod triggers;
mod view;

pub(super) use time::TimeKind;

pub(super) use board::{board, board_all};
pub(super) use build::{build_chunk, hold_source, next_from};
pub(super) use check::{differences, mark_range};
pub(super) use fold::{
    FoldOf, drop_empty, expand_all, fold, freeze, glance, horizon, is_idle, oldest, waiting,
};
pub(super) use rows::{probe, sample};
pub(super) use tables::{create_tables, drop_tables};
pub(super) use triggers::{EVENTS, create_functions, create_triggers, mark_everything, mark_part};
pub(super) use view::{create_view, drop_view};
