//! The error object of the OpenAI dialect and the status that goes with it.
//!
//! Every refusal of the server, in a response or in the middle of a stream, is
//! made here: `{"error": {"message", "type", "param", "code"}}`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::workstation::{EngineError, WorkstationError};

/// A refusal: what the client gets, and the status it gets it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    /// OpenAI's `type`: the kind of error.
    pub kind: &'static str,
    pub message: String,
    /// The parameter that is wrong, as the client wrote it.
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

impl ApiError {
    /// 400 about one parameter.
    pub fn parameter(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::request(message)
        }
    }

    /// 400 about the request as a whole.
    pub fn request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            message: message.into(),
            param: None,
            code: None,
        }
    }

    /// A parameter that exists in the dialect and not in Maquette.
    pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::parameter(param, message).code("unsupported_parameter")
    }

    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub fn model_not_found(id: &str, known: &[String]) -> Self {
        let list = match known {
            [] => "no models were found on this machine".to_owned(),
            ids => format!("there are: {}", ids.join(", ")),
        };
        Self::parameter("model", format!("there is no model `{id}`; {list}."))
            .code("model_not_found")
            .status(StatusCode::NOT_FOUND)
    }

    pub fn unauthorised(message: &str) -> Self {
        Self {
            kind: "authentication_error",
            ..Self::request(message)
                .code("invalid_api_key")
                .status(StatusCode::UNAUTHORIZED)
        }
    }

    /// 5xx: the request was fine, the answer was not.
    pub fn server(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: "server_error",
            ..Self::request(message)
        }
    }

    /// The error object; also the data of an error event in a stream.
    pub fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::PromptTooLong { .. } => {
                Self::request(message).code("context_length_exceeded")
            }
            EngineError::EmptyPrompt => Self::request(message).code("empty_prompt"),
            EngineError::KvMode(_) => Self::parameter("kv_mode", message),
            EngineError::BadParameter { parameter, .. } => Self::parameter(parameter, message),
            EngineError::NoModel => {
                Self::server(StatusCode::SERVICE_UNAVAILABLE, message).code("no_model")
            }
            EngineError::QueueFull { .. } => {
                Self::server(StatusCode::SERVICE_UNAVAILABLE, message).code("queue_full")
            }
            EngineError::OutOfMemory { .. } => {
                Self::server(StatusCode::SERVICE_UNAVAILABLE, message).code("out_of_memory")
            }
            EngineError::Stopped => {
                Self::server(StatusCode::SERVICE_UNAVAILABLE, message).code("engine_stopped")
            }
            EngineError::Load { .. } => {
                Self::server(StatusCode::INTERNAL_SERVER_ERROR, message).code("model_load_failed")
            }
            _ => Self::server(StatusCode::INTERNAL_SERVER_ERROR, message).code("engine_error"),
        }
    }
}

impl From<WorkstationError> for ApiError {
    fn from(error: WorkstationError) -> Self {
        let message = error.to_string();
        match error {
            WorkstationError::Engine(error) => error.into(),
            WorkstationError::UnknownModel(id) => Self {
                message,
                ..Self::model_not_found(&id, &[])
            },
            WorkstationError::BadRequest(_) => Self::request(message),
            WorkstationError::Outgrown { .. } | WorkstationError::NothingToDrop { .. } => {
                Self::parameter("messages", message).code("context_length_exceeded")
            }
            // Templates refuse conversations (roles that do not alternate,
            // say), so the conversation is what has to change.
            WorkstationError::Template { .. } => {
                Self::parameter("messages", message).code("template_error")
            }
            _ => Self::server(StatusCode::INTERNAL_SERVER_ERROR, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_errors_have_fitting_statuses() {
        let cases = [
            (
                EngineError::PromptTooLong {
                    prompt: 9,
                    context: 8,
                },
                400,
                Some("context_length_exceeded"),
            ),
            (
                EngineError::QueueFull { waiting: 3 },
                503,
                Some("queue_full"),
            ),
            (EngineError::Compute("x".into()), 500, Some("engine_error")),
        ];
        for (error, status, code) in cases {
            let error = ApiError::from(error);
            assert_eq!((error.status.as_u16(), error.code), (status, code));
        }
    }

    #[test]
    fn the_object_has_all_four_members() {
        let body = ApiError::parameter("top_p", "too large").body();
        assert_eq!(
            body,
            json!({"error": {"message": "too large", "type": "invalid_request_error",
                             "param": "top_p", "code": null}})
        );
    }
}
