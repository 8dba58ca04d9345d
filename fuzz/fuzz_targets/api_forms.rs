//! Request bodies of the server API: forms as SDKs write them, encoded or not, and JSON objects.
//!
//! Input: one byte that picks the content type, then the body.

#![no_main]

use anser_api::Params;
use libfuzzer_sys::fuzz_target;

const CONTENT_TYPES: [&str; 4] = ["application/x-www-form-urlencoded", "application/json", "", "text/plain"];

fuzz_target!(|data: &[u8]| {
    let Some((&picked, body)) = data.split_first() else { return };
    let content_type = CONTENT_TYPES[usize::from(picked & 3)];
    let Ok(params) = Params::parse(content_type, body) else { return };
    assert_eq!(Ok(&params), Params::parse(content_type, body).as_ref(), "the same body was read differently");
    for name in ["userId", "content", "group"] {
        assert_eq!(params.first(name), params.all(name).next(), "the first value is not the first of all");
        let bytes: usize = params.all(name).chain(params.map(name).map(|(_, value)| value)).map(str::len).sum();
        // A byte that is no UTF-8 becomes the three of the replacement character.
        assert!(bytes <= 3 * body.len(), "more was read than was there");
    }
});
