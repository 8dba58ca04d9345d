//! The bug zoo: each switch breaks one rule, in the fakes and in the wiring between the machines, never in them.

use anser_testkit::checker::Promise;

/// How a seed is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// As it is, on one node.
    Plain,
    /// As it is, on several nodes.
    Several,
    /// With a rule broken, in weather that brings it out.
    Broken(Switch),
    /// In the same weather, with nothing broken.
    Whole(Switch),
}

impl Trial {
    /// The rule that is broken.
    pub(crate) const fn broken(self) -> Option<Switch> {
        match self {
            Self::Broken(switch) => Some(switch),
            Self::Plain | Self::Several | Self::Whole(_) => None,
        }
    }

    /// The rule that the weather is for.
    pub(crate) const fn about(self) -> Option<Switch> {
        match self {
            Self::Broken(switch) | Self::Whole(switch) => Some(switch),
            Self::Plain | Self::Several => None,
        }
    }
}

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident = $text:literal breaks [$($promise:ident),+];)+) => {
        /// A rule that can be broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Switch {
            $($(#[$doc])* $name,)+
        }

        impl Switch {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The promises of which the checker must find one broken.
            pub const fn breaks(self) -> &'static [Promise] {
                match self {
                    $(Self::$name => &[$(Promise::$promise,)+],)+
                }
            }
        }
    };
}

