//! Two addresses of one shop, such as directly and through the proxy, asked for the same: where do the answers differ?
//!
//! What is asked stands in `compare.list`. Reads must be the same byte for byte; a write is made at each address, so
//! there ids, dates and tokens may differ.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use regex::Regex;
use reqwest::{Method, header::SET_COOKIE};
use tokio::time::sleep;

use crate::{
    client::{Answer, Ask, Connection, session_of, signature},
    load::ready,
    visit::POLL,
};

const LIST: &str = include_str!("compare.list");
/// Those of one connection, and those that a proxy may add.
const IGNORED: [&str; 6] = ["date", "connection", "keep-alive", "transfer-encoding", "via", "x-request-id"];
/// So long may two reads differ: a write before them may still be on its way.
const SETTLED: Duration = Duration::from_secs(3);
/// What differs between two writes of the same.
const MASKS: [(&str, &str); 5] = [
    (r#""(id|number|orderId|ticketId|ownerId)":\d+"#, r#""$1":#"#),
    (r"(?i)\b(orders?|tickets?|payments?|number|no\.?|user)([ /#:-]{1,2})\d+", "$1$2#"),
    (r"\d{4}-\d\d-\d\d[T ][0-9:.]+Z?", "DATE"),
    (r"session=[^;]+", "session=TOKEN"),
    (r"[0-9A-Za-z_-]{32,}", "TOKEN"),
];
/// Two reads of a page that counts its views.
const VIEWS: (&str, &str) = (r#"(?i)("views":|views:? )\d+|\d+( views)"#, "$1#$2");

/// An address, and what is known of it so far.
struct Side {
    connection: Connection,
    /// By name, what the list writes as `{name}`.
    known: BTreeMap<String, String>,
    session: String,
}

/// One line of the list.
struct Case<'a> {
    who: &'a str,
    method: Method,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
    name: Option<&'a str>,
}

/// Asks both addresses for the whole list: how much was asked, and a line for each difference.
pub async fn compare(
    addresses: [&str; 2],
    secret: &str,
    ignored: &[String],
) -> Result<(usize, Vec<String>), String> {
    let mut sides = [Side::open(addresses[0], "a").await?, Side::open(addresses[1], "b").await?];
    let masks = |masks: &[(&str, &'static str)]| -> Vec<(Regex, &'static str)> {
        let regex = |pattern| Regex::new(pattern).expect("the patterns are constants that the tests use");
        masks.iter().map(|(pattern, with)| (regex(pattern), *with)).collect()
    };
    let (views, all) = (masks(&[VIEWS]), masks(&[&[VIEWS][..], &MASKS].concat()));
    let (mut asked, mut differences) = (0, Vec::new());
    for case in LIST.lines().filter_map(Case::parse) {
        asked += 1;
        let same_for_both = case.method.is_safe() && case.who != "me" && !case.path.contains('{');
        let masks = if same_for_both { &views } else { &all };
        let deadline = Instant::now() + SETTLED;
        let found = loop {
            let mut seen = Vec::with_capacity(2);
            for side in &mut sides {
                seen.push(match side.ask(&case, secret).await {
                    Ok(answer) => side.seen(&answer, masks, ignored),
                    Err(error) => error,
                });
            }
            if seen[0] == seen[1] || !case.method.is_safe() || Instant::now() > deadline {
                break difference(&seen[0], &seen[1]);
            }
            sleep(POLL).await;
        };
        differences
            .extend(found.map(|what| format!("{} {} as {}: {what}", case.method, case.path, case.who)));
    }
    Ok((asked, differences))
}

impl<'a> Case<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (line, name) = line.rsplit_once(" => ").map_or((line, None), |(line, name)| (line, Some(name)));
        let mut words = line.splitn(4, ' ');
        let who = words.next().filter(|who| !who.is_empty() && !who.starts_with('#'))?;
        let method = Method::from_bytes(words.next()?.as_bytes()).ok()?;
        let path = words.next()?;
        let (mut headers, mut body) = (Vec::new(), words.next().unwrap_or_default());
        while let Some((name, rest)) = body.split_once(':').filter(|_| body.starts_with(char::is_uppercase)) {
            let (value, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            headers.push((name, value));
            body = rest;
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            headers.push(("Content-Type", "application/json"));
        }
        Some(Self { who, method, path, headers, body, name })
    }
}

impl Side {
    async fn open(address: &str, name: &str) -> Result<Self, String> {
        let connection = Connection::to(address)?;
        ready(&connection, 1).await?;
        let new = format!("compared-{}-{name}", Timestamp::now().as_millisecond());
        let known = [("key".to_owned(), new.clone()), ("new".to_owned(), new)].into();
        Ok(Self { connection, known, session: String::new() })
    }

    async fn ask(&mut self, case: &Case<'_>, secret: &str) -> Result<Answer, String> {
        let body = self.filled(case.body);
        self.known.insert("sign".to_owned(), signature(secret, &body));
        let session = match case.who {
            "-" => String::new(),
            "me" => self.session.clone(),
            user => session_of(user.parse().unwrap_or_default()),
        };
        let mut ask = Ask { body, ..Ask::new(case.method.clone(), self.filled(case.path), session) };
        for (name, value) in &case.headers {
            ask = ask.with(name, self.filled(value));
        }
        let answer = self.connection.send(&ask).await?;
        self.learn(case, &answer);
        Ok(answer)
    }

    fn learn(&mut self, case: &Case<'_>, answer: &Answer) {
        if let Some(name) = case.name {
            self.known.insert(name.to_owned(), answer.body["id"].to_string());
        }
        let cookies = answer.headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let session = { cookies }.find_map(|cookie| cookie.split(';').next()?.strip_prefix("session="));
        if let Some(session) = session.filter(|session| !session.is_empty()) {
            session.clone_into(&mut self.session);
        }
        let csrf =
            answer.text.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
        if let Some((csrf, _)) = csrf {
            self.known.insert("csrf".to_owned(), csrf.to_owned());
        }
    }

    fn filled(&self, text: &str) -> String {
        let known = self.known.iter();
        known.fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// The answer without what may differ: status, header fields, body.
    fn seen(&self, answer: &Answer, masks: &[(Regex, &str)], ignored: &[String]) -> String {
        let (base, new) = (&self.connection.base, &self.known["new"]);
        let masked = |text: &str| {
            let text = text.replace(base.authority(), "{host}").replace(new, "{new}");
            masks.iter().fold(text, |text, (mask, with)| mask.replace_all(&text, *with).into_owned())
        };
        let body = masked(&answer.text);
        let fields = answer.headers.iter().filter(|(name, _)| {
            let name = name.as_str();
            let ignored = IGNORED.contains(&name) || ignored.iter().any(|ignored| ignored == name);
            // A length is that of the body unless something in it was masked.
            !ignored && (name != "content-length" || body == answer.text)
        });
        let mut fields: Vec<_> = fields
            .map(|(name, value)| masked(&format!("{name}: {}", value.as_bytes().escape_ascii())))
            .collect();
        // Their order says nothing; that of equal names stays.
        fields.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()));
        format!("{}\n{}\n\n{body}", answer.status, fields.join("\n"))
    }
}

/// The first place where they differ, and what is around it.
fn difference(one: &str, other: &str) -> Option<String> {
    let at = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let part = |text: &str| text.chars().skip(at.saturating_sub(30)).take(100).collect::<String>();
    (one != other).then(|| format!("{:?}, and {:?}", part(one), part(other)))
}
