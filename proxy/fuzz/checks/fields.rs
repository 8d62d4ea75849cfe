//! Fields that reach an upstream only as Banyan writes them.

use super::parsers::Request;

/// Made by Banyan. Exactly one of each, but for `X-Forwarded-Host`, which needs a `Host`.
const OURS: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "banyan-hop"];

/// Ends at a proxy, in any spelling that an application may take for it.
const ENDED: [&str; 7] = [
    "keep-alive",
    "proxy",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-authentication-info",
    "http2-settings",
];

/// Checks a request that has arrived. From a client that is trusted, more may have come.
pub(super) fn check(request: &Request, is_trusted: bool) {
    for (name, _) in &request.fields {
        let plain = name.replace('_', "-");
        assert!(!ENDED.contains(&name.as_str()), "{name}: {:?}", request.fields);
        let frames = ["content-length", "transfer-encoding"].contains(&plain.as_str());
        let is_claim = plain == "forwarded" || plain.starts_with("x-forwarded-") || plain == "x-real-ip";
        assert!(*name == plain || !(frames || is_claim), "{name} is read as {plain}: {:?}", request.fields);
        assert!(!plain.starts_with("banyan-") || name == "banyan-hop", "{name}: {:?}", request.fields);
        let is_ours = OURS.contains(&name.as_str()) || name == "x-forwarded-host";
        assert!(is_trusted || is_ours || !is_claim, "{name}: {:?}", request.fields);
    }
    for name in OURS {
        // What a trusted peer says of the scheme stays as it is, however often it says it.
        let may_repeat = is_trusted && name == "x-forwarded-proto";
        let count = request.all(name).len();
        assert!(count == 1 || (count > 1 && may_repeat), "{name}: {:?}", request.fields);
    }
    check_way(request, is_trusted);
    check_connection(request);
}

/// The last hop is the one that Banyan saw; for a client that nobody trusts, it is the only one.
fn check_way(request: &Request, is_trusted: bool) {
    let [for_list, forwarded] = ["x-forwarded-for", "forwarded"].map(|name| request.all(name)[0]);
    if is_trusted {
        assert!(for_list == "127.0.0.1" || for_list.ends_with(", 127.0.0.1"), "{for_list:?}");
        let last = forwarded.rfind("for=127.0.0.1;proto=http").expect("the last element is ours");
        assert!(last == 0 || forwarded[..last].ends_with(", "), "{forwarded:?}");
    } else {
        assert_eq!((for_list, request.all("x-forwarded-proto")[0]), ("127.0.0.1", "http"));
        assert!(forwarded.starts_with("for=127.0.0.1;proto=http"), "{forwarded:?}");
        // A request without a host gets that of the upstream, and nothing is said of it.
        let hosts = request.all("x-forwarded-host");
        assert!(hosts.is_empty() || hosts == request.all("host"), "{:?}", request.fields);
    }
}

/// Only what a hop may ask of the next one.
fn check_connection(request: &Request) {
    let connection = request.all("connection");
    let has = |name: &str| !request.all(name).is_empty();
    let expected = match (has("upgrade"), has("te")) {
        (true, true) => vec!["upgrade, te"],
        (true, false) => vec!["upgrade"],
        (false, true) => vec!["te"],
        (false, false) => vec![],
    };
    assert_eq!(connection, expected, "{:?}", request.fields);
    assert!(request.all("te").iter().all(|te| *te == "trailers"), "{:?}", request.fields);
    let protocols = request.all("upgrade").join(",").to_ascii_lowercase();
    assert!(!protocols.split(',').any(|it| ["h2", "h2c"].contains(&it.trim())), "{:?}", request.fields);
}

/// What `Connection` named has not arrived (RFC 9110 7.6.1), unless Banyan writes it or the message needs it.
pub(super) fn check_nominated(sent: &Request, seen: &Request) {
    for line in sent.all("connection") {
        for option in line.split(',').map(|option| option.trim().to_ascii_lowercase()) {
            let is_needed = ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade"]
                .contains(&option.as_str());
            let is_ours = OURS.contains(&option.as_str())
                || ["x-forwarded-host", "traceparent", "via"].contains(&option.as_str());
            assert!(is_needed || is_ours || seen.all(&option).is_empty(), "{option}: {:?}", seen.fields);
        }
    }
}
