//! Faults planted in front of a shop: it forgets a write, makes it twice or for somebody else, or tells it wrong.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header::CONTENT_LENGTH, header::COOKIE},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;

/// What happens to a request, or to its answer.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Answered with `{}`, never heard of.
    Forgotten,
    Twice,
    /// Done as this user's.
    As(u32),
    Status(u16),
    /// This text for that, in each chunk.
    Text(&'static str, &'static str),
}

/// The shop, with that happening to every request that begins so and ends so, as in `GET /api/orders/` and `/stream`.
pub(crate) fn planted(shop: Router, fault: Fault, begins: &'static str, ends: &'static str) -> Router {
    shop.layer(from_fn(move |request: Request, next: Next| async move {
        let line = format!("{} {}", request.method(), request.uri().path());
        if line.starts_with(begins) && line.ends_with(ends) {
            strike(fault, request, next).await
        } else {
            next.run(request).await
        }
    }))
}

async fn strike(fault: Fault, mut request: Request, next: Next) -> Response {
    match fault {
        Fault::Forgotten => "{}".into_response(),
        Fault::Twice => {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let again = Request::from_parts(head.clone(), body.clone().into());
            next.clone().run(again).await;
            next.run(Request::from_parts(head, body.into())).await
        }
        Fault::As(user) => {
            let cookie = HeaderValue::try_from(format!("session=seed-session-{user}")).unwrap();
            request.headers_mut().insert(COOKIE, cookie);
            next.run(request).await
        }
        Fault::Status(status) => {
            let mut answer = next.run(request).await;
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        }
        Fault::Text(this, that) => {
            let (mut head, body) = next.run(request).await.into_parts();
            if this.len() != that.len() {
                head.headers.remove(CONTENT_LENGTH);
            }
            let told = move |chunk: Bytes| str::from_utf8(&chunk).unwrap().replace(this, that);
            Response::from_parts(head, Body::from_stream(body.into_data_stream().map_ok(told)))
        }
    }
}
