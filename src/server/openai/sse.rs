//! Server-sent events: a stream of JSON values as an HTTP response.
//!
//! Comments keep the connection alive while a prompt is computed, and the last
//! event is `[DONE]`, also after an error.

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt};
use serde_json::Value;

use super::errors::ApiError;

/// Shorter than the 30 seconds after which common proxies hang up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Sends `chunks`; an error becomes an event and ends the stream.
pub fn response(chunks: impl Stream<Item = Result<Value, ApiError>> + Send + 'static) -> Response {
    let events = chunks
        .map(|chunk| match chunk {
            Ok(value) => value.to_string(),
            Err(error) => error.body().to_string(),
        })
        .chain(futures_util::stream::once(async { "[DONE]".to_owned() }))
        .map(|data| Ok::<_, Infallible>(Event::default().data(data)));
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive"))
        .into_response();
    // Proxies that gather responses would hold back the tokens.
    response.headers_mut().insert(
        "x-accel-buffering",
        axum::http::HeaderValue::from_static("no"),
    );
    response
}
