//! Which of several servers is the primary, from what all of them say. Pure.
//!
//! Redis itself lets two servers be primaries at once: a replica that was promoted while the old primary lives, an old primary that
//! comes back before it is told to follow. If some processes used one and some the other, entries would go below what readers
//! were shown by the other. So a primary is *chosen*: it says so itself, in the life in which that was done. No script runs on
//! one that is not, and another one is chosen only after those that say that they are have been told that they are not any more.
//!
//! What is compared holds for as long as a server lives, so that all who see the same servers choose the same one.

#[cfg(test)]
mod model;

use std::time::Duration;

/// For how long servers are waited for that are not there, before one is chosen of which nothing tells that it takes their
/// place.
const PATIENCE: Duration = Duration::from_millis(1_500);

const NONE: &str = "none of the servers is a primary";
const UNDER_WAY: &str = "another process is about to choose a primary";
const ALONE: &str = "the only primary was not chosen in the life that it has, and other servers do not answer";

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing, or that it is still loading its data.
    Nothing,
    /// It follows another server.
    Replica,
    /// It is a primary.
    Primary(Facts),
}

/// What a primary says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// Its life: its replication id.
    pub(super) life: String,
    /// The life that it followed until it was promoted, and its place in that; empty and 0 if it was not.
    pub(super) before: String,
    pub(super) before_end: i64,
    /// The last choice that it knows of: its own, or one that it was told as a replica or in an earlier life.
    pub(super) noted: Noted,
}

/// A choice, as a server notes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Noted {
    /// How many choices there have been.
    pub(super) term: u64,
    /// The life that was chosen; empty: it is not any more, or not yet.
    pub(super) life: String,
    /// The life that is to be chosen.
    pub(super) next: String,
    /// The highest floor that any bucket was given in that life.
    pub(super) base: u64,
    /// The newest choices whose writes it has, or has stepped back behind: [`used`] of each, with spaces between.
    pub(super) line: String,
}

/// A choice as all know it that used it.
pub(super) fn used(life: &str, term: u64) -> String {
    format!("{life}-{term}")
}

impl Facts {
    /// Whether it says that it is chosen, and nobody knows of a later choice.
    fn is_chosen(&self, newest: u64) -> bool {
        self.noted.life == self.life && self.noted.term >= newest
    }

    /// Whether it says that it is to be chosen, and nobody knows of a later choice.
    fn is_next(&self, newest: u64) -> bool {
        self.noted.next == self.life && self.noted.term >= newest
    }

    /// Whether it says either, by whatever choice.
    fn stands(&self) -> bool {
        [&self.noted.life, &self.noted.next].contains(&&self.life)
    }

    fn was_promoted(&self) -> bool {
        !self.before.is_empty()
    }

    /// Whether its data may lie beside those of a choice that was used, and not before or behind them: it has nothing of what was
    /// written then, and may have what was gone by then, at places that readers have passed since. Of a server that nobody chose, or that
    /// was chosen by an older program, nothing is known.
    pub(super) fn is_branch(&self, used: &str) -> bool {
        !used.is_empty() && !self.noted.line.is_empty() && !self.has(used)
    }

