//! `GET /health`: whether the server can answer, and what it is doing.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::workstation::{ApiState, Workstation};

/// Always 200 while the server runs; `state` says whether a model is there.
pub async fn health(State(workstation): State<Workstation>) -> Json<Value> {
    let stats = workstation.engine_stats().borrow().clone();
    let model = workstation.model().borrow().clone();
    let state = match (&stats.loading, &model) {
        (Some(_), _) => "loading",
        (None, Some(_)) => "ready",
        (None, None) => "idle",
    };
    let (live, served) = match &*workstation.api().borrow() {
        ApiState::On { live, served, .. } => (*live, *served),
        ApiState::Off | ApiState::Failed(_) => (0, 0),
    };
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "state": state,
        "model": model.map(|model| model.id.clone()),
        "loading": stats.loading.map(|(id, part)| json!({"model": id, "progress": part})),
        "requests": {
            "live": live,
            "served": served,
            "running": stats.running.len(),
            "waiting": stats.waiting,
        },
    }))
}
