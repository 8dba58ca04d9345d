//! A JSON object as parameters. Numbers and inner objects keep their text, so that nothing is lost to rounding or sorting.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{FIELDS_MAX, FormError};

pub(super) fn fields(body: &[u8]) -> Result<Vec<(String, String)>, FormError> {
    let object: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(|_| FormError::NotAnObject)?;
    let mut fields = Vec::new();
    for (key, value) in object {
        add(&mut fields, key, value);
        if fields.len() > FIELDS_MAX {
            return Err(FormError::TooMany);
        }
    }
    Ok(fields)
}

fn add(fields: &mut Vec<(String, String)>, key: String, value: &RawValue) {
    match value.get().as_bytes().first() {
        Some(b'n') => {}
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
            fields.extend(list.into_iter().map(|value| (key.clone(), text(value))));
        }
        // Published SDKs write the one map that there is as `group[id]=name`; in JSON it may be an object.
        Some(b'{') if key == "group" => {
            let map: BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
            fields.extend(map.into_iter().map(|(inner, value)| (format!("{key}[{inner}]"), text(value))));
        }
        _ => fields.push((key, text(value))),
    }
}

/// A text as it is, anything else as compact JSON.
fn text(value: &RawValue) -> String {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => text,
        Err(_) => compact(value.get()),
    }
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
