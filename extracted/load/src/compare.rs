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
use tokio::{join, time::sleep};

use crate::{
    client::{Answer, Ask, Connection, POLL, signature},
    load::Plan,
};

const LIST: &str = include_str!("compare.list");
/// Those of one connection, and those that a proxy may add.
const IGNORED: [&str; 6] = ["date", "connection", "keep-alive", "transfer-encoding", "via", "x-request-id"];
/// So long may two reads differ: a write before them may still be on its way.
const SETTLED: Duration = Duration::from_secs(3);
/// What differs between two reads of a page that counts its views, then what differs between two writes of the same. An id
/// is masked by where it stands, never by its value: a small one is a quantity elsewhere.
const MASKS: [(&str, &str); 7] = [
    (r#"(?i)("views":|views:? )\d+|\d+( views)"#, "$1#$2"),
    (r#""(id|number|orderId|ticketId|ownerId)":\d+"#, r#""$1":#"#),
    (r#"(<a href="/orders/)\d+">\d+<"#, r#"$1#">#<"#),
    (r"(?i)\b(orders?|tickets?|payments?|items|number|user)([ /#:-]{1,2})\d+", "$1$2#"),
    (r"\d{4}-\d\d-\d\d[T ][0-9:.]+Z?", "DATE"),
    (r"session=[^;]+", "session=TOKEN"),
    (r"[0-9A-Za-z_-]{32,}", "TOKEN"),
];
/// The hidden field of the form that orders the cart.
const FORM_TOKEN: &str = "name=\"form_token\" value=\"";

/// An address, and what is known of it so far.
struct Side {
    connection: Connection,
    /// By name, what the list writes as `{name}`.
    known: BTreeMap<String, String>,
    session: String,
}

/// One line of the list.
#[derive(Default)]
struct Case<'a> {
    who: &'a str,
    /// Method and path.
    line: String,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
    name: Option<&'a str>,
}

/// Asks both addresses for the whole list: how much was asked, and a line for each difference.
pub async fn compare(plan: &Plan, other: &str) -> Result<(usize, Vec<String>), String> {
    let mut sides = [Side::open(&plan.url, "a").await?, Side::open(other, "b").await?];
    let mask = |(pattern, with): &(&str, &'static str)| {
        (Regex::new(pattern).expect("the patterns are constants that the tests use"), *with)
    };
    let masks: Vec<_> = MASKS.iter().map(mask).collect();
    let (mut asked, mut differences) = (0, Vec::new());
    for case in LIST.lines().filter_map(Case::parse) {
        asked += 1;
        let is_read = case.line.starts_with("GET") || case.line.starts_with("HEAD");
        let same_for_both = is_read && case.who != "me" && !case.line.contains('{');
        let masks = if same_for_both { &masks[..1] } else { &masks };
        let deadline = Instant::now() + SETTLED;
        let (one, other) = loop {
            let [one, other] = &mut sides;
            let (one, other) = join!(one.seen(&case, plan, masks), other.seen(&case, plan, masks));
            if one == other || !is_read || Instant::now() > deadline {
                break (one, other);
            }
            sleep(POLL).await;
        };
        let found = difference(&one, &other);
        differences.extend(found.map(|what| format!("{} as {}: {what}", case.line, case.who)));
    }
    Ok((asked, differences))
}

impl<'a> Case<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (line, name) = line.rsplit_once(" => ").map_or((line, None), |(line, name)| (line, Some(name)));
        let mut words = line.splitn(4, ' ');
        let who = words.next().filter(|who| !who.is_empty() && !who.starts_with('#'))?;
        let line = format!("{} {}", words.next()?, words.next()?);
        let (mut headers, mut body) = (Vec::new(), words.next().unwrap_or_default());
        while let Some((name, rest)) = body.split_once(':').filter(|_| body.starts_with(char::is_uppercase)) {
            let (value, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            headers.push((name, value));
            body = rest;
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            headers.push(("Content-Type", "application/json"));
        }
        Some(Self { who, line, headers, body, name })
    }
}

impl Side {
    async fn open(address: &str, name: &str) -> Result<Self, String> {
        let connection = Connection::to(address)?;
        connection.knows(1).await?;
        let new = format!("compared-{}-{name}", Timestamp::now().as_millisecond());
        let known = [("key".to_owned(), new.clone()), ("new".to_owned(), new)].into();
        Ok(Self { connection, known, session: String::new() })
    }

    /// Asks, learns from the answer, and tells it without what may differ.
    async fn seen(&mut self, case: &Case<'_>, plan: &Plan, masks: &[(Regex, &str)]) -> String {
        let body = self.filled(case.body);
        self.known.insert("sign".to_owned(), signature(&plan.webhook_secret, &body));
        let ask = match case.who {
            "-" => Ask::new(self.filled(&case.line), ""),
            "me" => Ask::new(self.filled(&case.line), &self.session),
            user => Ask::by(user.parse().unwrap_or_default(), self.filled(&case.line)),
        };
        let headers = case.headers.iter().map(|(name, value)| ((*name).to_owned(), self.filled(value)));
        match self.connection.send(&Ask { body, headers: headers.collect(), ..ask }).await {
            Ok(answer) => {
                self.learn(case, &answer);
                self.masked(&answer, masks, &plan.ignore_header)
            }
            Err(error) => error,
        }
    }

    fn learn(&mut self, case: &Case<'_>, answer: &Answer) {
        if let Some(name) = case.name {
            self.known.insert(name.to_owned(), answer.body["id"].to_string());
        }
        if let Some(session) = answer.session() {
            self.session = session;
        }
        let token = answer.text.split_once(FORM_TOKEN).and_then(|(_, rest)| rest.split_once('"'));
        if let Some((token, _)) = token {
            self.known.insert("form_token".to_owned(), token.to_owned());
        }
    }

    fn filled(&self, text: &str) -> String {
        let known = self.known.iter();
        known.fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// Status, header fields, body.
    fn masked(&self, answer: &Answer, masks: &[(Regex, &str)], ignored: &[String]) -> String {
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
        let field = |(name, value): (_, &[u8])| masked(&format!("{name}: {}", value.escape_ascii()));
        let mut fields: Vec<_> = fields.map(|(name, value)| field((name, value.as_bytes()))).collect();
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
