//! What can be done to a queue, as chance draws it. Jobs are picked by a number, of those that there are then, so
//! that a shorter run is a run too.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{option, sample};

/// The kinds of job.
pub(crate) const KINDS: [&str; 2] = ["a.one", "b.two"];

/// How the queue of a run is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Most at once: of the queue, of the first kind, of a share key; 0 is no limit.
    pub limits: [u32; 3],
    /// Most ended jobs that are kept.
    pub keep: u64,
}

/// When a unique key is free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When its job has ended.
    Finished,
    /// When its job starts.
    Started,
    /// After so many ms.
    Window(u64),
}

/// What a second job with a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Nothing.
    Keep,
    /// It takes the place of the first.
    Replace,
    /// It puts the first off.
    Extend,
}

/// One job that is enqueued.
#[derive(Debug, Clone)]
pub struct Put {
    /// Which kind.
    pub kind: usize,
    /// In so many ms; 0 is now.
    pub delay: i64,
    /// How urgent.
    pub priority: u8,
    /// Its share key.
    pub share: Option<u8>,
    /// Its unique key.
    pub unique: Option<(u8, Until, Conflict)>,
    /// How long its arguments are.
    pub size: usize,
}

/// One operation.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is a verb of the queue; the number picks the job that it is about")]
pub enum Op {
    Enqueue(Vec<Put>),
    EnqueueKnown(u8),
    Chain(usize, u8),
    Group(usize, u8, bool),
    Claim { hand: usize, most: usize },
    Finish(Vec<u8>),
    Retry { pick: u8, delay: u64, snooze: bool },
    Bury(u8),
    HandBack(u8),
    Renew(u8),
    StaleWords(u8),
    Cancel(u8),
    Revive(u8),
    Forget(u8),
    PromoteNow(u8),
    PromoteDue,
    Reclaim,
    Advance(u64),
    Pause(bool),
    Close(bool),
    Sweep,
}

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    let most = || sample::select(vec![0_u32, 0, 1, 2, 4]);
    let keep = sample::select(vec![0_u64, 5, 1_000]);
    ([most(), most(), most()], keep).prop_map(|(limits, keep)| Setup { limits, keep })
}

pub(crate) fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    vec(op(), most / 2..=most + most / 2)
}

fn put() -> impl Strategy<Value = Put> {
    let until = prop_oneof![
        2 => Just(Until::Finished),
        1 => Just(Until::Started),
        1 => (1_u64..20_000).prop_map(Until::Window),
    ];
    let conflict = prop_oneof![Just(Conflict::Keep), Just(Conflict::Replace), Just(Conflict::Extend)];
    let unique = option::weighted(0.4, (0_u8..3, until, conflict));
    let delay = prop_oneof![3 => Just(0_i64), 1 => 1_i64..5_000];
    let share = option::weighted(0.4, 0_u8..3);
    (0..KINDS.len(), delay, 0_u8..3, share, unique, 0_usize..200).prop_map(
        |(kind, delay, priority, share, unique, size)| Put { kind, delay, priority, share, unique, size },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let pick = any::<u8>;
    prop_oneof![
        12 => vec(put(), 1..4).prop_map(Op::Enqueue),
        1 => pick().prop_map(Op::EnqueueKnown),
        1 => (0..KINDS.len(), 2_u8..4).prop_map(|(kind, steps)| Op::Chain(kind, steps)),
        1 => (0..KINDS.len(), 1_u8..4, any::<bool>()).prop_map(|(kind, members, always)| Op::Group(kind, members, always)),
        14 => (0_usize..3, 1_usize..5).prop_map(|(hand, most)| Op::Claim { hand, most }),
        8 => vec(pick(), 1..4).prop_map(Op::Finish),
        4 => (pick(), 0_u64..3_000, any::<bool>()).prop_map(|(pick, delay, snooze)| Op::Retry { pick, delay, snooze }),
        2 => pick().prop_map(Op::Bury),
        3 => pick().prop_map(Op::HandBack),
        2 => pick().prop_map(Op::Renew),
        2 => pick().prop_map(Op::StaleWords),
        3 => pick().prop_map(Op::Cancel),
        2 => pick().prop_map(Op::Revive),
        1 => pick().prop_map(Op::Forget),
        2 => pick().prop_map(Op::PromoteNow),
        6 => Just(Op::PromoteDue),
        3 => Just(Op::Reclaim),
        8 => prop_oneof![4 => 1_u64..1_000, 1 => 10_000_u64..40_000].prop_map(Op::Advance),
        1 => any::<bool>().prop_map(Op::Pause),
        1 => any::<bool>().prop_map(Op::Close),
        1 => Just(Op::Sweep),
    ]
}
