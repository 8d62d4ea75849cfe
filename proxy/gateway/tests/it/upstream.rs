//! Scripted upstreams.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What an upstream saw of one request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: http::Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<u32>>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Answers every request with `name` as its body.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::http(move |_| Response::new(Full::new(Bytes::from(name)))).await
    }

    /// Reads each request whole, then answers by the script.
    pub(crate) async fn http<F>(script: F) -> Self
    where
        F: Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    {
        Self::http_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    /// The same at a given address, where one was before.
    pub(crate) async fn http_at<F>(address: SocketAddr, script: F) -> Self
    where
        F: Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (script, record) = (Arc::new(script), Arc::clone(&seen));
        let serve = move |stream: TcpStream| {
            let (script, record) = (Arc::clone(&script), Arc::clone(&record));
            let service = service_fn(move |request: Request<Incoming>| {
                let (script, record) = (Arc::clone(&script), Arc::clone(&record));
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.map(http_body_util::Collected::to_bytes);
                    let saw = Seen {
                        method: parts.method,
                        target: parts.uri.to_string(),
                        headers: parts.headers,
                        body: body.unwrap_or_default(),
                    };
                    let answer = script(&saw);
                    record.lock().unwrap().push(saw);
                    Ok::<_, Infallible>(answer)
                }
            });
            async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        };
        Self::start(address, seen, serve).await
    }

    /// Hands every connection to the script.
    pub(crate) async fn raw<F, A>(script: F) -> Self
    where
        F: Fn(TcpStream) -> A + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        Self::start("127.0.0.1:0".parse().unwrap(), Arc::default(), script).await
    }

    async fn start<F, A>(address: SocketAddr, seen: Arc<Mutex<Vec<Seen>>>, serve: F) -> Self
    where
        F: Fn(TcpStream) -> A + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections: Arc<Mutex<u32>> = Arc::default();
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                open.spawn(serve(stream));
            }
        });
        Self { address, seen, connections, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> u32 {
        *self.connections.lock().unwrap()
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
