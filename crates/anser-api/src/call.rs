//! A signed request with its parameters, and the checks that every endpoint makes on them.

use std::collections::HashSet;

use anser_cluster::App;
use anser_types::{IdError, TargetId, Timestamp, UserId, UserKey};

use crate::{ApiError, Params};

/// The longest id that the API takes, in characters, as published servers do.
pub(crate) const ID_CHARS_MAX: usize = 64;
/// The longest name of a user or group, in characters.
const NAME_CHARS_MAX: usize = 256;
/// The longest address of a portrait, in characters.
const PORTRAIT_CHARS_MAX: usize = 2048;

/// A request whose signature is good.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The app that made it.
    pub(crate) app: &'a App,
    /// Its parameters.
    pub(crate) params: &'a Params,
    /// When it came.
    pub(crate) now: Timestamp,
}

impl<'a> Call<'a> {
    /// A text that has to be there and not empty.
    pub(crate) fn required(&self, name: &'static str) -> Result<&'a str, ApiError> {
        self.given(name).ok_or_else(|| ApiError::parameter(name, "is missing"))
    }

    /// A text that is there and not empty.
    pub(crate) fn given(&self, name: &'static str) -> Option<&'a str> {
        self.params.first(name).filter(|text| !text.is_empty())
    }

    /// The user that a parameter names.
    pub(crate) fn user(&self, name: &'static str) -> Result<UserId, ApiError> {
        user(name, self.required(name)?)
    }

    /// The key of a user of this app.
    pub(crate) fn key(&self, user: UserId) -> UserKey {
        UserKey::new(self.app.key.clone(), user)
    }

    /// The users that a repeated parameter names, each once, in order: at least one and at most `max`.
    pub(crate) fn users(&self, name: &'static str, max: usize) -> Result<Vec<UserId>, ApiError> {
        let users = self.users_if_any(name, max)?;
        if users.is_empty() { Err(ApiError::parameter(name, "is missing")) } else { Ok(users) }
    }

    /// The same, where there may be none.
    pub(crate) fn users_if_any(&self, name: &'static str, max: usize) -> Result<Vec<UserId>, ApiError> {
        let mut seen = HashSet::new();
        let mut users = Vec::new();
        for text in self.params.all(name).filter(|text| !text.is_empty()) {
            if users.len() >= max && !seen.contains(text) {
                return Err(ApiError::parameter(name, format!("names more than {max}")));
            }
            if seen.insert(text) {
                users.push(user(name, text)?);
            }
        }
        Ok(users)
    }

    /// The groups or other targets that a repeated parameter names, each once, in order: at least one and at most `max`.
    pub(crate) fn targets(&self, name: &'static str, max: usize) -> Result<Vec<TargetId>, ApiError> {
        Ok(self.users(name, max)?.into_iter().map(TargetId::from).collect())
    }

    /// The target that a parameter names.
    pub(crate) fn target(&self, name: &'static str) -> Result<TargetId, ApiError> {
        Ok(self.user(name)?.into())
    }

    /// A switch, written `1`, `0`, `true` or `false`.
    pub(crate) fn switch(&self, name: &'static str, default: Switch) -> Result<Switch, ApiError> {
        let Some(text) = self.given(name) else {
            return Ok(default);
        };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok(Switch::On),
            "0" | "false" => Ok(Switch::Off),
            _ => Err(ApiError::parameter(name, "is neither 1 nor 0")),
        }
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.given(name) else {
            return Ok(None);
        };
        let number = text.trim().parse().map_err(|_| ApiError::parameter(name, "is no whole number"))?;
        Ok(Some(number))
    }

    /// A name of a user or group; `None` if the request says nothing about it.
    pub(crate) fn name(&self, name: &'static str) -> Result<Option<&'a str>, ApiError> {
        self.short_text(name, NAME_CHARS_MAX)
    }

    /// The address of a portrait; `None` if the request says nothing about it.
    pub(crate) fn portrait(&self, name: &'static str) -> Result<Option<&'a str>, ApiError> {
        self.short_text(name, PORTRAIT_CHARS_MAX)
    }

    fn short_text(&self, name: &'static str, max: usize) -> Result<Option<&'a str>, ApiError> {
        let text = self.params.first(name);
        check_length(name, text.unwrap_or_default(), max)?;
        Ok(text)
    }
}

/// Whether something is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

/// Refuses a text of more than `max` characters.
pub(crate) fn check_length(name: &'static str, text: &str, max: usize) -> Result<(), ApiError> {
    if text.chars().count() > max {
        return Err(ApiError::parameter(name, format!("is longer than {max} characters")));
    }
    Ok(())
}

/// Refuses a name of a user or group that is too long.
pub(crate) fn check_name(name: &'static str, text: &str) -> Result<(), ApiError> {
    check_length(name, text, NAME_CHARS_MAX)
}

/// The id in the value of a parameter.
pub(crate) fn user(name: &'static str, text: &str) -> Result<UserId, ApiError> {
    check_length(name, text, ID_CHARS_MAX)?;
    // Bytes that were no UTF-8 became this character: two different ids must not meet in it.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ApiError::parameter(name, "is not utf-8"));
    }
    UserId::new(text).map_err(|error| match error {
        IdError::Empty => ApiError::parameter(name, "is missing"),
        IdError::TooLong => ApiError::parameter(name, format!("is longer than {ID_CHARS_MAX} characters")),
        IdError::Control => ApiError::parameter(name, "holds a control character"),
    })
}

#[cfg(test)]
mod tests {
    use anser_cluster::AppSecret;
    use anser_types::AppKey;

    use super::*;

    fn with<T>(body: &str, check: impl FnOnce(&Call<'_>) -> T) -> T {
        let app = App::new(AppKey::new("a").unwrap(), AppSecret::new("s"));
        let params = Params::parse("application/x-www-form-urlencoded", body.as_bytes()).unwrap();
        check(&Call { app: &app, params: &params, now: Timestamp(0) })
    }

    #[test]
    fn users_are_named_once_in_order_and_bounded() {
        let users = |body: &str, max| {
            with(body, |c| c.users("u", max).map(|u| u.iter().map(ToString::to_string).collect::<Vec<_>>()))
        };
        assert_eq!(users("u=b&u=a&u=b&u=", 2), Ok(vec!["b".to_owned(), "a".to_owned()]));
        assert_eq!(users("u=a&u=b&u=c", 2), Err(ApiError::parameter("u", "names more than 2")));
        assert_eq!(users("x=a", 2), Err(ApiError::parameter("u", "is missing")));
        assert_eq!(users("u=", 2), Err(ApiError::parameter("u", "is missing")));
    }

    #[test]
    fn ids_have_the_published_limit() {
        let user = |body: &str| with(body, |c| c.user("u").map(|u| u.to_string()));
        assert_eq!(user(&format!("u={}", "张".repeat(64))), Ok("张".repeat(64)));
        for body in [&format!("u={}", "x".repeat(65)), "u=a%00b", "u=%ff", "u=", ""] {
            assert!(matches!(user(body), Err(ApiError::Parameter { name: "u", .. })), "{body}");
        }
    }

    #[test]
    fn switches_and_numbers_are_read_as_sdks_write_them() {
        for (text, on) in [("1", true), ("true", true), ("True", true), ("0", false), ("false", false), ("", true)] {
            assert_eq!(with(&format!("s={text}"), |c| c.switch("s", Switch::On)).map(Switch::is_on), Ok(on), "{text}");
        }
        assert!(with("s=yes", |c| c.switch("s", Switch::On)).is_err());
        assert_eq!(with("n=7", |c| c.number("n")), Ok(Some(7)));
        assert_eq!(with("n=", |c| c.number("n")), Ok(None));
        for text in ["-1", "1.5", "x", "99999999999999999999"] {
            assert!(with(&format!("n={text}"), |c| c.number("n")).is_err(), "{text}");
        }
    }
}
