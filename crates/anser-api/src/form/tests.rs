//! Bodies as published SDKs write them, and as nobody should.

use proptest::prelude::*;

use super::*;

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

fn all(params: &Params, name: &str) -> Vec<String> {
    params.all(name).map(str::to_owned).collect()
}

fn form(body: &str) -> Params {
    Params::parse(FORM, body.as_bytes()).unwrap()
}

fn json(body: &str) -> Params {
    Params::parse("application/json", body.as_bytes()).unwrap()
}

#[test]
fn a_form_repeats_a_key_for_a_list() {
    let params =
        form("toUserId=a&toUserId=b&objectName=RC%3ATxtMsg&content=%7B%22content%22%3A%22h+i%22%7D&toUserId=c");
    assert_eq!(all(&params, "toUserId"), ["a", "b", "c"]);
    assert_eq!(params.first("content"), Some(r#"{"content":"h i"}"#));
    assert_eq!(params.first("nothing"), None);
}

#[test]
fn a_value_that_is_not_encoded_is_taken_as_it_was_meant() {
    for (body, name, value) in [
        ("userId=张三&x=1", "userId", "张三"),
        ("name=50% off&x=1", "name", "50% off"),
        ("name=a%zz&x=1", "name", "a%zz"),
        ("name=Tom & Jerry&x=1", "name", "Tom & Jerry"),
        ("portraitUri=http://x/y?a=1&x=1", "portraitUri", "http://x/y?a=1"),
        ("&&x=1&", "x", "1"),
        ("content={\"a\":\"b=c\"}", "content", "{\"a\":\"b=c\"}"),
        ("userId", "userId", ""),
        ("userId=", "userId", ""),
        ("=", "", ""),
    ] {
        assert_eq!(form(body).first(name), Some(value), "{body}");
    }
}

#[test]
fn a_map_is_written_with_brackets() {
    let encoded = form("userId=u&group%5Bg1%5D=One&group[g2]=Two&groupx[g3]=No&group=no");
    assert_eq!(encoded.map("group").collect::<Vec<_>>(), [("g1", "One"), ("g2", "Two")]);
    let object = json(r#"{"userId":"u","group":{"g1":"One","g2":"Two"}}"#);
    assert_eq!(object.map("group").collect::<Vec<_>>(), [("g1", "One"), ("g2", "Two")]);
}

#[test]
fn json_lists_are_arrays_and_numbers_keep_their_digits() {
    let params = json(
        r#"{"toUserId":["a",7,"b"],"sentTime":1795311881922,"big":12345678901234567890123,"on":true,"no":null,"empty":[]}"#,
    );
    assert_eq!(all(&params, "toUserId"), ["a", "7", "b"]);
    assert_eq!(params.first("sentTime"), Some("1795311881922"));
    assert_eq!(params.first("big"), Some("12345678901234567890123"));
    assert_eq!(params.first("on"), Some("true"));
    assert_eq!(params.first("no"), None);
    assert_eq!(params.first("empty"), None);
}

#[test]
fn content_that_is_an_object_becomes_compact_text_and_a_text_stays_untouched() {
    let object = json("{\"content\": { \"z\" : \"a \\\" b\\\\\" ,\n \"a\": [1, 2.50] } }");
    assert_eq!(object.first("content"), Some(r#"{"z":"a \" b\\","a":[1,2.50]}"#));
    let text = json(r#"{"content":"{ \"a\" : 1 }"}"#);
    assert_eq!(text.first("content"), Some(r#"{ "a" : 1 }"#));
}

#[test]
fn the_form_is_known_by_content_type_and_without_one_by_its_look() {
    let body = br#" {"userId":"u"}"#;
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "", "text/plain"] {
        assert_eq!(Params::parse(content_type, body).unwrap().first("userId"), Some("u"), "{content_type}");
    }
    assert_eq!(Params::parse("", b"userId=u").unwrap().first("userId"), Some("u"));
    assert_eq!(Params::parse(FORM, body).unwrap().first("userId"), None);
    for body in [&b"[]"[..], b"7", b"{", b"userId=u", b"{\"a\":\"\xff\"}"] {
        assert_eq!(Params::parse("application/json", body), Err(FormError::NotAnObject));
    }
    for content_type in [FORM, "application/json", ""] {
        assert_eq!(Params::parse(content_type, b" \r\n"), Ok(Params::default()));
    }
}

#[test]
fn a_flood_of_parameters_is_refused() {
    let body = "a=&".repeat(FIELDS_MAX + 1);
    assert_eq!(Params::parse(FORM, body.as_bytes()), Err(FormError::TooMany));
    let list = format!("{{\"a\":[{}1]}}", "1,".repeat(FIELDS_MAX));
    assert_eq!(Params::parse("application/json", list.as_bytes()), Err(FormError::TooMany));
    let one_name_for_all = format!("{{\"{}\":[{}1]}}", "a".repeat(500_000), "1,".repeat(FIELDS_MAX - 1));
    let params = Params::parse("application/json", one_name_for_all.as_bytes()).unwrap();
    assert!(
        params.fields.iter().all(|(name, _)| std::ptr::eq(&**name, &*params.fields[0].0)),
        "the name is there once"
    );
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Params::parse("application/json", deep.as_bytes()).is_ok_and(|p| p.fields.len() <= 1));
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(body: Vec<u8>, kind in prop::sample::select(vec![FORM, "application/json", ""])) {
        drop(Params::parse(kind, &body));
        let mut object = b"{\"a\":".to_vec();
        object.extend_from_slice(&body);
        object.push(b'}');
        drop(Params::parse(kind, &object));
    }

    #[test]
    fn what_an_encoder_wrote_is_read_back(fields in prop::collection::vec((".{1,8}", ".{0,16}"), 0..8)) {
        let mut encoder = form_urlencoded::Serializer::new(String::new());
        encoder.extend_pairs(&fields);
        let params = Params::parse(FORM, encoder.finish().as_bytes()).unwrap();
        let read: Vec<(String, String)> = params.fields.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        prop_assert_eq!(read, fields);
    }
}

#[test]
fn half_a_character_in_json_is_replaced_as_bytes_are_that_are_no_text() {
    for (json, text) in [
        (r#""\ud83d\ude00""#, "😀"),
        (r#""a\ud83db""#, "a\u{fffd}b"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\\ud83d\n\ud83d\ud83d\ude00é""#, "\\ud83d\n\u{fffd}😀é"),
    ] {
        let params = Params::parse("application/json", format!(r#"{{"k":{json}}}"#).as_bytes()).unwrap();
        assert_eq!(params.first("k"), Some(text), "{json}");
    }
}
