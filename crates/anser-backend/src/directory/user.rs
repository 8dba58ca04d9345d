//! How user records become a view of a user and its settings. Pure: every directory folds alike.

use anser_types::record::{UserChange, UserRecord};
use anser_types::{Offset, Timestamp};

use super::{Setting, UserView};

impl UserView {
    /// Whether a change concerns this view at all; the others leave it as it is.
    pub const fn is_concerned(change: &UserChange) -> bool {
        matches!(
            change,
            UserChange::Profile { .. }
                | UserChange::Blocked { .. }
                | UserChange::Unblocked
                | UserChange::TokensVoid { .. }
        )
    }

    /// Takes the view back to what it was at an offset, as far as it can be told; what happened since is to be taken in again.
    pub fn take_back(&mut self, to: Offset) {
        self.next = to.min(self.next);
    }

    /// Takes in the record at `offset`, unless the view contains it already. Returns whether the record was new.
    pub fn apply(&mut self, offset: Offset, record: &UserRecord) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset.next();
        match &record.change {
            UserChange::Profile { name, portrait } => {
                for (known, new) in [(&mut self.name, name), (&mut self.portrait, portrait)] {
                    if let Some(new) = new {
                        known.clone_from(new);
                    }
                }
                // Later only where the view was taken back.
                if self.created == Timestamp::ZERO || self.created > record.time {
                    self.created = record.time;
                }
            }
            UserChange::Blocked { until } => self.blocked_until = *until,
            UserChange::Unblocked => self.blocked_until = Timestamp::ZERO,
            // Tokens that were void stay so, whatever a later record says.
            UserChange::TokensVoid { before } => self.tokens_from = self.tokens_from.max(*before),
            _ => {}
        }
        true
    }
}

impl Setting {
    /// The setting that a record makes, if it makes one. It replaces one of an earlier time.
    pub fn of_record(record: &UserRecord) -> Option<Self> {
        match &record.change {
            UserChange::Setting { conversation, item, value } => {
                Some(Self { conversation: conversation.clone(), item: *item, value: value.clone(), time: record.time })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use anser_types::{AppKey, UserId, UserKey};

    use super::*;

    fn record(time: u64, change: UserChange) -> UserRecord {
        let user = UserKey::new(AppKey::new("app").unwrap(), UserId::new("bob").unwrap());
        UserRecord { user, time: Timestamp(time), change }
    }

    #[test]
    fn a_user_is_what_its_records_say() {
        let mut view = UserView::default();
        let profile = |name: &str| UserChange::Profile { name: Some(name.into()), portrait: Some("p".into()) };
        assert!(view.apply(Offset(3), &record(10, UserChange::Blocked { until: Timestamp(99) })));
        assert_eq!((view.created, view.blocked_until), (Timestamp::ZERO, Timestamp(99)));
        assert!(view.apply(Offset(4), &record(11, profile("Bob"))));
        assert!(view.apply(Offset(7), &record(12, profile("Bobby"))));
        assert_eq!((view.name.as_str(), view.created), ("Bobby", Timestamp(11)));
        assert!(!view.apply(Offset(4), &record(11, profile("Bob"))), "a repeat is no news");
        assert_eq!((view.name.as_str(), view.next), ("Bobby", Offset(8)));
        assert!(view.apply(Offset(8), &record(13, UserChange::Unblocked)));
        assert_eq!(view.blocked_until, Timestamp::ZERO);
    }

    #[test]
    fn what_a_profile_leaves_out_stays_as_it_was() {
        let mut view = UserView::default();
        let profile = |name: Option<&str>, portrait: Option<&str>| UserChange::Profile {
            name: name.map(str::to_owned),
            portrait: portrait.map(str::to_owned),
        };
        view.apply(Offset(0), &record(1, profile(None, None)));
        assert_eq!((view.name.as_str(), view.portrait.as_str(), view.created), ("", "", Timestamp(1)));
        view.apply(Offset(1), &record(2, profile(Some("Bob"), None)));
        view.apply(Offset(2), &record(3, profile(None, Some("p"))));
        view.apply(Offset(3), &record(4, profile(None, None)));
        assert_eq!((view.name.as_str(), view.portrait.as_str(), view.created), ("Bob", "p", Timestamp(1)));
        view.apply(Offset(4), &record(5, profile(Some(""), None)));
        assert_eq!((view.name.as_str(), view.portrait.as_str()), ("", "p"));
    }

    #[test]
    fn void_tokens_never_come_back() {
        let mut view = UserView::default();
        view.apply(Offset(0), &record(1, UserChange::TokensVoid { before: Timestamp(50) }));
        view.apply(Offset(1), &record(2, UserChange::TokensVoid { before: Timestamp(40) }));
        assert_eq!(view.tokens_from, Timestamp(50));
    }
}
