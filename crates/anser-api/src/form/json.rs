//! A JSON object as parameters. Numbers and inner objects keep their text, so that nothing is lost to rounding or sorting.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::{FIELDS_MAX, Field, FormError};

pub(super) fn fields(body: &[u8]) -> Result<Vec<Field>, FormError> {
    let object: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(|_| FormError::NotAnObject)?;
    let mut fields = Vec::new();
    for (key, value) in object {
        add(&mut fields, key.into(), value);
        if fields.len() > FIELDS_MAX {
            return Err(FormError::TooMany);
        }
    }
    Ok(fields)
}

fn add(fields: &mut Vec<Field>, key: Arc<str>, value: &RawValue) {
    match value.get().as_bytes().first() {
        Some(b'n') => {}
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
            fields.extend(list.into_iter().take(FIELDS_MAX + 1).map(|value| (Arc::clone(&key), text(value))));
        }
        // Published SDKs write the one map that there is as `group[id]=name`; in JSON it may be an object.
        Some(b'{') if &*key == "group" => {
            let map: BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
            fields.extend(map.into_iter().map(|(inner, value)| (format!("{key}[{inner}]").into(), text(value))));
        }
        _ => fields.push((key, text(value))),
    }
}

/// A text as it is, anything else as compact JSON.
fn text(value: &RawValue) -> String {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => text,
        // Valid JSON that is a text and cannot be read as one holds half of a character.
        Err(_) if value.get().starts_with('"') => {
            serde_json::from_str(&without_halves(value.get())).unwrap_or_default()
        }
        Err(_) => compact(value.get()),
    }
}

/// The text with each surrogate that is without its other half replaced, as bytes are that are no UTF-8.
fn without_halves(mut rest: &str) -> String {
    let mut whole = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once('\\') {
        whole.push_str(before);
        let length = match (surrogate(after), after.get(5..).and_then(|more| surrogate(more.strip_prefix('\\')?))) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 11,
            (Some(_), _) => {
                whole.push(char::REPLACEMENT_CHARACTER);
                rest = after.get(5..).unwrap_or_default();
                continue;
            }
            (None, _) => after.chars().next().map_or(0, char::len_utf8),
        };
        let (escape, after) = after.split_at(length);
        whole.push('\\');
        whole.push_str(escape);
        rest = after;
    }
    whole + rest
}

/// The surrogate that an escape stands for: what follows the backslash.
fn surrogate(escape: &str) -> Option<u32> {
    let number = u32::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()?;
    (0xd800..=0xdfff).contains(&number).then_some(number)
}

/// Valid JSON without the white space between its parts.
fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut in_text = false;
    let mut escaped = false;
    for c in json.chars() {
        if in_text || !c.is_ascii_whitespace() {
            compact.push(c);
        }
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = in_text;
        } else if c == '"' {
            in_text = !in_text;
        }
    }
    compact
}
