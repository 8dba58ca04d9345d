//! How many requests are under way: so many that there is room for other apps, however slow those of one are.

use std::collections::BTreeMap;

use anser_types::AppKey;
use parking_lot::Mutex;

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

    /// A place, if the app has fewer of them than are free.
    pub(crate) fn enter<'a>(&'a self, app: &'a AppKey) -> Option<Place<'a>> {
        let mut under_way = self.under_way.lock();
        let own = under_way.by_app.get(app).copied().unwrap_or_default();
        if own >= self.max.saturating_sub(under_way.all) {
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
        let mut of_one: Vec<_> = std::iter::from_fn(|| in_flight.enter(&one)).collect();
        assert_eq!(of_one.len(), 4);
        let of_other: Vec<_> = std::iter::from_fn(|| in_flight.enter(&other)).collect();
        assert_eq!(of_other.len(), 2, "half of what was left");
        of_one.pop();
        assert!(in_flight.enter(&one).is_none(), "three are free, and three it has");
        drop((of_one, of_other));
        assert_eq!(std::iter::from_fn(|| in_flight.enter(&one)).collect::<Vec<_>>().len(), 4, "places are given back");
        assert!(InFlight::new(0).enter(&one).is_none());
    }
}
