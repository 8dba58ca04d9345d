//! Who makes a request: the headers that sign it, and whether it is fresh.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use anser_cluster::{App, AppRegistry};
use anser_rmtp::signature::verify;
use anser_types::{AppKey, Timestamp};
use axum::http::HeaderMap;
use parking_lot::Mutex;

use crate::ApiError;

/// The longest nonce or timestamp text that is looked at.
const HEADER_BYTES_MAX: usize = 256;
/// Timestamps below this are seconds: as milliseconds they would lie in the spring of 1973.
const SECONDS_BELOW: u64 = 100_000_000_000;

/// The answer to a repeat.
const USED_BEFORE: ApiError = ApiError::Signature("this nonce was used before");

/// Finds the app of a request and demands that the signature is the app's.
///
/// An unknown app and a wrong signature get the same answer, so that nobody learns which apps there are.
pub(crate) fn authenticate(apps: &dyn AppRegistry, headers: &HeaderMap) -> Result<(Arc<App>, Signed), ApiError> {
    let key = header(headers, "app-key", "rc-app-key", "the header App-Key is missing")?;
    let nonce = header(headers, "nonce", "rc-nonce", "the header Nonce is missing")?;
    let timestamp = header(headers, "timestamp", "rc-timestamp", "the header Timestamp is missing")?;
    let signature = header(headers, "signature", "rc-signature", "the header Signature is missing")?;
    let wrong = ApiError::Signature("the app key is unknown or the signature is wrong");
    let app = apps.find(key).ok_or_else(|| wrong.clone())?;
    if !verify(app.secret.expose(), nonce, timestamp, signature) {
        return Err(wrong);
    }
    let signed = Signed { time: time(timestamp), signature: signature.to_ascii_lowercase() };
    Ok((app, signed))
}

/// What a request signed beside its app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    /// The timestamp, where it is a number; seconds and milliseconds are told apart by their size.
    time: Option<Timestamp>,
    /// What a repeat of the request has as well. Not nonce and timestamp: nothing between them is signed, so that the same
    /// signature holds for others, cut elsewhere.
    signature: String,
}

fn header<'a>(headers: &'a HeaderMap, name: &str, other: &str, missing: &'static str) -> Result<&'a str, ApiError> {
    let value = headers.get(name).or_else(|| headers.get(other));
    let text = value
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
        .filter(|text| !text.is_empty() && text.len() <= HEADER_BYTES_MAX);
    text.ok_or(ApiError::Signature(missing))
}

fn time(text: &str) -> Option<Timestamp> {
    let number: u64 = text.trim().parse().ok()?;
    Some(Timestamp(if number < SECONDS_BELOW { number * 1000 } else { number }))
}

/// Refuses what is too old or was used already, if the operator wants that.
#[derive(Debug)]
pub(crate) struct Freshness {
    window_ms: u64,
    nonces_max: usize,
    /// By app, of which there are few: one that is busy is not to have others' forgotten.
    used: Mutex<HashMap<AppKey, Used>>,
}

#[derive(Debug, Default)]
struct Used {
    known: HashSet<Arc<str>>,
    oldest_first: VecDeque<Arc<str>>,
}

impl Freshness {
    /// With a window of 0 everything is fresh.
    pub(crate) fn new(window_ms: u64, nonces_max: usize) -> Self {
        Self { window_ms, nonces_max, used: Mutex::default() }
    }

    /// Refuses what is too old or was used. Nothing is used up by it.
    pub(crate) fn check(&self, app: &AppKey, signed: &Signed, now: Timestamp) -> Result<(), ApiError> {
        if self.window_ms == 0 {
            return Ok(());
        }
        let time = signed.time.ok_or(ApiError::Signature("the timestamp is no number"))?;
        if now.since(time).max(time.since(now)) > self.window_ms {
            return Err(ApiError::Signature("the timestamp is too far from the server's time"));
        }
        if self.used.lock().get(app).is_some_and(|used| used.known.contains(signed.signature.as_str())) {
            return Err(USED_BEFORE);
        }
        Ok(())
    }

