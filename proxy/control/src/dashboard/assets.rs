//! Looks and scripts, embedded in the binary and served from it: no page asks another host for anything.
//!
//! Their address holds a hash of all of them, so that a browser may keep them for ever and never mixes two versions.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// A file below `/assets/HASH/`.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Named by the pages with [`address`]. Those of others are below `assets/vendor`, whose README has their origin.
const ASSETS: &[Asset] = &[
    Asset { name: "dashboard.css", content_type: CSS, text: include_str!("../../assets/dashboard.css") },
    Asset { name: "dashboard.js", content_type: SCRIPT, text: include_str!("../../assets/dashboard.js") },
    Asset { name: "icons.svg", content_type: SVG, text: include_str!("../../assets/icons.svg") },
    Asset { name: "banyan.svg", content_type: SVG, text: include_str!("../../assets/banyan.svg") },
    Asset {
        name: "idiomorph.js",
        content_type: SCRIPT,
        text: include_str!("../../assets/vendor/idiomorph/idiomorph.min.js"),
    },
    Asset {
        name: "uplot.js",
        content_type: SCRIPT,
        text: include_str!("../../assets/vendor/uplot/uPlot.iife.min.js"),
    },
    Asset {
        name: "uplot.css",
        content_type: CSS,
        text: include_str!("../../assets/vendor/uplot/uPlot.min.css"),
    },
];

/// Hash of all of them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in ASSETS {
        hash.update(asset.name);
        hash.update(asset.text);
    }
    hexadecimal(&hash.finalize()[..6])
});

/// `/assets/0a1b2c3d4e5f/NAME`
pub(super) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// `GET /assets/{version}/{name}`. An old version is not found: its page is to be loaded anew.
pub(super) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let found = ASSETS.iter().find(|asset| asset.name == name).filter(|_| version == *VERSION);
    let Some(asset) = found else {
        return (StatusCode::NOT_FOUND, "no such asset in this version\n").into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, asset.text).into_response()
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use super::*;

    /// Most bytes of script in all.
    const SCRIPT_BYTES_MAX: usize = 150_000;

    const VENDORED: &[(&str, &str)] = &[
        ("idiomorph.js", "4cbd535caf7663a51eda9bce6595371c384fc430d54b8d414e29a61167f19f96"),
        ("uplot.js", "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
        ("uplot.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
    ];

    #[test]
    fn what_others_wrote_is_as_they_published_it() {
        let readme = include_str!("../../assets/vendor/README.md");
        for (name, expected) in VENDORED {
            let asset = ASSETS.iter().find(|asset| asset.name == *name).unwrap();
            assert_eq!(hexadecimal(&Sha256::digest(asset.text)), *expected, "{name}");
            assert!(readme.contains(expected), "assets/vendor/README.md has the sum of {name}");
        }
    }

    #[test]
    fn scripts_are_under_150_kb_in_all() {
        let scripts = ASSETS.iter().filter(|asset| asset.content_type == SCRIPT);
        let bytes: usize = scripts.map(|asset| asset.text.len()).sum();
        assert!(bytes < SCRIPT_BYTES_MAX, "{bytes} bytes of script");
    }

    #[test]
    fn nothing_names_another_host() {
        for asset in ASSETS {
            let addresses = asset.text.matches("http").count();
            let namespaces = asset.text.matches("http://www.w3.org/").count();
            // uPlot's comment with its own address, and the messages in it, are the sums' business.
            assert!(addresses == namespaces || asset.name == "uplot.js", "{}", asset.name);
        }
    }
}
