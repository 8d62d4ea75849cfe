//! gRPC through: a real client and a real server, HTTP/2 on both sides.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _};
use futures_util::stream::{self, Stream, StreamExt as _};
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::proxy::{Proxy, legacy_at};
use crate::upstream::{Upstream, nobody};

const PATIENCE: Duration = Duration::from_secs(10);

/// Messages that are plain text: what is in them is no matter of the proxy.
#[derive(Clone, Copy, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        String::from_utf8(bytes.into()).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// Says when it is dropped.
struct Guard(mpsc::Sender<&'static str>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.try_send("cancelled");
    }
}

async fn unary(request: Request<String>) -> Result<Response<String>, Status> {
    let fields = request.metadata();
    let word = |name: &str| fields.get(name).and_then(|it| it.to_str().ok()).unwrap_or("none").to_owned();
    let (te, deadline) = (word("te"), word("grpc-timeout"));
    let mut response = Response::new(format!("{} te={te} deadline={deadline}", request.get_ref()));
    response.metadata_mut().insert("x-answer", "1".parse().unwrap());
    Ok(response)
}

async fn refuse(request: Request<String>) -> Result<Response<String>, Status> {
    Err(Status::not_found(format!("no {}", request.get_ref())))
}

async fn count(request: Request<String>) -> Result<Response<Messages>, Status> {
    let most: u32 = request.get_ref().parse().map_err(|_| Status::invalid_argument("no number"))?;
    let numbers = stream::iter((0..most).map(|number| Ok(number.to_string())));
    let end = stream::iter([Err(Status::data_loss("counted"))]);
    Ok(Response::new(Box::pin(numbers.chain(end))))
}

async fn sum(request: Request<tonic::Streaming<String>>) -> Result<Response<String>, Status> {
    let mut numbers = request.into_inner();
    let mut sum = 0;
    while let Some(number) = numbers.message().await? {
        sum += number.parse::<u64>().map_err(|_| Status::invalid_argument("no number"))?;
    }
    Ok(Response::new(sum.to_string()))
}

async fn echo(request: Request<tonic::Streaming<String>>) -> Result<Response<Messages>, Status> {
    Ok(Response::new(Box::pin(request.into_inner())))
}

async fn serve(
    request: http::Request<Incoming>,
    told: mpsc::Sender<&'static str>,
) -> Result<http::Response<tonic::body::Body>, Infallible> {
    let mut grpc = tonic::server::Grpc::new(Text);
    Ok(match request.uri().path() {
        "/shop.Test/Unary" => grpc.unary(tower::service_fn(unary), request).await,
        "/shop.Test/Refuse" => grpc.unary(tower::service_fn(refuse), request).await,
        "/shop.Test/Count" => grpc.server_streaming(tower::service_fn(count), request).await,
        "/shop.Test/Sum" => grpc.client_streaming(tower::service_fn(sum), request).await,
        "/shop.Test/Echo" => grpc.streaming(tower::service_fn(echo), request).await,
        _ => {
            let hang = move |_: Request<String>| {
                let guard = Guard(told.clone());
                let _ = told.try_send("called");
                async move {
                    let _guard = guard;
                    pending::<Result<Response<String>, Status>>().await
                }
            };
            grpc.unary(tower::service_fn(hang), request).await
        }
    })
}

