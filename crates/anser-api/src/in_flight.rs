//! How many requests are under way: so many that there is room for other apps, however slow those of one are, and room for
//! messages, however slow the directory is.

use std::collections::BTreeMap;

use anser_types::AppKey;
use parking_lot::Mutex;

use crate::endpoint::Endpoint;

/// See the module.
#[derive(Debug)]
pub(crate) struct InFlight {
    max: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    all: usize,
    /// Of apps that have any.
    by_app: BTreeMap<AppKey, usize>,
}

/// The place of a request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    app: &'a AppKey,
    of: &'a InFlight,
}

impl InFlight {
    /// Room for so many over all apps.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, under_way: Mutex::default() }
    }

    /// A place, if the app has fewer of them than are free. A quarter of all is free to publishes only, which need no
    /// directory.
    pub(crate) fn enter<'a>(&'a self, app: &'a AppKey, endpoint: Endpoint) -> Option<Place<'a>> {
        let max = if endpoint.is_publish() { self.max } else { self.max - self.max / 4 };
        let mut under_way = self.under_way.lock();
        let own = under_way.by_app.get(app).copied().unwrap_or_default();
        if own >= max.saturating_sub(under_way.all) {
            return None;
        }
        under_way.all += 1;
        under_way.by_app.insert(app.clone(), own + 1);
        Some(Place { app, of: self })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut under_way = self.of.under_way.lock();
        under_way.all -= 1;
        if let Some(own) = under_way.by_app.get_mut(self.app) {
            *own -= 1;
            if *own == 0 {
                under_way.by_app.remove(self.app);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_app_leaves_room_for_others_however_many_requests_it_has() {
        let (one, other) = (AppKey::new("one").unwrap(), AppKey::new("other").unwrap());
        let in_flight = InFlight::new(8);
        let publish = |app| in_flight.enter(app, Endpoint::PublishPrivate);
        let mut of_one: Vec<_> = std::iter::from_fn(|| publish(&one)).collect();
        assert_eq!(of_one.len(), 4);
        let of_other: Vec<_> = std::iter::from_fn(|| publish(&other)).collect();
        assert_eq!(of_other.len(), 2, "half of what was left");
        of_one.pop();
        assert!(publish(&one).is_none(), "three are free, and three it has");
        drop((of_one, of_other));
        assert_eq!(std::iter::from_fn(|| publish(&one)).collect::<Vec<_>>().len(), 4, "places are given back");
        assert!(InFlight::new(0).enter(&one, Endpoint::PublishPrivate).is_none());
    }

    #[test]
    fn requests_that_may_need_the_directory_leave_room_for_publishes() {
        let (one, other) = (AppKey::new("one").unwrap(), AppKey::new("other").unwrap());
        let in_flight = InFlight::new(16);
        let enter = |app, endpoint| std::iter::from_fn(|| in_flight.enter(app, endpoint)).collect::<Vec<_>>();
        let of_one = enter(&one, Endpoint::UserInfo);
        assert_eq!(of_one.len(), 6, "half of three quarters");
        assert_eq!(enter(&one, Endpoint::PublishGroup).len(), 2, "the same app still publishes");
        let of_other = enter(&other, Endpoint::GetToken);
        assert_eq!(of_other.len(), 3, "half of what was left of three quarters");
        assert_eq!(enter(&other, Endpoint::PublishSystem).len(), 2);
        let alone = AppKey::new("alone").unwrap();
        assert!(InFlight::new(1).enter(&alone, Endpoint::GetToken).is_some(), "the only place is everybody's");
    }
}
