//! Answers as the corpus writes them: head, directives, body.

use std::io::{Read, Write};
use std::time::Duration;

use banyan_compare::{Answer, Body, Observation};
use bytes::Bytes;
use flate2::Compression;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// An answer of JSON.
pub(crate) fn json(body: &str) -> Observation {
    answer(&["content-type: application/json"], body)
}

/// An answer by the lines of its head.
pub(crate) fn answer(head: &[&str], body: &str) -> Observation {
    let (mut status, mut headers, mut body) = (StatusCode::OK, HeaderMap::new(), body.as_bytes().to_vec());
    for line in head {
        if let Some(directive) = line.strip_prefix('@') {
            apply(directive, &mut headers, &mut body);
        } else if let Some((name, value)) = line.split_once(':') {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
        } else {
            status = StatusCode::from_bytes(line.as_bytes()).unwrap();
        }
    }
    let (body, elapsed) = (Body::Complete(Bytes::from(body)), Duration::from_millis(5));
    Observation::Answered(Answer { status, headers, body, elapsed })
}

fn apply(directive: &str, headers: &mut HeaderMap, body: &mut Vec<u8>) {
    let text = || String::from_utf8(body.clone()).unwrap();
    match directive {
        "none" => drop(headers.remove("content-type")),
        "bom" => *body = [b"\xef\xbb\xbf", body.as_slice()].concat(),
        "crlf" => *body = text().replace('\n', "\r\n").into_bytes(),
        "latin1" => *body = text().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect(),
        "utf16" => *body = text().encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "hex" => {
            let digits = text();
            let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            *body = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        }
        coding => {
            *body = encode(coding, body);
            let coding = coding.trim_end_matches("-raw");
            headers.append("content-encoding", HeaderValue::from_str(coding).unwrap());
        }
    }
}

/// One content coding, as a server writes it.
pub(crate) fn encode(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let level = Compression::default();
    match coding {
        "gzip" => flate2::write::GzEncoder::new(&mut out, level).write_all(body).unwrap(),
        "deflate" => flate2::write::ZlibEncoder::new(&mut out, level).write_all(body).unwrap(),
        "deflate-raw" => flate2::write::DeflateEncoder::new(&mut out, level).write_all(body).unwrap(),
        "br" => drop(brotli::CompressorReader::new(body, 4096, 5, 22).read_to_end(&mut out).unwrap()),
        "zstd" => {
            out = ruzstd::encoding::compress_to_vec(body, ruzstd::encoding::CompressionLevel::Fastest);
        }
        other => panic!("no such directive: @{other}"),
    }
    out
}
