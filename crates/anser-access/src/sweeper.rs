//! One look at all connections each second, instead of timers in each of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::connection::Connection;
use crate::outbox::End;
use crate::services::Services;

/// How often the sweeper looks.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a connection that is being closed may take to send what is left.
const CLOSING_MAX: u32 = 5;

/// Seconds since the start, as the sweeper counts them: coarse, cheap, and never set back.
#[derive(Debug, Default)]
pub(crate) struct Seconds(AtomicU32);

impl Seconds {
    pub(crate) fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, seconds: u64) {
        self.0.store(u32::try_from(seconds).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

/// Looks until it is cancelled.
pub(crate) async fn sweep(services: Arc<Services>) {
    let start = tokio::time::Instant::now();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        services.seconds.set(start.elapsed().as_secs());
        look(&services);
    }
}

fn look(services: &Services) {
    let (seconds, now) = (services.seconds.now(), services.onward.now());
    services.registry.for_each(|connection| {
        if let Some((end, why)) = overdue(services, connection, seconds) {
            services.registry.end(connection, end, why);
        } else if connection.stamps.wants_tick(now) {
            connection.stamps.tick_at(None);
            connection.outbox.tick();
        }
    });
}

fn overdue(services: &Services, connection: &Connection, now: u32) -> Option<(End, &'static str)> {
    let (config, stamps) = (&services.config, &connection.stamps);
    let over = |seconds: u32, limit: u64| u64::from(seconds) > limit;
    if stamps.closing_for(now) > CLOSING_MAX || over(stamps.stalled_for(now), config.write_timeout_seconds) {
        return Some((End::Cut, "takes_nothing"));
    }
    over(stamps.silent_for(now), connection.silent_max).then_some((End::Quiet, "silent"))
}
