//! Undoing content codings (RFC 9110, 8.4) within bounds.
//!
//! At most [`DECODED_BYTES_MAX`] bytes come out of each layer, and there are at most four layers. Windows: 32 KiB for
//! gzip and deflate, 16 MiB for brotli, 8 MiB for zstd (RFC 9659); a frame that wants more fails.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ruzstd::decoding::StreamingDecoder;

use crate::verdict::IncomparableReason;

/// Bytes of the largest body that is compared: as it was sent, and after each decoding.
pub const DECODED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Layers of codings, outermost last.
const LAYERS_MAX: usize = 4;

const ZSTD_WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The body without its content codings.
pub(crate) fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, IncomparableReason> {
    if body.len() > DECODED_BYTES_MAX {
        return Err(IncomparableReason::TooLarge);
    }
    // An answer to HEAD, 204 and 304 name a coding without a body.
    if body.is_empty() {
        return Ok(body.clone());
    }
    let codings = codings(headers)?;
    codings.iter().rev().try_fold(body.clone(), |body, coding| layer(coding, &body))
}

/// In the order in which they were applied.
fn codings(headers: &HeaderMap) -> Result<Vec<String>, IncomparableReason> {
    let mut found = Vec::new();
    for line in headers.get_all(CONTENT_ENCODING) {
        let line = line.to_str().map_err(|_| IncomparableReason::DecodeFailed)?;
        let names = line.split(',').map(|name| name.trim().to_ascii_lowercase());
        found.extend(names.filter(|name| !name.is_empty() && name != "identity").take(LAYERS_MAX + 1));
        if found.len() > LAYERS_MAX {
            return Err(IncomparableReason::DecodeFailed);
        }
    }
    Ok(found)
}

fn layer(coding: &str, body: &[u8]) -> Result<Bytes, IncomparableReason> {
    match coding {
        "gzip" | "x-gzip" => bounded(MultiGzDecoder::new(body)),
        "deflate" if is_zlib(body) => bounded(ZlibDecoder::new(body)),
        // Some servers send the raw format under this name; browsers read both.
        "deflate" => bounded(DeflateDecoder::new(body)),
        "br" => bounded(brotli_decompressor::Decompressor::new(body, 4096)),
        "zstd" => zstd(body),
        _ => Err(IncomparableReason::DecodeFailed),
    }
}

/// One frame after the other (RFC 8878, 3).
fn zstd(mut body: &[u8]) -> Result<Bytes, IncomparableReason> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let decoder = StreamingDecoder::new_with_max_window_size(&mut body, ZSTD_WINDOW_BYTES_MAX);
        append(decoder.map_err(|_| IncomparableReason::DecodeFailed)?, &mut out)?;
    }
    Ok(out.into())
}

fn bounded(reader: impl Read) -> Result<Bytes, IncomparableReason> {
    let mut out = Vec::new();
    append(reader, &mut out)?;
    Ok(out.into())
}

fn append(reader: impl Read, out: &mut Vec<u8>) -> Result<(), IncomparableReason> {
    let room = DECODED_BYTES_MAX - out.len();
    let read = reader.take(room as u64 + 1).read_to_end(out);
    read.map_err(|_| IncomparableReason::DecodeFailed)?;
    if out.len() > DECODED_BYTES_MAX { Err(IncomparableReason::TooLarge) } else { Ok(()) }
}

/// RFC 1950, 2.2: method 8, and a check of the first two bytes.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}
