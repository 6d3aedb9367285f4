//! What is in front of every request: in this order, so that whoever is not known costs little and learns nothing.
//!
//! 1. `dress`: a number for the request, headers that browsers obey, answers in the form that was asked for.
//! 2. `host`: only under its own names, so that no other site can lead a browser here (DNS rebinding).
//! 3. `door`: who it is, whether they may, whether another site made them ask. The body has not been read yet.

mod body;
mod door;
mod dress;
mod host;

pub(crate) use body::{Form, Strict, query};
pub(crate) use door::{Door, Peer, client, door, is_foreign};
pub(crate) use dress::{RequestId, dress};
pub(crate) use host::{Hosts, host};
