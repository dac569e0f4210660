//! The OpenAI dialect: pure translation between its JSON and the workstation's
//! requests and answers. Nothing here computes or decides.
//!
//! Invariant: a parameter that would change the answer is followed or refused
//! by name, never ignored.

mod answer;
mod chat;
mod chat_request;
mod completions;
pub mod errors;
mod fields;
mod logprobs;
mod messages;
mod models;
mod options;
mod sse;

use axum::{
    Router,
    routing::{get, post},
};

use crate::workstation::Workstation;

/// The routes of this dialect.
pub fn routes() -> Router<Workstation> {
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/completions", post(completions::complete))
        .route("/v1/chat/completions", post(chat::complete))
}
