//! Who may ask: the API key, and web pages on loopback.
//!
//! With a key, every path but `/health` needs it. Without one the server is on
//! loopback, where any web page that the user visits could reach it: requests
//! that a browser sends for a foreign page (by `Origin`), or for a foreign name
//! that was made to resolve to loopback (by `Host`), are refused.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::{openai::errors::ApiError, scope::REQUEST_ID};

/// The key that clients must send, if any.
#[derive(Clone)]
pub struct Guard {
    key: Option<Arc<str>>,
}

impl Guard {
    pub fn new(key: Option<String>) -> Self {
        Self {
            key: key.filter(|key| !key.is_empty()).map(Into::into),
        }
    }

    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Which pages a browser lets read the answers: with a key all, since the
    /// key decides; without one those of this machine.
    pub fn cors(&self) -> CorsLayer {
        let open = self.key.is_some();
        let origins = AllowOrigin::predicate(move |origin: &HeaderValue, _| {
            open || origin.to_str().is_ok_and(is_local_origin)
        });
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(Any)
            .expose_headers([REQUEST_ID])
    }

    fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
        match &self.key {
            Some(_) if path == "/health" => Ok(()),
            Some(key) => check_key(key, headers),
            None => check_browser(headers),
        }
    }
}

/// Middleware: lets a request pass or refuses it.
pub async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check_key(key: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(ApiError::unauthorised(
            "this server needs an API key; send it as `Authorization: Bearer KEY`.",
        ));
    };
    let given = value.as_bytes();
    let given = match given.split_at_checked(7) {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") => given,
        _ => {
            return Err(ApiError::unauthorised(
                "the `Authorization` header is not of the form `Bearer KEY`.",
            ));
        }
    };
    // In constant time: the time taken tells nothing of the key but its length.
    match bool::from(given.trim_ascii().ct_eq(key.as_bytes())) {
        true => Ok(()),
        false => Err(ApiError::unauthorised(
            "the API key is not the one this server was started with.",
        )),
    }
}

fn check_browser(headers: &HeaderMap) -> Result<(), ApiError> {
    if let Some(origin) = headers.get(header::ORIGIN)
        && !origin.to_str().is_ok_and(is_local_origin)
    {
        return Err(foreign("the web page that sent it is not of this machine"));
    }
    if let Some(host) = headers.get(header::HOST)
        && !host.to_str().is_ok_and(is_local_host)
    {
        return Err(foreign("its `Host` header names another machine"));
    }
    Ok(())
}

fn foreign(reason: &str) -> ApiError {
    let message = format!(
        "the request was refused: {reason}. Start the server with --api-key to allow it with the key."
    );
    ApiError {
        kind: "permission_error",
        ..ApiError::request(message)
            .code("forbidden_origin")
            .status(StatusCode::FORBIDDEN)
    }
}

fn is_local_origin(origin: &str) -> bool {
    origin
        .split_once("://")
        .is_some_and(|(_, host)| is_local_host(host))
}

/// Whether `host[:port]` is a name or an address of loopback.
fn is_local_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_the_right_key_passes() {
        let guard = Guard::new(Some("secret".into()));
        let with = |value| headers(&[(header::AUTHORIZATION, value)]);
        assert!(guard.check("/v1/models", &with("Bearer secret")).is_ok());
        assert!(guard.check("/v1/models", &with("bearer secret")).is_ok());
        for wrong in [
            "Bearer secre",
            "Bearer secrets",
            "Bearer ",
            "secret",
            "Basic secret",
        ] {
            let error = guard.check("/v1/models", &with(wrong)).unwrap_err();
            assert_eq!(error.status, StatusCode::UNAUTHORIZED, "{wrong}");
        }
        assert!(guard.check("/v1/models", &HeaderMap::new()).is_err());
        assert!(guard.check("/health", &HeaderMap::new()).is_ok());
    }

    #[test]
    fn an_empty_key_is_no_key() {
        assert!(Guard::new(Some(String::new())).key.is_none());
    }

    #[test]
    fn foreign_pages_cannot_use_the_loopback() {
        let guard = Guard::new(None);
        let check = |name, value| guard.check("/health", &headers(&[(name, value)]));
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:80",
        ] {
            assert!(check(header::ORIGIN, origin).is_ok(), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
        ] {
            let error = check(header::ORIGIN, origin).unwrap_err();
            assert_eq!(error.status, StatusCode::FORBIDDEN, "{origin}");
        }
        assert!(check(header::HOST, "localhost:8421").is_ok());
        assert!(check(header::HOST, "127.9.9.9").is_ok());
        assert!(check(header::HOST, "rebound.example:8421").is_err());
    }
}
