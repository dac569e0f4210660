//! The tracing layer that fills the ring.

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    record::printable,
    ring::{LogRing, Rest},
};

/// The field that names a request, on an event or on a span around it.
const REQUEST: &str = "request";

/// The field that names a tool server: it becomes part of the target, such as
/// `mcp::clock`, so that each can be filtered for.
const SERVER: &str = "server";

/// Copies every event to the ring.
pub(super) struct RingLayer {
    pub ring: LogRing,
}

/// Kept with a span that names a request.
struct SpanRequest(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RingLayer {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        remember(id, fields, &context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        remember(id, fields, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let request = fields.request.or_else(|| {
            context.event_scope(event)?.find_map(|span| {
                let extensions = span.extensions();
                extensions.get::<SpanRequest>().map(|it| it.0.clone())
            })
        });
        let target = match fields.server {
            Some(server) => format!("{}::{server}", event.metadata().target()),
            None => event.metadata().target().to_owned(),
        };
        let rest = Rest {
            fields: fields.others,
            request,
        };
        self.ring
            .push(*event.metadata().level(), &target, fields.message, rest);
    }
}

fn remember<S: Subscriber + for<'a> LookupSpan<'a>>(
    id: &span::Id,
    fields: Fields,
    context: &Context<'_, S>,
) {
    if let (Some(request), Some(span)) = (fields.request, context.span(id)) {
        span.extensions_mut().replace(SpanRequest(request));
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    request: Option<String>,
    server: Option<String>,
    others: Vec<(String, String)>,
}

impl Fields {
    fn put(&mut self, name: &str, value: String) {
        match name {
            "message" => self.message = printable(&value),
            REQUEST => self.request = Some(printable(&value)),
            SERVER => self.server = Some(printable(&value)),
            name => self.others.push((name.to_owned(), printable(&value))),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field.name(), value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{info, info_span, subscriber::with_default, warn};
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    fn recorded(work: impl FnOnce()) -> Vec<std::sync::Arc<super::super::LogRecord>> {
        let ring = LogRing::default();
        let layer = RingLayer { ring: ring.clone() };
        with_default(Registry::default().with(layer), work);
        ring.snapshot()
    }

    #[test]
    fn an_event_keeps_its_parts() {
        let records = recorded(|| warn!(target: "here", bytes = 12, name = "x", "it is {}", "odd"));
        assert_eq!(records.len(), 1);
        let record = &records[0];
        assert_eq!(record.level, tracing::Level::WARN);
        assert_eq!(record.target, "here");
        assert_eq!(record.message, "it is odd");
        let fields = [("bytes".into(), "12".into()), ("name".into(), "x".into())];
        assert_eq!(record.fields, fields);
        assert_eq!(record.request, None);
    }

    #[test]
    fn a_tool_server_is_part_of_the_target() {
        let records = recorded(|| info!(target: "mcp", server = "clock", "ready"));
        assert_eq!(records[0].target, "mcp::clock");
        assert!(records[0].fields.is_empty());
    }

    #[test]
    fn the_request_comes_from_the_event_or_the_nearest_span() {
        let records = recorded(|| {
            let outer = info_span!("http", request = "r1").entered();
            info!("outer");
            info_span!("step").in_scope(|| info!("through a span without one"));
            info!(request = "r9", "own");
            drop(outer);
            let late = info_span!("late", request = tracing::field::Empty);
            late.record("request", tracing::field::display("r2"));
            late.in_scope(|| info!("late"));
            info!("none");
        });
        let requests: Vec<_> = records.iter().map(|r| r.request.as_deref()).collect();
        let expected = [Some("r1"), Some("r1"), Some("r9"), Some("r2"), None];
        assert_eq!(requests, expected);
    }
}
