//! The parameters of a request, from a form or a JSON object, read as leniently as the published server SDKs need.
//!
//! A form repeats a key for a list; a JSON object has an array there. Not every SDK encodes its values: a `%` that begins no
//! escape stands for itself, and a `&` that is followed by no `=` before the next one belongs to the value before it. A
//! value that is an object in JSON becomes its compact text; a text is passed on untouched.

use std::sync::Arc;

mod json;
#[cfg(test)]
mod tests;

/// More parameters than any endpoint takes; what has more is refused before it costs memory.
const FIELDS_MAX: usize = 20_000;

/// Why a body could not be read. Never worth a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// It says that it is JSON, and is not a JSON object.
    #[error("it is not a json object")]
    NotAnObject,
    /// It has too many parameters.
    #[error("it has more than {FIELDS_MAX} parameters")]
    TooMany,
}

/// A parameter with its value. The elements of a list share their name: the sender writes it once, however long it is.
type Field = (Arc<str>, String);

/// The parameters of a request, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params {
    fields: Vec<Field>,
}

impl Params {
    /// Reads a body. The content type decides the form; without a usable one, what begins like an object is JSON.
    pub fn parse(content_type: &str, body: &[u8]) -> Result<Self, FormError> {
        let says = |kind: &str| content_type.to_ascii_lowercase().contains(kind);
        let looks_like_json = || body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let fields = if body.iter().all(u8::is_ascii_whitespace) {
            Vec::new()
        } else if says("json") || (!says("x-www-form-urlencoded") && looks_like_json()) {
            json::fields(body)?
        } else {
            form_fields(body)?
        };
        Ok(Self { fields })
    }

    /// The first value of a parameter.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter, in order.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.fields.iter().filter(move |(key, _)| &**key == name).map(|(_, value)| value.as_str())
    }

    /// The entries of a parameter that is a map: `name[key]=value`, or an object in JSON.
    pub fn map<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a, 'n> {
        self.fields.iter().filter_map(move |(key, value)| {
            let key = key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            Some((key, value.as_str()))
        })
    }
}

fn form_fields(body: &[u8]) -> Result<Vec<Field>, FormError> {
    let mut fields: Vec<Field> = Vec::new();
    for part in body.split(|&byte| byte == b'&') {
        if part.is_empty() {
            continue;
        }
        // One part is one pair: there is no separator left in it.
        let Some((key, value)) = form_urlencoded::parse(part).next() else {
            continue;
        };
        let is_rest = !part.contains(&b'=');
        if let Some((_, last)) = fields.last_mut().filter(|_| is_rest) {
            last.push('&');
            last.push_str(&key);
        } else if fields.len() == FIELDS_MAX {
            return Err(FormError::TooMany);
        } else {
            fields.push((key.into(), value.into_owned()));
        }
    }
    Ok(fields)
}
