//! Scripted upstreams.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What an upstream saw of one request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: http::Method,
    pub(crate) target: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

type Script = dyn Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync;

/// A script, and the record of what it was asked.
#[derive(Clone)]
struct Scripted {
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    fn by(script: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), seen: Arc::default() }
    }

    async fn serve_http1(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| self.clone().answer(request));
        let builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn serve_http2(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| self.clone().answer(request));
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        let saw = Seen {
            method: parts.method,
            target: parts.uri.to_string(),
            version: parts.version,
            headers: parts.headers,
            body: body.unwrap_or_default(),
        };
        let answer = (self.script)(&saw);
        self.seen.lock().unwrap().push(saw);
        Ok(answer)
    }
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
        let scripted = Scripted::by(script);
        let seen = Arc::clone(&scripted.seen);
        Self::start(address, seen, move |stream| scripted.clone().serve_http1(stream)).await
    }

    /// The same in HTTP/2 without TLS.
    pub(crate) async fn http2<F>(script: F) -> Self
    where
        F: Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    {
        let scripted = Scripted::by(script);
        let seen = Arc::clone(&scripted.seen);
        let address = "127.0.0.1:0".parse().unwrap();
        Self::start(address, seen, move |stream| scripted.clone().serve_http2(stream)).await
    }

    /// The same with TLS, in the version that the handshake agrees on.
    pub(crate) async fn https<F>(acceptor: TlsAcceptor, script: F) -> Self
    where
        F: Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    {
        let scripted = Scripted::by(script);
        let seen = Arc::clone(&scripted.seen);
        let serve = move |stream| {
            let (acceptor, scripted) = (acceptor.clone(), scripted.clone());
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => scripted.serve_http2(stream).await,
                    _ => scripted.serve_http1(stream).await,
                }
            }
        };
        Self::start("127.0.0.1:0".parse().unwrap(), seen, serve).await
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

    /// By a name that certificates can hold.
    pub(crate) fn https_url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> u32 {
        *self.connections.lock().unwrap()
    }
}

/// An address where nobody listens, nor will: it is kept bound, so that no other test is given it.
pub(crate) fn nobody() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// An address where nobody listens yet.
pub(crate) fn nobody_yet() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