    /// Uses a request of an app up, right before it is carried out: whatever refuses it for now comes before, so that it can be
    /// sent again as it is. Of several at once only one is the first.
    pub(crate) fn use_up(&self, app: &AppKey, signed: &Signed) -> Result<(), ApiError> {
        if self.window_ms == 0 || self.nonces_max == 0 {
            return Ok(());
        }
        let is_first = self.used.lock().entry(app.clone()).or_default().first_use(&signed.signature, self.nonces_max);
        if is_first { Ok(()) } else { Err(USED_BEFORE) }
    }
}

impl Used {
    fn first_use(&mut self, signature: &str, max: usize) -> bool {
        if self.known.contains(signature) {
            return false;
        }
        if self.oldest_first.len() >= max
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        let signature: Arc<str> = Arc::from(signature);
        self.known.insert(Arc::clone(&signature));
        self.oldest_first.push_back(signature);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what stands for its signature.
    fn signed(time: &str, nonce: &str) -> Signed {
        Signed { time: super::time(time), signature: format!("{nonce}{time}") }
    }

    fn check(freshness: &Freshness, time: &str, nonce: &str, now: Timestamp) -> Result<(), ApiError> {
        let (app, signed) = (AppKey::new("app").unwrap(), signed(time, nonce));
        freshness.check(&app, &signed, now).and_then(|()| freshness.use_up(&app, &signed))
    }

    #[test]
    fn a_timestamp_may_be_in_seconds_or_milliseconds() {
        assert_eq!(time("1795311881"), Some(Timestamp(1_795_311_881_000)));
        assert_eq!(time("1795311881922"), Some(Timestamp(1_795_311_881_922)));
        for text in ["", "x", "1.5", "-1", "99999999999999999999999"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn without_a_window_an_old_signature_counts_for_ever() {
        let freshness = Freshness::new(0, 10);
        for _ in 0..2 {
            assert_eq!(check(&freshness, "no number", "n", Timestamp(u64::MAX)), Ok(()));
        }
    }

    #[test]
    fn with_a_window_requests_are_fresh_and_used_once() {
        let freshness = Freshness::new(60_000, 2);
        let now = Timestamp(1_795_311_881_922);
        assert_eq!(check(&freshness, "1795311881922", "a", now), Ok(()));
        assert_eq!(check(&freshness, "1795311881", "a", now), Ok(()), "another timestamp, so another request");
        assert!(check(&freshness, "1795311881922", "a", now).is_err(), "a repeat");
        for time in ["1795311821921", "1795311941923", "x"] {
            assert!(check(&freshness, time, "b", now).is_err(), "{time}");
        }
        assert_eq!(check(&freshness, "1795311881922", "c", now), Ok(()));
        assert_eq!(check(&freshness, "1795311881922", "a", now), Ok(()), "the memory of nonces is bounded");
    }

    #[test]
    fn only_what_is_carried_out_is_used_up_and_by_one_of_several_at_once() {
        let freshness = Freshness::new(60_000, 10);
        let now = Timestamp(1_795_311_881_922);
        let (app, request) = (AppKey::new("app").unwrap(), signed("1795311881922", "a"));
        for _ in 0..2 {
            assert_eq!(freshness.check(&app, &request, now), Ok(()));
        }
        assert_eq!(freshness.use_up(&app, &request), Ok(()));
        assert_eq!(freshness.use_up(&app, &request), Err(USED_BEFORE), "both were checked before either was used");
        assert_eq!(freshness.check(&app, &request, now), Err(USED_BEFORE), "a later one is known as a repeat early");
    }

    #[test]
    fn a_repeat_whose_nonce_is_cut_elsewhere_is_a_repeat() {
        let freshness = Freshness::new(60_000, 10);
        let now = Timestamp(1_795_311_881_922);
        assert_eq!(check(&freshness, "1795311881922", "1230", now), Ok(()));
        assert!(check(&freshness, "01795311881922", "123", now).is_err());
    }

    #[test]
    fn what_one_app_used_is_not_forgotten_for_another() {
        let freshness = Freshness::new(60_000, 1);
        let now = Timestamp(1_795_311_881_922);
        let other = AppKey::new("other").unwrap();
        assert_eq!(check(&freshness, "1795311881922", "a", now), Ok(()));
        assert_eq!(freshness.use_up(&other, &signed("1795311881922", "b")), Ok(()));
        assert!(check(&freshness, "1795311881922", "a", now).is_err());
    }
}
