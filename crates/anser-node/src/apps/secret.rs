//! Keys and secrets of apps: made by chance, and judged when somebody brings their own.

/// Letters and digits that are not taken for one another when read aloud or copied by hand.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const KEY_LETTERS: usize = 14;
const SECRET_LETTERS: usize = 40;
/// What somebody brings must have at least this many characters.
const LEAST: usize = 8;
/// Below this a secret is worth a warning.
const ADVISED: usize = 20;

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random numbers")]
pub struct NoRandom(#[source] getrandom::Error);

/// What is to be said about a secret that somebody brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing.
    Good,
    /// It can be used, with a warning: a short secret can be found by trying.
    Short,
    /// It must not be used.
    Obvious,
}

/// An app key nobody else has: 70 random bits.
pub(super) fn random_key() -> Result<String, NoRandom> {
    random_text(KEY_LETTERS)
}

/// A secret nobody can guess: 200 random bits.
pub(super) fn random_secret() -> Result<String, NoRandom> {
    random_text(SECRET_LETTERS)
}

/// A number by chance, to make two tokens of one user differ.
pub fn random_number() -> Result<u64, NoRandom> {
    getrandom::u64().map_err(NoRandom)
}

/// Five bits of each random byte choose a letter, so that all letters are equally likely.
fn random_text(letters: usize) -> Result<String, NoRandom> {
    let mut bytes = vec![0; letters];
    getrandom::fill(&mut bytes).map_err(NoRandom)?;
    Ok(bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|letter| char::from(*letter)).collect())
}

/// Judges a secret for the app with this key.
pub fn judge(key: &str, secret: &str) -> Judgement {
    let lower = secret.to_lowercase();
    let distinct: std::collections::BTreeSet<_> = lower.chars().collect();
    let word = ["secret", "password", "changeme", "12345678", "abcdefgh", "qwertyui"].iter().any(|word| {
        let rest = lower.replace(word, "");
        rest.len() < lower.len() && rest.len() < 4
    });
    if secret.chars().count() < LEAST || distinct.len() < 5 || word || secret == key {
        Judgement::Obvious
    } else if secret.chars().count() < ADVISED {
        Judgement::Short
    } else {
        Judgement::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_long_distinct_and_good() {
        let (key, secret) = (random_key().unwrap(), random_secret().unwrap());
        assert_eq!((key.len(), secret.len()), (KEY_LETTERS, SECRET_LETTERS));
        assert_ne!(random_secret().unwrap(), secret);
        assert_eq!(judge(&key, &secret), Judgement::Good);
    }

    #[test]
    fn obvious_secrets_are_refused_and_short_ones_warned_about() {
        for secret in
            ["", "short", "secret", "password1", "aaaaaaaaaaaaaaaaaaaaaaaa", "12345678", "the-app-key", "abababababab"]
        {
            assert_eq!(judge("the-app-key", secret), Judgement::Obvious, "{secret}");
        }
        assert_eq!(judge("the-app-key", "k3y9w0xq71z"), Judgement::Short);
        assert_eq!(judge("the-app-key", "k3y9w0xq71zh5m2p8v4t6"), Judgement::Good);
    }
}
