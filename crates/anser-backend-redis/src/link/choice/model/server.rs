//! A server of the model.

use std::collections::BTreeMap;

use super::PROCESSES;
use crate::link::choice::Noted;

/// What a server keeps.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    pub(super) noted: Noted,
    /// The life in which the timeline was last written, its floor, and its newest position.
    pub(super) life: String,
    pub(super) floor: u64,
    pub(super) last: u64,
    /// The newest choices for which the server and its only bucket step back.
    pub(super) stepped: u64,
    pub(super) bucket_stepped: u64,
    /// Up to where each partition is written, and from where it is replayed.
    pub(super) marks: [usize; PROCESSES],
    pub(super) places: [usize; PROCESSES],
    /// Where each record of each partition lies.
    pub(super) timeline: BTreeMap<(usize, usize), u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) is_up: bool,
    pub(super) follows: Option<usize>,
    pub(super) life: String,
    pub(super) before: String,
    pub(super) before_end: i64,
    pub(super) data: Data,
    /// What is there after a restart that loses the newest writes.
    pub(super) safe: Data,
}