switches! {
    /// The log says that records are durable when it has only taken them.
    AckBeforeDurable = "ack-before-durable" breaks [AckedIsDurable];
    /// Appends that landed elsewhere, or nowhere, are reported as landed where they were expected.
    ContiguityIgnored = "contiguity-ignored" breaks [AckedIsDurable];
    /// What a dead owner appended after its successor's claim counts.
    FencingIgnored = "fencing-ignored" breaks [AckedIsDurable, NothingTwice];
    /// Client ids are lost on the way to the owner.
    DuplicatesIgnored = "duplicates-ignored" breaks [NothingTwice];
    /// A new owner does not read the window of accepted messages.
    DuplicatesForgotten = "duplicates-forgotten" breaks [NothingTwice];
    /// A publish forgets what its connection was shown.
    FloorIgnored = "floor-ignored" breaks [Causal];
    /// A user's publishes do not pass one queue.
    QueueBypassed = "queue-bypassed" breaks [InOrder];
    /// The bits that make a UID unique are left out.
    SpinLeftOut = "spin-left-out" breaks [UniqueIds];
    /// Tables apply again what they have applied.
    MarksIgnored = "marks-ignored" breaks [NothingTwice];
    /// The mark is written before the rows.
    MarkBeforeRows = "mark-before-rows" breaks [NothingLost];
    /// The place to replay from does not go back when a store may have forgotten.
    ReplayTooLate = "replay-too-late" breaks [NothingLost];
    /// A store that forgot gives positions out again.
    RollbackFloorMissing = "rollback-floor-missing" breaks [NoGap, NothingLost];
    /// History notes how far it has got before it has written.
    HistoryMarkBeforeRows = "history-mark-before-rows" breaks [NothingLost, OneOrder];
    /// A message that is replayed goes to those who are members now.
    RosterOfNow = "roster-of-now" breaks [NothingLost, OneWayIn];
    /// A member reads what was said before the joining.
    JoiningIgnored = "joining-ignored" breaks [OneWayIn];
    /// A client is taken for one of another generation.
    WrongGeneration = "wrong-generation" breaks [NothingLost, ToldWhy, NoGap];
    /// A message whose place is not its sent time is pushed directly.
    PlaceIgnored = "place-ignored" breaks [NothingTwice, NothingLost, OneOrder];
    /// Messages are pushed to terminals that are behind or pulling.
    DirectWhileBehind = "direct-while-behind" breaks [NothingLost, NothingTwice, OneOrder];
    /// A direct push is repeated.
    DirectRepeated = "direct-repeated" breaks [NothingTwice];
    /// A pull answer names a cursor ahead of what it read.
    PullAhead = "pull-ahead" breaks [NoGap];
    /// A notify names a time ahead of the timeline.
    NotifyAhead = "notify-ahead" breaks [NoGap];
    /// What a connection sent comes back to it.
    OwnNotLeftOut = "own-not-left-out" breaks [NothingTwice];
    /// Acks go out after what shows the message.
    AckAfterCopy = "ack-after-copy" breaks [NothingTwice];
    /// Outcomes are lost.
    OutcomeLost = "outcome-lost" breaks [ToldWhy];
    /// Refusals carry a status that nobody knows.
    StatusUnknown = "status-unknown" breaks [ToldWhy];
    /// A pull answer holds a message of somebody else.
    WrongReader = "wrong-reader" breaks [OneWayIn];
    /// A pull answer is not in the order of the timeline.
    PullShuffled = "pull-shuffled" breaks [OneOrder];
    /// A pull says that it was finished when it was not.
    PullCutShort = "pull-cut-short" breaks [NothingLost];
    /// Notifies are lost on the way to the terminal.
    ArrivalsLost = "arrivals-lost" breaks [NothingLost];
    /// Nobody tells a node that what it forwarded is lost.
    LossUntold = "loss-untold" breaks [ToldWhy];
    /// What a broken stream had not delivered is told to nobody.
    BehindUntold = "behind-untold" breaks [NothingLost];
    /// A mailbox that came back without its newest writes says nothing of it.
    RollbackUnseen = "rollback-unseen" breaks [NothingLost];
    /// A forward is taken in that belongs to an earlier life of its way, or left before its node had heard of a loss.
    StaleForwards = "stale-forwards" breaks [InOrder];
    /// Forwards do not name the one before them.
    ForwardsUnlinked = "forwards-unlinked" breaks [InOrder];
    /// What an owner gives back is not told to the queue that it came from.
    ReturnedUntold = "returned-untold" breaks [ToldWhy];
    /// What came on a broken way is taken in though it is sent again.
    OldWaysAccepted = "old-ways-accepted" breaks [InOrder, ToldWhy];
    /// What is newer goes to the next node of a user while the former one has something.
    KeptApart = "kept-apart" breaks [InOrder, ToldWhy];
    /// What has no outcome is not sent again.
    NotSentAgain = "not-sent-again" breaks [InOrder, ToldWhy, NothingLost];
    /// What has no outcome is sent again in another order.
    SentAgainShuffled = "sent-again-shuffled" breaks [InOrder];
    /// A process that stood still does not notice it.
    StandstillUnnoticed = "standstill-unnoticed" breaks [InOrder, ToldWhy];
    /// The access node forgets the times that users were told.
    ToldForgotten = "told-forgotten" breaks [InOrder];
    /// Nobody looks at the ends of partitions.
    EndsUnlooked = "ends-unlooked" breaks [NothingLost];
    /// An idle queue forgets the time that it told last.
    QueueForgets = "queue-forgets" breaks [InOrder];
    /// What was there before a claim is not applied.
    ReplayBegunAtClaim = "replay-begun-at-claim" breaks [NothingLost];
    /// What came between the look at a partition and the claim is not read.
    ReadOnSkipped = "read-on-skipped" breaks [NothingLost, NothingTwice, InOrder];
    /// An owner whose records land behind another one's claim is told that they landed where they were to.
    ClaimLossUnseen = "claim-loss-unseen" breaks [AckedIsDurable];
    /// Records of claims that are not the newest count.
    OldClaimsCount = "old-claims-count" breaks [NothingTwice, AckedIsDurable, NothingLost];
    /// The clocks of nodes are far apart.
    ClocksApart = "clocks-apart" breaks [InOrder];
    /// Whoever reads history does not wait for what is not archived yet.
    ArchiverUnasked = "archiver-unasked" breaks [NothingLost];
    /// A bucket of the mailbox that cannot be written is passed over.
    BucketPassedOver = "bucket-passed-over" breaks [NothingLost];
    /// What the mailbox refuses to a former owner is taken for applied.
    RefusedNoted = "refused-noted" breaks [NothingLost];
    /// An owner knows of rosters what the directory has.
    ChangesUnread = "changes-unread" breaks [NothingLost, OneWayIn, ToldWhy];
}

impl Switch {
    /// Whether the rule is one of those that only several nodes need.
    pub(crate) const fn is_of_fleet(self) -> bool {
        // They are the last ones.
        self as usize >= Self::LossUntold as usize
    }
}
