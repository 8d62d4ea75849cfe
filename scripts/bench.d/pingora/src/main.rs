//! `pingora-proxy` with nothing added but the split: no routes, metrics or forwarding fields.
//!
//!     bare-pingora LISTEN_PORT LEGACY_PORT CANDIDATE_PORT

use std::sync::Arc;

use pingora_core::Result;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    legacy: u16,
    candidate: u16,
}

#[async_trait::async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let request = session.req_header();
        let is_split = request.uri.path().starts_with("/api/orders/");
        let user = request.headers.get("x-user-id").filter(|_| is_split);
        let port =
            if user.is_some_and(|user| is_in_half(user.as_bytes())) { self.candidate } else { self.legacy };
        Ok(Box::new(HttpPeer::new(("127.0.0.1", port), false, String::new())))
    }
}

/// FNV-1a, whose bits are uneven for values that differ in their ends: its rest by a prime is not.
fn is_in_half(user: &[u8]) -> bool {
    let mix = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    (user.iter().fold(0xcbf2_9ce4_8422_2325, mix) % 1_000_003).is_multiple_of(2)
}

fn main() {
    let ports: Vec<u16> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [listen, legacy, candidate] = ports[..] else {
        eprintln!("usage: bare-pingora LISTEN_PORT LEGACY_PORT CANDIDATE_PORT");
        std::process::exit(2);
    };
    let settings = ServerConf { threads: 1, grace_period_seconds: Some(0), ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let configuration = Arc::clone(&server.configuration);
    let mut service = http_proxy_service(&configuration, Bare { legacy, candidate });
    service.add_tcp(&format!("127.0.0.1:{listen}"));
    server.add_service(service);
    server.run_forever();
}
