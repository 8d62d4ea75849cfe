//! Fields against the map of the `http` crate, which others trust.

use http::header::{CONNECTION, DATE, HOST, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use proptest::prelude::*;

use super::{Fields, Span, is_name};

/// Lines as they stand in a head, read without any checks.
fn read(text: &str) -> Fields {
    let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
    let mut fields = Fields::of_text(text.as_bytes(), lines.len());
    for line in lines {
        let (name, value) = line.split_once(':').expect("a colon");
        let place = |part: &str| Span::in_text(text.as_bytes(), part.as_bytes());
        fields.push(place(name), place(value.trim()));
    }
    fields
}

fn written(fields: &Fields) -> String {
    let mut out = Vec::new();
    fields.write(&mut out, |_| false);
    String::from_utf8(out).expect("text")
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a value")
}

const HEAD: &str = "HOST: a\r\nx-two: 1\r\nX-Two: 2\r\nAccept:*/* \r\nempty:\r\n";

#[test]
fn lines_keep_their_spelling_and_are_written_in_order() {
    assert_eq!(written(&read(HEAD)), "HOST: a\r\nx-two: 1\r\nX-Two: 2\r\nAccept: */*\r\nempty: \r\n");
    assert_eq!(written(&Fields::default()), "");
}

#[test]
fn what_is_put_in_place_of_a_line_keeps_its_name_and_place() {
    let mut fields = read(HEAD);
    fields.insert(&HOST, &value("b"));
    fields.insert(&HeaderName::from_static("x-two"), &value("3"));
    fields.insert(&DATE, &value("today"));
    assert_eq!(written(&fields), "HOST: b\r\nx-two: 3\r\nAccept: */*\r\nempty: \r\ndate: today\r\n");
}

#[test]
fn what_is_left_out_or_removed_leaves_no_trace() {
    let mut fields = read(HEAD);
    let mut out = Vec::new();
    fields.write(&mut out, |name| name.eq_ignore_ascii_case(b"x-two"));
    assert_eq!(out, b"HOST: a\r\nAccept: */*\r\nempty: \r\n");
    fields.remove(&HeaderName::from_static("x-two"));
    fields.remove(&HOST);
    assert_eq!(written(&fields), "Accept: */*\r\nempty: \r\n");
}

#[test]
fn lines_of_others_come_behind() {
    let mut fields = read("a: 1\r\n");
    fields.extend(&read(HEAD));
    fields.remove(&HOST);
    assert_eq!(written(&fields), "a: 1\r\nx-two: 1\r\nX-Two: 2\r\nAccept: */*\r\nempty: \r\n");
}

#[test]
fn a_place_in_the_text_outlives_changes() {
    let mut fields = read(HEAD);
    let host = fields.span(&HOST).expect("a host");
    fields.insert(&HOST, &value("another"));
    fields.append_copy(&SET_COOKIE, host);
    fields.remove(&HOST);
    assert_eq!((fields.text(host), fields.get(&SET_COOKIE)), (b"a".as_slice(), Some(b"a".as_slice())));
}

#[test]
fn a_change_that_cannot_stand_in_a_field_is_not_made() {
    let mut fields = read("a: 1\r\nb: 2\r\n");
    fields.change(|name, _| Some(if name == b"a" { b"x\r\ny: z".to_vec() } else { b"3".to_vec() }));
    assert_eq!(written(&fields), "a: 1\r\nb: 3\r\n");
}

#[derive(Debug, Clone)]
enum Change {
    Insert(HeaderName, HeaderValue),
    Append(HeaderName, HeaderValue),
    Remove(HeaderName),
}

fn change() -> impl Strategy<Value = Change> {
    let name = prop::sample::select(vec![HOST, CONNECTION, DATE, HeaderName::from_static("x-one")]);
    let value = "[!-~]{0,6}".prop_map(|text| value(&text));
    prop_oneof![
        (name.clone(), value.clone()).prop_map(|(name, value)| Change::Insert(name, value)),
        (name.clone(), value).prop_map(|(name, value)| Change::Append(name, value)),
        name.prop_map(Change::Remove),
    ]
}

proptest! {
    #[test]
    fn names_are_the_same_in_any_case(name in "[!-~]{0,20}", other in "[!-~]{0,20}", place in any::<prop::sample::Index>()) {
        let small = name.to_ascii_lowercase();
        prop_assert!(is_name(name.as_bytes(), small.as_bytes()));
        prop_assert!(is_name(name.to_ascii_uppercase().as_bytes(), small.as_bytes()));
        prop_assert_eq!(is_name(other.as_bytes(), small.as_bytes()), other.eq_ignore_ascii_case(&small));
        // Another bit set is another name, unless it is that of the case.
        let mut bytes = name.into_bytes();
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            for bit in 0..8 {
                bytes[place] ^= 1 << bit;
                prop_assert_eq!(is_name(&bytes, small.as_bytes()), bytes.eq_ignore_ascii_case(small.as_bytes()));
                bytes[place] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn changes_are_those_of_a_map(changes in prop::collection::vec(change(), 0..24)) {
        let (mut fields, mut map) = (Fields::default(), HeaderMap::new());
        for change in changes {
            match change {
                Change::Insert(name, value) => {
                    fields.insert(&name, &value);
                    map.insert(name, value);
                }
                Change::Append(name, value) => {
                    fields.append(&name, &value);
                    map.append(name, value);
                }
                Change::Remove(name) => {
                    fields.remove(&name);
                    map.remove(name);
                }
            }
            prop_assert_eq!(fields.len(), map.len());
            for name in map.keys() {
                prop_assert!(fields.get_all(name).eq(map.get_all(name).iter().map(HeaderValue::as_bytes)));
            }
            prop_assert_eq!(&HeaderMap::from(&fields), &map);
            prop_assert_eq!(HeaderMap::from(&Fields::from(&map)), map.clone());
            // What is written is read as what it was.
            prop_assert_eq!(HeaderMap::from(&read(&written(&fields))), map.clone());
        }
    }
}
