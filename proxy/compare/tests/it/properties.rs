//! What holds for any two answers.

use std::time::Duration;

use banyan_compare::{
    Answer, Body, Differences, HtmlSpace, NumberForms, Observation, Pattern, PointerPattern, RuleSet, Rules,
    Tolerance, Unordered, Verdict,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;

use crate::check;

const TYPES: [&str; 8] = [
    "application/json",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "text/html; charset=utf-8",
    "text/plain; charset=utf-16",
    "image/png",
    "",
    "a;;=b",
];

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        "(true|false)",
        "-?(0|[1-3])(\\.[05]{1,2})?",
        "\"[abé]{0,2}\"",
        Just("\"2026-05-01T10:00:00Z\"".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(("[a-c]", inner), 0..5).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => json_text().prop_map(String::into_bytes),
        1 => "[<>a-c =\"\\n\\r]{0,40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

pub(crate) fn observation() -> impl Strategy<Value = Observation> {
    let field = ("(x-a|x-b|vary|set-cookie|cache-control|etag)", "[a-c=;, ]{0,8}");
    let coding = prop_oneof![4 => Just(""), 1 => Just("gzip"), 1 => Just("br"), 1 => Just("zstd, deflate")];
    let parts = (200_u16..204, 0..TYPES.len(), coding, proptest::collection::vec(field, 0..4), body());
    parts.prop_map(|(status, kind, coding, fields, body)| {
        let mut headers = HeaderMap::new();
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in fields.chain([("content-type", TYPES[kind]), ("content-encoding", coding)]) {
            if !value.is_empty() {
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
        }
        let status = StatusCode::from_u16(status).unwrap();
        Observation::Answered(Answer {
            status,
            headers,
            body: Body::Complete(Bytes::from(body)),
            elapsed: Duration::ZERO,
        })
    })
}

fn json_answer(body: &str) -> Observation {
    crate::answers::json(body)
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let text = "(/[a-c*]|/\\*\\*|/[a-c*]/[a-c*0]|body|status|header:x-a|/a value|/\\*\\*/b missing)";
    text.prop_map(|text| Pattern::parse(&text).unwrap())
}

fn rule_set() -> impl Strategy<Value = RuleSet> {
    let parts = (proptest::collection::vec(pattern(), 0..3), any::<[bool; 6]>());
    parts.prop_map(|(ignore, [numbers, dates, html, unordered, keyed, tolerance])| RuleSet {
        ignore,
        numbers: if numbers { NumberForms::Value } else { NumberForms::Written },
        dates: dates.then(|| PointerPattern::parse("/**").unwrap()).into_iter().collect(),
        html: if html { HtmlSpace::Collapsed } else { HtmlSpace::Kept },
        unordered: unordered
            .then(|| Unordered::parse("/**", keyed.then_some("a")).unwrap())
            .into_iter()
            .collect(),
        tolerances: tolerance
            .then(|| Tolerance::parse(None, Some(0.5), Some(0.1)).unwrap())
            .into_iter()
            .collect(),
        ..RuleSet::default()
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    rule_set().prop_map(|set| Rules::new(set).unwrap())
}

/// Differences by kind of change, with missing and extra swapped, if wanted.
fn kinds(verdict: &Verdict, swapped: bool) -> Vec<(String, u64)> {
    let Verdict::Mismatch(Differences { kept, .. }) = verdict else { return Vec::new() };
    let mut kinds: Vec<(String, u64)> = kept
        .iter()
        .filter(|found| !matches!(found.first.kind(), "status" | "form"))
        .map(|found| {
            let text = found.signature.as_str();
            let text = match (swapped, text.rsplit_once(' ')) {
                (true, Some((place, "missing"))) => format!("{place} extra"),
                (true, Some((place, "extra"))) => format!("{place} missing"),
                (true, _) if text.starts_with("text added") => text.replace("added", "removed"),
                (true, _) if text.starts_with("text removed") => text.replace("removed", "added"),
                _ => text.to_owned(),
            };
            (text, found.count)
        })
        .collect();
    kinds.sort();
    kinds
}

fn total(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Mismatch(differences) => differences.total(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_answer_matches_itself(one in observation(), rules in rules()) {
        prop_assert_eq!(check(&one, &one, &rules), Verdict::Match);
    }

    /// Written by another serializer: other white space, so that the short cut for equal bytes does not hold.
    #[test]
    fn a_document_matches_itself_written_otherwise(text in json_text(), rules in rules()) {
        let other = text.replace(',', " ,\n").replace(':', ": ");
        // Dates have colons and stay as they are.
        prop_assume!(!text.contains("10:00"));
        prop_assert_eq!(check(&json_answer(&text), &json_answer(&other), &rules), Verdict::Match);
    }

    #[test]
    fn presence_is_symmetric(one in observation(), other in observation(), rules in rule_set()) {
        // A pattern may name missing and not extra: that is what it is for.
        let rules = Rules::new(RuleSet { ignore: Vec::new(), ..rules }).unwrap();
        let (there, back) = (check(&one, &other, &rules), check(&other, &one, &rules));
        prop_assert_eq!(kinds(&there, false), kinds(&back, true));
        prop_assert_eq!(std::mem::discriminant(&there), std::mem::discriminant(&back));
    }

    #[test]
    fn json_is_symmetric(one in json_text(), other in json_text(), rules in rule_set()) {
        let rules = Rules::new(RuleSet { ignore: Vec::new(), ..rules }).unwrap();
        let (one, other) = (json_answer(&one), json_answer(&other));
        prop_assert_eq!(kinds(&check(&one, &other, &rules), false), kinds(&check(&other, &one, &rules), true));
    }

    #[test]
    fn an_ignore_never_adds_a_difference(
        one in json_text(), other in json_text(), rules in rule_set(), more in pattern()
    ) {
        let (one, other) = (json_answer(&one), json_answer(&other));
        let before = check(&one, &other, &Rules::new(rules.clone()).unwrap());
        let ignore = rules.ignore.iter().cloned().chain([more]).collect();
        let after = check(&one, &other, &Rules::new(RuleSet { ignore, ..rules }).unwrap());
        prop_assert!(total(&after) <= total(&before), "{:?} {:?}", before, after);
        let known = kinds(&before, false);
        for (signature, count) in kinds(&after, false) {
            prop_assert!(known.iter().any(|(known, before)| *known == signature && *before >= count));
        }
    }
}