    /// Whether it says that it has the writes of a choice.
    pub(super) fn has(&self, used: &str) -> bool {
        self.noted.line.split(' ').any(|choice| choice == used)
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one is used.
    Use(usize),
    /// These are told that they are not chosen; then this one, that it is to be. Then it is looked again.
    Take {
        /// The new one.
        server: usize,
        /// All other primaries.
        from: Vec<usize>,
    },
    /// This one is told that it is chosen. Then it is looked again.
    Confirm(usize),
    /// It is looked again after a while.
    Wait(&'static str),
}

/// Chooses. `newest` is the newest choice that this process knows of, `last` the one that it used last, `mine` the one that it
/// noted before it looked, `waited` for how long it has been looking since it heard of that newest choice.
pub(super) fn choose(seen: &[Seen], newest: u64, last: &str, mine: Option<u64>, waited: Duration) -> Choice {
    let primaries: Vec<(usize, &Facts)> = seen.iter().enumerate().filter_map(primary).collect();
    let newest = primaries.iter().map(|(_, facts)| facts.noted.term).fold(newest, u64::max);
    // Whoever was promoted takes the place of the primary that it followed, as long as that one is in the same life.
    let is_succeeded = |facts: &Facts| primaries.iter().any(|(_, other)| other.before == facts.life);
    let order = |facts: &Facts| {
        let choice = (facts.is_chosen(newest), facts.is_next(newest));
        let place = (facts.noted.term, facts.before_end);
        (!is_succeeded(facts), choice, facts.was_promoted(), place, facts.life.clone())
    };
    let Some((server, best)) = primaries.iter().copied().max_by_key(|(_, facts)| order(facts)) else {
        return Choice::Wait(NONE);
    };
    // Two addresses may lead to one server.
    let others = || primaries.iter().filter(|(_, other)| other.life != best.life);
    let is_alone = !others().any(|(_, other)| other.stands());
    let is_late = waited >= PATIENCE;
    let is_branch = best.is_branch(last);
    if is_alone && best.is_chosen(newest) && !is_branch {
        return Choice::Use(server);
    }
    if is_alone && best.is_next(newest) {
        match mine {
            Some(term) if term == best.noted.term => return Choice::Confirm(server),
            _ if is_late => {}
            _ => return Choice::Wait(UNDER_WAY),
        }
    }
    let is_complete = !seen.contains(&Seen::Nothing);
    let is_newest = best.is_chosen(newest) || best.is_next(newest);
    if is_complete || is_newest || best.was_promoted() && !is_branch || is_late {
        return Choice::Take { server, from: others().map(|(at, _)| *at).collect() };
    }
    Choice::Wait(ALONE)
}

fn primary((at, seen): (usize, &Seen)) -> Option<(usize, &Facts)> {
    match seen {
        Seen::Primary(facts) => Some((at, facts)),
        Seen::Nothing | Seen::Replica => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(life: &str, before: &str, chosen: Option<u64>) -> Seen {
        let noted = chosen.map_or_else(Noted::default, |term| Noted { term, life: life.into(), ..Noted::default() });
        Seen::Primary(Facts { life: life.into(), before: before.into(), before_end: 0, noted })
    }

    /// A primary that was started again: what it noted is about its former life.
    fn restarted(life: &str, former: &str, term: u64) -> Seen {
        let noted = Noted { term, life: former.into(), ..Noted::default() };
        Seen::Primary(Facts { life: life.into(), noted, ..Facts::default() })
    }

    fn take(server: usize, from: &[usize]) -> Choice {
        Choice::Take { server, from: from.to_vec() }
    }

    fn soon(seen: &[Seen]) -> Choice {
        choose(seen, 0, "", None, Duration::ZERO)
    }

    #[test]
    fn the_one_that_is_chosen_is_used_whatever_the_others_are() {
        for other in [Seen::Replica, Seen::Nothing, restarted("b", "x", 1), primary("b", "x", None)] {
            assert_eq!(soon(&[primary("a", "", Some(3)), other.clone()]), Choice::Use(0), "{other:?}");
        }
        assert_eq!(soon(&[primary("a", "", None), Seen::Replica]), take(0, &[]));
    }

    #[test]
    fn a_promoted_replica_takes_the_place_of_the_primary_that_it_followed() {
        let (old, new) = (primary("a", "", Some(3)), primary("b", "a", None));
        assert_eq!(soon(&[old.clone(), new.clone()]), take(1, &[0]), "the old one lives, and is told first");
        assert_eq!(soon(&[Seen::Nothing, new.clone()]), take(1, &[]), "it does not answer");
        assert_eq!(soon(&[restarted("c", "a", 3), new.clone()]), take(1, &[0]), "it was started again");
        let third = primary("d", "b", None);
        assert_eq!(soon(&[third, new, old]), take(0, &[1, 2]), "and so on");
    }

    #[test]
    fn an_old_primary_that_comes_back_changes_nothing() {
        assert_eq!(soon(&[restarted("c", "a", 3), primary("b", "a", Some(4))]), Choice::Use(1));
        // It lived all the time, and says that it is chosen: by a choice that is not the newest.
        let (old, new) = (primary("a", "", Some(3)), primary("b", "x", Some(4)));
        assert_eq!(soon(&[old.clone(), new]), take(1, &[0]));
        // Whoever knows of the newer one does not use it as it is.
        assert_eq!(choose(&[old.clone(), Seen::Nothing], 4, "", None, Duration::ZERO), Choice::Wait(ALONE));
        assert_eq!(choose(&[old, Seen::Nothing], 4, "", None, PATIENCE), take(0, &[]));
    }

    #[test]
    fn a_primary_that_was_started_again_is_used_at_once_if_all_others_are_replicas_else_after_a_while() {
        let again = restarted("b", "a", 7);
        assert_eq!(soon(&[again.clone(), Seen::Replica]), take(0, &[]));
        assert_eq!(soon(&[again.clone(), Seen::Nothing]), Choice::Wait(ALONE));
        assert_eq!(choose(&[again, Seen::Nothing], 7, "", None, PATIENCE), take(0, &[]));
        assert_eq!(choose(&[Seen::Replica, Seen::Nothing], 0, "", None, PATIENCE), Choice::Wait(NONE));
    }

    #[test]
    fn a_choice_counts_once_whoever_made_it_has_looked_again() {
        let noted = Noted { term: 5, next: "a".into(), ..Noted::default() };
        let next = Seen::Primary(Facts { life: "a".into(), noted, ..Facts::default() });
        let again = |seen: &[Seen], mine| choose(seen, 0, "", mine, Duration::ZERO);
        assert_eq!(again(&[next.clone(), restarted("b", "x", 5)], Some(5)), Choice::Confirm(0));
        assert_eq!(again(&[next.clone(), Seen::Replica], None), Choice::Wait(UNDER_WAY));
        assert_eq!(again(&[next.clone(), Seen::Replica], Some(4)), Choice::Wait(UNDER_WAY));
        assert_eq!(choose(&[next.clone(), Seen::Replica], 0, "", None, PATIENCE), take(0, &[]), "its maker is gone");
        assert_eq!(again(&[next.clone(), primary("b", "", Some(5))], Some(5)), take(1, &[0]));
        assert_eq!(again(&[next.clone(), primary("b", "a", None)], Some(5)), take(1, &[0]));
        let other = Noted { term: 5, next: "b".into(), ..Noted::default() };
        let other = Seen::Primary(Facts { life: "b".into(), noted: other, ..Facts::default() });
        assert_eq!(again(&[next, other], Some(5)), take(1, &[0]), "another one was noted at once");
    }

    #[test]
    fn whoever_used_another_line_waits_for_it_and_has_a_branch_chosen_anew() {
        let with = |seen: Seen, line: &str| match seen {
            Seen::Primary(facts) => {
                Seen::Primary(Facts { noted: Noted { line: line.to_owned(), ..facts.noted }, ..facts })
            }
            other => other,
        };
        let promoted = with(primary("b", "a", None), "x-1 a-2");
        let look = |seen: &[Seen], last: &str, waited| choose(seen, 0, last, None, waited);
        assert_eq!(look(&[Seen::Nothing, promoted.clone()], "a-2", Duration::ZERO), take(1, &[]), "no branch");
        assert_eq!(look(&[Seen::Nothing, promoted.clone()], "c-3", Duration::ZERO), Choice::Wait(ALONE));
        assert_eq!(look(&[Seen::Nothing, promoted.clone()], "c-3", PATIENCE), take(1, &[]));
        assert_eq!(look(&[Seen::Replica, promoted], "c-3", Duration::ZERO), take(1, &[]), "the other one follows");
        // Somebody chose it who knew nothing of the other line.
        let chosen = with(primary("b", "a", Some(4)), "x-1 a-2 b-4");
        assert_eq!(look(std::slice::from_ref(&chosen), "b-4", Duration::ZERO), Choice::Use(0));
        assert_eq!(look(std::slice::from_ref(&chosen), "c-3", Duration::ZERO), take(0, &[]));
        assert_eq!(look(&[with(chosen, "x-1 a-2 b-4 c-3 b-5")], "c-3", Duration::ZERO), Choice::Use(0));
        assert_eq!(look(&[primary("b", "a", Some(4))], "c-3", Duration::ZERO), Choice::Use(0), "nothing is known");
    }

    #[test]
    fn one_server_under_two_addresses_is_one() {
        for chosen in [Some(2), None] {
            let seen = [primary("a", "", chosen), primary("a", "", chosen)];
            let expected = if chosen.is_some() { Choice::Use(1) } else { take(1, &[]) };
            assert_eq!(soon(&seen), expected);
        }
    }

    #[test]
    fn all_choose_the_same_of_two_that_nothing_tells_apart() {
        let (one, other) = (primary("a", "", None), primary("b", "", None));
        assert_eq!((soon(&[one.clone(), other.clone()]), soon(&[other, one])), (take(1, &[0]), take(0, &[1])));
        // Two were chosen at once.
        let (one, other) = (primary("a", "", Some(2)), primary("b", "", Some(2)));
        assert_eq!((soon(&[one.clone(), other.clone()]), soon(&[other, one])), (take(1, &[0]), take(0, &[1])));
        // Of two that were started again, the one that knows more.
        assert_eq!(soon(&[restarted("a", "x", 5), restarted("b", "y", 2)]), take(0, &[1]));
    }
}
