//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked.

use std::time::SystemTime;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{answer::unix_time, errors::ApiError};
use crate::workstation::{ModelEntry, Workstation};

/// Every model on this machine that Maquette can run.
pub async fn list(State(workstation): State<Workstation>) -> Json<Value> {
    Json(json!({"object": "list", "data": objects(&workstation)}))
}

/// One of them.
pub async fn one(
    State(workstation): State<Workstation>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = objects(&workstation)
        .into_iter()
        .find(|object| object["id"] == id.as_str());
    found
        .map(Json)
        .ok_or_else(|| ApiError::model_not_found(&id, &ids(&workstation)))
}

/// The ids of all models that can be asked.
pub fn ids(workstation: &Workstation) -> Vec<String> {
    let objects = objects(workstation);
    let ids = objects.iter().filter_map(|object| object["id"].as_str());
    ids.map(str::to_owned).collect()
}

fn objects(workstation: &Workstation) -> Vec<Value> {
    let model = workstation.model().borrow().clone();
    let models = workstation.models().borrow().clone();
    let loaded = model.as_ref().map(|model| model.id.as_str());
    let mut objects: Vec<_> = models
        .iter()
        .filter(|entry| entry.supported)
        .map(|entry| object(entry, loaded == Some(&entry.id)))
        .collect();
    // A model loaded from a folder of its own is in no list.
    if let Some(model) = model
        && !objects
            .iter()
            .any(|object| object["id"] == model.id.as_str())
    {
        objects.insert(
            0,
            json!({
                "id": model.id, "object": "model", "created": 0, "owned_by": "local",
                "context_length": model.context_length, "loaded": true,
            }),
        );
    }
    objects
}

fn object(entry: &ModelEntry, loaded: bool) -> Value {
    let made = std::fs::metadata(&entry.path).and_then(|data| data.modified());
    let owner = match entry.id.split_once('/') {
        Some((owner, _)) => owner,
        None => "local",
    };
    json!({
        "id": entry.id,
        "object": "model",
        "created": unix_time(made.unwrap_or(SystemTime::UNIX_EPOCH)),
        "owned_by": owner,
        "context_length": entry.context_length,
        "loaded": loaded,
    })
}
