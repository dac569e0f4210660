//! The HTTP API: a router over the workstation, and nothing that computes.
//!
//! Dialects live in folders of their own (`openai/`). What they share lies
//! here: who may ask (`guard`), what is said of each request (`scope`),
//! listening and ending (`listen`), and the answers to what no dialect knows.

mod guard;
mod health;
mod listen;
mod metrics;
pub mod openai;
mod scope;

use std::sync::Arc;

use axum::{
    Extension, Router,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::get,
};

use crate::workstation::Workstation;
use guard::Guard;
use metrics::HttpCounters;
use openai::errors::ApiError;
use scope::Tracking;

pub use listen::{HttpServer, port_in_use};

/// The largest request that is read.
pub const MAX_BODY_BYTES: usize = 32 << 20;

/// One endpoint, for help and documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub method: &'static str,
    pub path: &'static str,
    pub doc: &'static str,
}

const fn endpoint(method: &'static str, path: &'static str, doc: &'static str) -> Endpoint {
    Endpoint { method, path, doc }
}

/// Every endpoint there is; a test holds the router to it.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint("GET", "/health", "State of the server"),
    endpoint("GET", "/metrics", "Numbers for Prometheus"),
    endpoint("GET", "/v1/models", "The models that can be asked"),
    endpoint("GET", "/v1/models/{id}", "One of these models"),
    endpoint(
        "POST",
        "/v1/chat/completions",
        "Answer a conversation, streamed or whole",
    ),
    endpoint("POST", "/v1/completions", "Continue a text"),
];

/// All routes, with the layers around them.
fn router(workstation: Workstation, guard: Guard) -> Router {
    let counters = Arc::new(HttpCounters::default());
    let tracking = Tracking {
        workstation: workstation.clone(),
        counters: Arc::clone(&counters),
    };
    Router::new()
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .merge(openai::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(guard.clone(), guard::admit))
        .layer(guard.cors())
        .layer(middleware::from_fn_with_state(tracking, scope::track))
        .layer(Extension(counters))
        .with_state(workstation)
}

async fn unknown_path(uri: Uri) -> ApiError {
    let known: Vec<_> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    ApiError::request(format!(
        "there is no {}; there are: {}.",
        uri.path(),
        known.join(", ")
    ))
    .code("unknown_path")
    .status(StatusCode::NOT_FOUND)
}

async fn unknown_method(method: Method, uri: Uri) -> ApiError {
    ApiError::request(format!("{} cannot be asked with {method}.", uri.path()))
        .code("method_not_allowed")
        .status(StatusCode::METHOD_NOT_ALLOWED)
}
