//! Looks for signs that Redis came back without its newest writes, also where nobody writes: the lives of the primaries, and a
//! number of our own that must not go back.

use redis::Value;

use crate::check;
use crate::error::CallError;
use crate::link::Link;
use crate::store::parse;

/// For how long Redis keeps the number after we last wrote it.
const BEAT_KEPT_MS: u64 = 24 * 3600 * 1000;

/// What was seen when we last looked.
#[derive(Debug)]
pub(crate) struct Watch {
    key: Vec<u8>,
    lives: Vec<String>,
    choice: u64,
    /// The newest number that Redis confirmed; 0 before the first.
    confirmed: u64,
    /// The next number.
    next: u64,
}

impl Watch {
    /// `key` is of this process alone.
    pub(crate) const fn new(key: Vec<u8>) -> Self {
        Self { key, lives: Vec::new(), choice: 0, confirmed: 0, next: 1 }
    }

    /// The number of the choice of a primary in which we last looked.
    pub(crate) const fn choice(&self) -> u64 {
        self.choice
    }

    /// Looks. Returns whether Redis may have lost something since it last did.
    pub(crate) async fn look(&mut self, link: &Link) -> Result<bool, CallError> {
        let choice = link.look("look").await?;
        self.choice = choice;
        let mut info = redis::cmd("INFO");
        info.arg("replication");
        let mut lives = check::lives(link.on_primaries("INFO", &info).await?)?;
        // The same server may have been given up for another one meanwhile, and have been chosen again.
        lives.push(format!("choice {choice}"));
        let mut beat = redis::cmd("SET");
        beat.arg(&self.key).arg(self.next).arg("PX").arg(BEAT_KEPT_MS).arg("GET");
        // If the answer is lost, the number may be there, or the one before.
        self.next += 1;
        let found = link.call("SET", &beat).await?;
        self.compare(lives, found)
    }

    fn compare(&mut self, lives: Vec<String>, found: Value) -> Result<bool, CallError> {
        let found = parse::<Option<u64>>("SET", found)?.unwrap_or(0);
        let is_anew = !self.lives.is_empty() && lives.iter().any(|life| !self.lives.contains(life));
        let has_lost = is_anew || found < self.confirmed;
        self.lives = lives;
        self.confirmed = self.next - 1;
        Ok(has_lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_life_or_a_number_that_went_back_shows() {
        let mut watch = Watch::new(Vec::new());
        let mut look = |lives: &[&str], found: Option<u64>| {
            watch.next += 1;
            let found = found.map_or(Value::Nil, |found| Value::BulkString(found.to_string().into_bytes()));
            watch.compare(lives.iter().map(|life| (*life).to_owned()).collect(), found).unwrap()
        };
        assert!(!look(&["a", "b"], None), "the first look");
        assert!(!look(&["a", "b"], Some(1)));
        assert!(!look(&["a"], Some(2)), "a primary that has gone");
        assert!(look(&["c"], Some(3)), "another life");
        assert!(look(&["c"], Some(2)), "the number went back");
        assert!(look(&["c"], None), "the number is gone");
        assert!(!look(&["c"], Some(6)));
    }
}
