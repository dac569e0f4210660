//! One request from its arrival to the last byte of its answer: its id, its
//! place among the API's counters, and its one line in the log.
//!
//! The scope is shared by the middleware, the handler and the body of a
//! streamed answer. Whoever goes last writes the line, so that the line of a
//! stream has the time and the tokens of the whole stream.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};

use super::metrics::HttpCounters;
use crate::workstation::{AnswerFinish, ApiCall, Usage, Workstation};

/// Carries the request's id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids of clients are replaced, to keep log lines readable.
const LONGEST_ID: usize = 64;

/// What is known of one request so far.
pub struct RequestScope {
    id: String,
    method: Method,
    path: String,
    /// The pattern that the path matched.
    route: Option<MatchedPath>,
    counters: Arc<HttpCounters>,
    begun: Instant,
    facts: Mutex<Facts>,
    /// Counts the request as live until the scope goes.
    _call: ApiCall,
}

#[derive(Default)]
struct Facts {
    status: Option<u16>,
    model: Option<String>,
    stream: bool,
    generating: bool,
    usage: Option<Usage>,
    finish: Option<AnswerFinish>,
}

impl RequestScope {
    /// An answer is to be generated.
    pub fn generating(&self, stream: bool) {
        let mut facts = self.facts();
        facts.generating = true;
        facts.stream = stream;
    }

    /// The model that answers.
    pub fn model(&self, id: &str) {
        self.facts().model = Some(id.to_owned());
    }

    /// The answer is complete.
    pub fn finished(&self, usage: &Usage, finish: AnswerFinish) {
        let mut facts = self.facts();
        facts.usage = Some(*usage);
        facts.finish = Some(finish);
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestScope {
    fn drop(&mut self) {
        let route = self.route.as_ref().map(MatchedPath::as_str);
        let milliseconds = self.begun.elapsed().as_millis() as u64;
        let facts = self.facts();
        let usage = facts.usage.unwrap_or_default();
        let outcome = match (facts.status, facts.generating, facts.finish) {
            (None, ..) => "the client left",
            (Some(200), true, None) => "not finished",
            _ => "answered",
        };
        let status = facts.status.unwrap_or(499);
        self.counters.count(&self.method, route, status);
        tracing::info!(
            request = %self.id,
            method = %self.method,
            path = %self.path,
            status,
            milliseconds,
            model = facts.model.as_deref().unwrap_or("-"),
            stream = facts.stream,
            prompt_tokens = usage.prompt_tokens,
            cached_tokens = usage.cached_tokens,
            completion_tokens = usage.completion_tokens,
            finish = facts.finish.map_or("-", finish_name),
            "{outcome}"
        );
    }
}

fn finish_name(finish: AnswerFinish) -> &'static str {
    match finish {
        AnswerFinish::Stop => "stop",
        AnswerFinish::Length => "length",
        AnswerFinish::ToolCalls => "tool_calls",
        AnswerFinish::Cancelled => "cancelled",
    }
}

/// What tracking needs: who answers, and where requests are counted.
#[derive(Clone)]
pub struct Tracking {
    pub workstation: Workstation,
    pub counters: Arc<HttpCounters>,
}

/// Middleware: gives every request its scope and its id header.
pub async fn track(State(tracking): State<Tracking>, mut request: Request, next: Next) -> Response {
    let id =
        client_id(&request).unwrap_or_else(|| format!("req-{}", uuid::Uuid::new_v4().simple()));
    let scope = Arc::new(RequestScope {
        id,
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        counters: tracking.counters,
        begun: Instant::now(),
        facts: Mutex::default(),
        _call: tracking.workstation.api_call(),
    });
    request.extensions_mut().insert(Arc::clone(&scope));
    let mut response = next.run(request).await;
    scope.facts().status = Some(response.status().as_u16());
    if let Ok(id) = HeaderValue::from_str(&scope.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The id that the client gave, if it can be repeated in headers and logs.
fn client_id(request: &Request) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let fine = !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(|c| c.is_ascii_graphic());
    fine.then(|| id.to_owned())
}
