//! Single turns of the loop.

use anser_backend::memory::MemoryMailbox;
use anser_types::Timestamp;

use super::*;
use crate::fakes::{NoAccess, in_memory};

#[tokio::test(start_paused = true)]
async fn slow_is_alone_time_passes_for_what_is_to_be_tried_again_however_much_comes_in() {
    let now = || Timestamp(1_000_000);
    let backends = in_memory(MemoryMailbox::default());
    let (sender, inputs) = mpsc::channel(16);
    let (to_applier, _applies) = ToApplier::new();
    let (orders, _orders) = mpsc::channel(16);
    let progress = Progress::new(backends.log.partitions());
    let wires = Wires {
        metrics: Arc::new(MessageMetrics::new(progress.clone())),
        progress,
        backends,
        access: Arc::new(NoAccess),
        clock: Arc::new(now),
        inputs,
        to_applier,
        orders,
        cluster: None,
        peer_inbox: Arc::default(),
        rolled_back: Arc::default(),
        sign_in_views: None,
    };
    let mut message_loop = MessageLoop::new("n", Limits::default(), wires);
    let (mut inputs, mut ticks) = (Vec::new(), interval(TICK));
    for _ in 0..RECLAIM_TICKS {
        tokio::time::advance(TICK).await;
        for _ in 0..2 {
            sender.try_send(Input::Publishes(Vec::new(), Way::WITHIN)).unwrap();
            assert!(message_loop.turn(&mut inputs, &mut ticks).await.unwrap());
        }
    }
    assert!(message_loop.reclaims.is_due(), "{:?}", message_loop.reclaims);
}
