#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use proptest::prelude::*;

use super::{FIXED, Header, MAX_BINARY, MAX_LINE, Malformed, SIGNATURE, parse};

fn client(header: &[u8]) -> Option<SocketAddr> {
    let read = parse(header).unwrap().unwrap();
    assert_eq!(read.length, header.len());
    read.client
}

fn version_2(command: u8, kind: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, kind], &length, block].concat()
}

#[test]
fn lines_of_version_1() {
    let longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
                   ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(longest.len(), MAX_LINE);
    for (line, expected) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", Some("192.0.2.1:56324")),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255:65535")),
        ("PROXY TCP6 2001:db8::1 ::1 0 443\r\n", Some("[2001:db8::1]:0")),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN and whatever else\r\n", None),
        (longest, None),
    ] {
        assert_eq!(client(line.as_bytes()), expected.map(|text| text.parse().unwrap()), "{line}");
    }
}

#[test]
fn lines_that_are_none() {
    for line in [
        "GET / HTTP/1.1\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "proxy TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY  TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n",
        "PROXY TCP4 192.0.2.1\t198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 nowhere 56324 443\r\n",
        "PROXY TCP4 2001:db8::1 ::1 56324 443\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +80 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 080 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY UNKNOWNX\r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Malformed), "{line}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(MAX_LINE));
    assert_eq!(parse(&endless.as_bytes()[..MAX_LINE - 1]), Ok(None));
    assert_eq!(parse(&endless.as_bytes()[..MAX_LINE]), Err(Malformed));
    assert_eq!(parse(format!("{}\r\n", &endless[..MAX_LINE - 1]).as_bytes()), Err(Malformed));
}

#[test]
fn headers_of_version_2() {
    let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
    let v6: Vec<u8> = [[0x20, 1, 0xd, 0xb8], [0; 4], [0; 4], [0, 0, 0, 1]].concat();
    let v6 = [&v6[..], &v6, &[0, 80, 1, 0xbb]].concat();
    let with_extension = [&v4[..], &[4, 0, 2, 0, 0]].concat();
    for (command, kind, block, expected) in [
        (0x21, 0x11, &v4[..], Some("192.0.2.1:56324")),
        (0x21, 0x12, &v4, Some("192.0.2.1:56324")),
        (0x21, 0x21, &v6, Some("[2001:db8::1]:80")),
        (0x21, 0x11, &with_extension, Some("192.0.2.1:56324")),
        (0x20, 0x11, &v4, None),
        (0x20, 0x00, &[], None),
        (0x20, 0xff, &[1, 2], None),
        (0x21, 0x00, &[], None),
        (0x21, 0x00, &v4, None),
        (0x21, 0x10, &v4, None),
        (0x21, 0x31, &[b'x'; 216], None),
    ] {
        let header = version_2(command, kind, block);
        assert_eq!(client(&header), expected.map(|text| text.parse().unwrap()), "{command:x} {kind:x}");
    }
}

#[test]
fn headers_of_version_2_that_are_none() {
    let block = [0; 216];
    for (command, kind, length) in [
        (0x11, 0x11, 12),
        (0x31, 0x11, 12),
        (0x22, 0x11, 12),
        (0x21, 0x41, 216),
        (0x21, 0x13, 216),
        (0x21, 0x11, 11),
        (0x21, 0x21, 35),
        (0x21, 0x31, 215),
    ] {
        let header = version_2(command, kind, &block[..length]);
        assert_eq!(parse(&header), Err(Malformed), "{command:x} {kind:x} {length}");
    }
    let longest = version_2(0x20, 0, &vec![0; MAX_BINARY - FIXED]);
    assert_eq!(client(&longest), None);
    let longer = version_2(0x20, 0, &vec![0; MAX_BINARY - FIXED + 1]);
    assert_eq!(parse(&longer[..FIXED]), Err(Malformed), "known from its length alone");
}

fn stated() -> impl Strategy<Value = (Vec<u8>, SocketAddr)> {
    (any::<SocketAddr>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..64)).prop_map(
        |(client, is_binary, extension)| {
            let (ip, port) = (client.ip(), client.port().to_be_bytes());
            let expected = SocketAddr::new(ip, client.port());
            let (word, kind) = if ip.is_ipv4() { ("TCP4", 0x11) } else { ("TCP6", 0x21) };
            if !is_binary {
                let line = format!("PROXY {word} {ip} {ip} {} 443\r\n", client.port());
                return (line.into_bytes(), expected);
            }
            let address = match ip {
                std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
                std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let block = [&address[..], &address, &port, &[1, 0xbb], &extension].concat();
            (version_2(0x21, kind, &block), expected)
        },
    )
}

proptest! {
    #[test]
    fn a_header_is_known_by_its_last_byte_and_nothing_behind_it_counts(
        (header, client) in stated(),
        rest in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        for end in 0..header.len() {
            prop_assert_eq!(parse(&header[..end]), Ok(None), "{}", end);
        }
        let whole = Ok(Some(Header { length: header.len(), client: Some(client) }));
        prop_assert_eq!(parse(&header), whole);
        prop_assert_eq!(parse(&[&header[..], &rest].concat()), whole);
    }

    #[test]
    fn any_bytes_are_judged_once_and_for_all(
        beginning in prop_oneof![Just(&b""[..]), Just(&b"PROXY "[..]), Just(&b"PROXY TCP4 "[..]), Just(SIGNATURE)],
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [beginning, &bytes].concat();
        let mut verdict = Ok(None);
        for end in 0..=bytes.len() {
            let now = parse(&bytes[..end]);
            if verdict != Ok(None) {
                prop_assert_eq!(now, verdict);
            }
            if let Ok(Some(header)) = now {
                prop_assert!(header.length <= end && header.length <= MAX_BINARY);
            }
            verdict = now;
        }
    }
}
