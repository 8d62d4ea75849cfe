//! Values with a form of their own.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use banyan_routes::Share;
use ipnet::IpNet;
use serde::Deserialize;

/// A time with its unit: `250ms`, `30s`, `1m30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Time(pub(crate) Duration);

impl std::str::FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is no time: expected for example `250ms`, `30s` or `1m30s`");
        let time: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
        Duration::try_from(time).map(Self).map_err(|_| expected())
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A number of bytes with its unit: `16KiB`, `1MiB`, `500B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Size(pub(crate) usize);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20)].into_iter().find(|(name, _)| *name == unit);
        let bytes = unit.and_then(|(_, bytes)| number.parse::<usize>().ok()?.checked_mul(bytes));
        bytes.map(Self).ok_or_else(|| format!("`{text}` is no size: expected for example `16KiB` or `1MiB`"))
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A limit: a number of at least 1, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most(pub(crate) Option<u64>);

impl std::str::FromStr for Most {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if number > 0_u64 => Ok(Self(Some(number))),
            _ if text == "none" => Ok(Self(None)),
            _ => Err(format!("`{text}` is no limit: expected a number of at least 1, or `none`")),
        }
    }
}

/// In `banyan.toml` a number stands without quotes.
impl<'de> Deserialize<'de> for Most {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Word;

        impl serde::de::Visitor<'_> for Word {
            type Value = Most;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a number of at least 1, or \"none\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Most, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Most, E> {
                text.parse().map_err(E::custom)
            }
        }

        from.deserialize_any(Word)
    }
}

/// Addresses: `10.0.0.0/8`, or one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Network(pub(crate) IpNet);

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| {
            format!("`{text}` is no address or network: expected for example `10.0.0.0/8` or `192.0.2.7`")
        })
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A part of all, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio(pub(crate) f64);

impl std::str::FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.map(Self).ok_or_else(|| {
            format!("`{text}` is no ratio: expected a number from 0 to 1, for example `0.01` for 1 %")
        })
    }
}

/// Where an application is: scheme, host and port, and maybe a path that stands before every target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base(pub(crate) String);

impl std::str::FromStr for Base {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no address: expected for example `http://localhost:3000`");
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_plain = uri.query().is_none() && !text.contains(['#', '@']);
        if !is_http || !is_plain || uri.host().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Shorter pauses than this would only keep the proxy busy.
const PAUSE_MIN: Duration = Duration::from_millis(10);

pub(super) fn parse_pause(text: &str) -> Result<Time, String> {
    let time: Time = text.parse()?;
    if time.0 < PAUSE_MIN { Err(format!("expected at least {PAUSE_MIN:?}")) } else { Ok(time) }
}

/// Method and target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
}

pub(super) fn parse_request(text: &str) -> Result<Request, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (method, target) = match words[..] {
        [target] => ("GET", target),
        [method, target] | [method, target, "HTTP/1.1"] => (method, target),
        _ => return Err("expected for example 'GET /api/orders/7'".to_owned()),
    };
    if !target.starts_with('/') && target != "*" {
        return Err(format!("the path must begin with `/`, found `{target}`"));
    }
    Ok(Request { method: method.to_ascii_uppercase(), target: target.to_owned() })
}

pub(super) fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected for example 'x-user-id: 42'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn parse_percent(text: &str) -> Result<Share, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || whole.len() > 3 {
        return Err("expected a number from 0 to 100".to_owned());
    }
    if decimals.len() > 3 {
        return Err("at most three decimals: the smallest step is 0.001".to_owned());
    }
    let thousandths = format!("{whole}{decimals:0<3}").parse().ok().and_then(Share::from_thousandths);
    thousandths.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn percents_are_exact() {
        let thousandths = |text| parse_percent(text).map(Share::thousandths).ok();
        assert_eq!(thousandths("25"), Some(25_000));
        assert_eq!(thousandths("12.5 %"), Some(12_500));
        assert_eq!(thousandths("0.001%"), Some(1));
        assert_eq!(thousandths("100"), Some(100_000));
        for wrong in ["100.001", "-1", "1e1", "", ".", "0.0001", "1000000000000"] {
            assert_eq!(thousandths(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_request_is_a_line_or_a_path() {
        let request = |method: &str, target: &str| Request { method: method.into(), target: target.into() };
        assert_eq!(parse_request("/a?b=1").unwrap(), request("GET", "/a?b=1"));
        assert_eq!(parse_request("post /a HTTP/1.1").unwrap(), request("POST", "/a"));
        assert!(parse_request("GET a").is_err());
        assert!(parse_request("").is_err());
    }

    #[test]
    fn a_time_needs_a_unit() {
        assert_eq!("1m30s".parse::<Time>().unwrap().0.as_secs(), 90);
        assert_eq!("250ms".parse::<Time>().unwrap().0.as_millis(), 250);
        for wrong in ["30", "-1s", "soon", ""] {
            assert!(wrong.parse::<Time>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_needs_a_unit() {
        assert_eq!("16KiB".parse::<Size>().unwrap().0, 16_384);
        assert_eq!("500B".parse::<Size>().unwrap().0, 500);
        for wrong in ["16", "16 KiB", "16kB", "-1B", "KiB", "", "99999999999999999999MiB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        #[derive(Deserialize)]
        struct File {
            most: Most,
        }
        let in_file = |text: &str| toml::from_str::<File>(&format!("most = {text}")).map(|file| file.most.0);
        assert_eq!("7".parse::<Most>().unwrap().0, Some(7));
        assert_eq!("none".parse::<Most>().unwrap().0, None);
        assert_eq!(in_file("7").unwrap(), Some(7));
        assert_eq!(in_file("\"none\"").unwrap(), None);
        for wrong in ["0", "-1", "many", ""] {
            assert!(wrong.parse::<Most>().is_err(), "{wrong}");
        }
        assert!(in_file("0").is_err() && in_file("-1").is_err() && in_file("true").is_err());
    }

    #[test]
    fn a_network_may_be_one_address() {
        let network = |text: &str| text.parse::<Network>().map(|it| it.0.to_string());
        assert_eq!(network("10.0.0.0/8").unwrap(), "10.0.0.0/8");
        assert_eq!(network("::1").unwrap(), "::1/128");
        assert!(network("10.0.0.0/33").is_err() && network("here").is_err());
    }

    #[test]
    fn a_base_is_where_an_application_is() {
        let base = |text: &str| text.parse::<Base>().map(|base| base.0);
        assert_eq!(base("http://localhost:3000/").unwrap(), "http://localhost:3000");
        assert_eq!(base("https://old.test/shop").unwrap(), "https://old.test/shop");
        for wrong in ["localhost:3000", "ftp://a", "http://", "http://a/?b", "http://u:p@a", "/a", ""] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ratio_is_a_part_of_all() {
        assert_eq!("0.01".parse::<Ratio>(), Ok(Ratio(0.01)));
        for wrong in ["1.1", "-0.1", "1%", "NaN", ""] {
            assert!(wrong.parse::<Ratio>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_watch_pauses() {
        assert!(parse_pause("10ms").is_ok());
        for wrong in ["0s", "9ms", "2"] {
            assert!(parse_pause(wrong).is_err(), "{wrong}");
        }
    }
}
