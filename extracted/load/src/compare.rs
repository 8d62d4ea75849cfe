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

/// Asks both addresses for the whole list: how much was asked, and a line for each difference.
pub async fn compare(plan: &Plan, other: &str) -> Result<(usize, Vec<String>), String> {
    let mut sides = [Side::open(&plan.url, "a").await?, Side::open(other, "b").await?];
    let mask = |(pattern, with): &(&str, &'static str)| {
        (Regex::new(pattern).expect("the patterns are constants that the tests use"), *with)
    };
    let masks: Vec<_> = MASKS.iter().map(mask).collect();
    let (mut asked, mut differences) = (0, Vec::new());
    for case in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        asked += 1;
        let is_read = case.contains(" GET ") || case.contains(" HEAD ");
        let same_for_both = is_read && !case.starts_with("me ") && !case.contains('{');
        let masks = if same_for_both { &masks[..1] } else { &masks };
        let deadline = Instant::now() + SETTLED;
        let (one, other) = loop {
            let [one, other] = &mut sides;
            let (one, other) = join!(one.seen(case, plan, masks), other.seen(case, plan, masks));
            if one == other || !is_read || Instant::now() > deadline {
                break (one, other);
            }
            sleep(POLL).await;
        };
        differences.extend(difference(&one, &other).map(|what| format!("{case}: {what}")));
    }
    Ok((asked, differences))
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
    async fn seen(&mut self, case: &str, plan: &Plan, masks: &[(Regex, &str)]) -> String {
        let (case, name) = case.split_once(" => ").unwrap_or((case, ""));
        let ask = self.ask(case, &plan.webhook_secret);
        match self.connection.send(&ask).await {
            Ok(answer) => {
                self.learn(name, &answer);
                self.masked(&answer, masks)
            }
            Err(error) => error,
        }
    }

    fn ask(&self, case: &str, secret: &str) -> Ask {
        let known = self.known.iter();
        let case =
            known.fold(case.to_owned(), |case, (name, value)| case.replace(&format!("{{{name}}}"), value));
        let mut words = case.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (who, line, mut body) = (word(), format!("{} {}", word(), word()), word());
        let mut ask = match who.parse() {
            Ok(user) => Ask::by(user, line),
            Err(_) => Ask::new(line, if who == "me" { &self.session } else { "" }),
        };
        while let Some((name, rest)) = body.split_once(':').filter(|_| body.starts_with(char::is_uppercase)) {
            let (value, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            (ask, body) = (ask.with(name, value), rest);
        }
        for (_, value) in &mut ask.headers {
            *value = value.replace("{sign}", &signature(secret, body));
        }
        let typed = body.is_empty() || ask.headers.iter().any(|(name, _)| name == "Content-Type");
        if typed { Ask { body: body.to_owned(), ..ask } } else { ask.json(&body) }
    }

    fn learn(&mut self, name: &str, answer: &Answer) {
        if !name.is_empty() {
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

    /// Status, header fields, body.
    fn masked(&self, answer: &Answer, masks: &[(Regex, &str)]) -> String {
        let (base, new) = (&self.connection.base, &self.known["new"]);
        let masked = |text: &str| {
            let text = text.replace(base.authority(), "{host}").replace(new, "{new}");
            masks.iter().fold(text, |text, (mask, with)| mask.replace_all(&text, *with).into_owned())
        };
        let body = masked(&answer.text);
        let fields = answer.headers.iter().filter(|(name, _)| {
            let name = name.as_str();
            // A length is that of the body unless something in it was masked.
            !IGNORED.contains(&name) && (name != "content-length" || body == answer.text)
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