async fn server() -> (Upstream, mpsc::Receiver<&'static str>) {
    let (told, heard) = mpsc::channel(8);
    let upstream = Upstream::raw(move |stream: TcpStream| {
        let told = told.clone();
        let service = service_fn(move |request| serve(request, told.clone()));
        async move {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    (upstream, heard)
}

fn before(url: &str) -> Proxy {
    Proxy::start(&format!("{}http2 = \"prior-knowledge\"\n", legacy_at(url)))
}

async fn client(proxy: &Proxy) -> tonic::client::Grpc<Channel> {
    let channel = Channel::from_shared(format!("http://{}", proxy.address)).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    client
}

fn path(method: &str) -> PathAndQuery {
    PathAndQuery::try_from(format!("/shop.Test/{method}")).unwrap()
}

/// Messages on one stream.
fn many() -> u32 {
    if std::env::var_os("BANYAN_FULL").is_some() { 100_000 } else { 2_000 }
}

#[tokio::test]
async fn a_call_passes_with_its_deadline_and_metadata() {
    let (upstream, _heard) = server().await;
    let proxy = before(&upstream.url());
    let mut request = Request::new("hello".to_owned());
    request.set_timeout(Duration::from_secs(20));
    let answer = client(&proxy).await.unary(request, path("Unary"), Text).await.unwrap();
    assert_eq!(answer.metadata().get("x-answer").unwrap(), "1");
    assert_eq!(answer.get_ref(), "hello te=trailers deadline=20000000u");
}

#[tokio::test]
async fn an_error_without_a_message_keeps_its_status() {
    let (upstream, _heard) = server().await;
    let proxy = before(&upstream.url());
    let status = client(&proxy).await.unary(Request::new("bread".to_owned()), path("Refuse"), Text).await;
    let status = status.map(Response::into_inner).unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no bread"));
}

#[tokio::test]
async fn many_messages_stream_down_and_end_with_their_status() {
    let (upstream, _heard) = server().await;
    let proxy = before(&upstream.url());
    let answer = client(&proxy)
        .await
        .server_streaming::<_, String, _>(Request::new(many().to_string()), path("Count"), Text)
        .await
        .unwrap();
    let mut numbers = answer.into_inner();
    for number in 0..many() {
        assert_eq!(numbers.message().await.unwrap(), Some(number.to_string()));
    }
    assert_eq!(numbers.message().await.unwrap_err().code(), Code::DataLoss);
}

#[tokio::test]
async fn many_messages_stream_up() {
    let (upstream, _heard) = server().await;
    let proxy = before(&upstream.url());
    let numbers = stream::iter((0..many()).map(|number| number.to_string()));
    let answer =
        client(&proxy).await.client_streaming(Request::new(numbers), path("Sum"), Text).await.unwrap();
    let most = u64::from(many());
    assert_eq!(*answer.get_ref(), (most * (most - 1) / 2).to_string());
}

#[tokio::test]
async fn messages_pass_both_ways_at_once() {
    let (upstream, _heard) = server().await;
    let proxy = before(&upstream.url());
    let (sender, receiver) = mpsc::channel(1);
    let outgoing = stream::unfold(receiver, |mut receiver| async move {
        let message: Option<String> = receiver.recv().await;
        message.map(|message| (message, receiver))
    });
    let mut client = client(&proxy).await;
    let called = client.streaming(Request::new(outgoing), path("Echo"), Text).await.unwrap();
    let mut incoming = called.into_inner();
    // Each is sent only when the one before has come back.
    for number in 0..many() {
        sender.send(number.to_string()).await.unwrap();
        assert_eq!(incoming.message().await.unwrap(), Some(number.to_string()));
    }
    drop(sender);
    assert_eq!(incoming.message().await.unwrap(), None);
    proxy.until("nothing in flight", || proxy.gateway.targets()[0].inflight == 0);
}

#[tokio::test]
async fn a_call_given_up_is_given_up_upstream() {
    let (upstream, mut heard) = server().await;
    let proxy = before(&upstream.url());
    let mut client = client(&proxy).await;
    let asked = tokio::spawn(async move {
        let asked = client.unary::<_, String, _>(Request::new(String::new()), path("Hang"), Text).await;
        drop(asked);
    });
    assert_eq!(timeout(PATIENCE, heard.recv()).await.unwrap(), Some("called"));
    asked.abort();
    assert_eq!(timeout(PATIENCE, heard.recv()).await.unwrap(), Some("cancelled"));
    proxy.until("nothing in flight", || proxy.gateway.targets()[0].inflight == 0);
}

#[tokio::test]
async fn an_answer_of_banyan_is_an_error_that_clients_know() {
    let proxy = before(&format!("http://{}", nobody()));
    let asked =
        client(&proxy).await.unary::<_, String, _>(Request::new(String::new()), path("Unary"), Text).await;
    // 502 means UNAVAILABLE: "HTTP to gRPC Status Code Mapping" of the gRPC documentation.
    assert_eq!(asked.map(Response::into_inner).unwrap_err().code(), Code::Unavailable);
}
