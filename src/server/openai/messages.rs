//! Chat messages and tools of the OpenAI dialect, read into the one
//! conversation type.

use serde_json::{Value, json};

use super::{
    errors::ApiError,
    fields::{Fields, wrong_type},
};
use crate::workstation::{Message, Role, ToolCall, ToolSpec};

/// Reads `messages`.
pub fn messages(fields: &mut Fields) -> Result<Vec<Message>, ApiError> {
    let items = fields.array("messages")?;
    let items = fields.require("messages", items)?;
    if items.is_empty() {
        let message = "`messages` is empty; at least one message is needed.";
        return Err(ApiError::parameter("messages", message));
    }
    items
        .into_iter()
        .enumerate()
        .map(|(i, item)| message(&format!("messages[{i}]"), item))
        .collect()
}

fn message(path: &str, value: Value) -> Result<Message, ApiError> {
    let mut fields = Fields::of_value(path, value)?;
    let role = fields.string("role")?;
    let role = role_of(&fields.path("role"), &fields.require("role", role)?)?;
    let content = fields.value("content");
    let mut message = Message::new(role, String::new());
    message.name = fields.string("name")?;
    match role {
        Role::Assistant => {
            message.reasoning = match fields.string("reasoning_content")? {
                None => fields.string("reasoning")?,
                some => some,
            };
            message.tool_calls = tool_calls(&mut fields)?;
            // What a client got from an answer and sends back unchanged.
            fields.harmless(&["refusal", "annotations", "audio", "id", "function_call"]);
        }
        Role::Tool => {
            let id = fields.string("tool_call_id")?;
            message.tool_call_id = Some(fields.require("tool_call_id", id)?);
        }
        Role::System | Role::User => {}
    }
    message.content = match content {
        Some(content) => text(&fields.path("content"), content)?,
        None if role == Role::Assistant => String::new(),
        None => return fields.require("content", None),
    };
    fields.finish()?;
    Ok(message)
}

fn role_of(path: &str, role: &str) -> Result<Role, ApiError> {
    Ok(match role {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => {
            let message = format!(
                "`{path}` is {other:?}; it is one of system, developer, user, assistant and tool."
            );
            return Err(ApiError::parameter(path, message));
        }
    })
}

/// A string, or an array of text parts.
fn text(path: &str, content: Value) -> Result<String, ApiError> {
    let parts = match content {
        Value::String(text) => return Ok(text),
        Value::Array(parts) => parts,
        other => return Err(wrong_type(path, &other, "a string or an array of parts")),
    };
    let mut text = String::new();
    for (i, part) in parts.into_iter().enumerate() {
        let mut part = Fields::of_value(&format!("{path}[{i}]"), part)?;
        let kind = part.string("type")?;
        let kind = part.require("type", kind)?;
        if kind != "text" {
            let path = part.path("type");
            let message = format!("`{path}` is {kind:?}; Maquette reads parts of type \"text\".");
            return Err(ApiError::unsupported(path, message));
        }
        let piece = part.string("text")?;
        text += &part.require("text", piece)?;
        part.harmless(&["cache_control"]);
        part.finish()?;
    }
    Ok(text)
}

fn tool_calls(fields: &mut Fields) -> Result<Vec<ToolCall>, ApiError> {
    let path = fields.path("tool_calls");
    let items = fields.array("tool_calls")?.unwrap_or_default();
    items
        .into_iter()
        .enumerate()
        .map(|(i, item)| {
            let mut call = Fields::of_value(&format!("{path}[{i}]"), item)?;
            call.harmless(&["index"]);
            call.only(
                "type",
                &[json!("function")],
                "only functions can be called.",
            )?;
            let id = call.string("id")?.unwrap_or_default();
            let function = call.value("function");
            let function = call.require("function", function)?;
            let mut function = Fields::of_value(&call.path("function"), function)?;
            call.finish()?;
            let name = function.string("name")?;
            let name = function.require("name", name)?;
            let path = function.path("arguments");
            let arguments = arguments(&path, function.value("arguments"))?;
            function.finish()?;
            Ok(ToolCall {
                id,
                name,
                arguments,
            })
        })
        .collect()
}

/// The arguments of a call: JSON text of an object.
fn arguments(path: &str, value: Option<Value>) -> Result<Value, ApiError> {
    let parsed = match value {
        None => return Ok(json!({})),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(json!({})),
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|error| {
            ApiError::parameter(path, format!("`{path}` is not valid JSON: {error}."))
        })?,
        Some(other) => other,
    };
    match parsed {
        Value::Object(_) => Ok(parsed),
        other => Err(wrong_type(path, &other, "the JSON text of an object")),
    }
}

/// Reads `tools`, `tool_choice` and what goes with them. With the choice
/// "none" the model is not told of the tools.
pub fn tools(fields: &mut Fields) -> Result<Vec<ToolSpec>, ApiError> {
    let items = fields.array("tools")?.unwrap_or_default();
    let tools = items
        .into_iter()
        .enumerate()
        .map(|(i, item)| tool(&format!("tools[{i}]"), item))
        .collect::<Result<Vec<_>, _>>()?;
    fields.only(
        "parallel_tool_calls",
        &[json!(true)],
        "the number of calls cannot be limited; leave it out.",
    )?;
    for name in ["functions", "function_call"] {
        fields.only(
            name,
            &[],
            "this is the old form; use `tools` and `tool_choice`.",
        )?;
    }
    match fields.value("tool_choice") {
        None => Ok(tools),
        Some(Value::String(choice)) if choice == "auto" => Ok(tools),
        Some(Value::String(choice)) if choice == "none" => Ok(Vec::new()),
        Some(Value::String(choice)) if choice == "required" => Err(forced("\"required\"")),
        Some(Value::Object(_)) => Err(forced("a named tool")),
        Some(other) => Err(wrong_type("tool_choice", &other, "\"none\" or \"auto\"")),
    }
}

fn forced(choice: &str) -> ApiError {
    let message = format!(
        "`tool_choice` is {choice}: Maquette cannot force a call; use \"auto\" or \"none\"."
    );
    ApiError::unsupported("tool_choice", message)
}

fn tool(path: &str, value: Value) -> Result<ToolSpec, ApiError> {
    let mut tool = Fields::of_value(path, value)?;
    let kind = tool.string("type")?.unwrap_or_else(|| "function".into());
    if kind != "function" {
        let path = tool.path("type");
        let message = format!("`{path}` is {kind:?}; Maquette knows tools of type \"function\".");
        return Err(ApiError::unsupported(path, message));
    }
    let function = tool.value("function");
    let function = tool.require("function", function)?;
    let mut function = Fields::of_value(&tool.path("function"), function)?;
    tool.finish()?;
    let name = function.string("name")?;
    let name = function.require("name", name)?;
    let description = function.string("description")?.unwrap_or_default();
    let parameters = function.object("parameters")?;
    function.only(
        "strict",
        &[json!(false)],
        "arguments cannot be held to their schema; leave it out or send false.",
    )?;
    function.finish()?;
    Ok(ToolSpec {
        name,
        description,
        parameters: parameters.map_or_else(
            || json!({"type": "object", "properties": {}}),
            Value::Object,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::of_body(value.to_string().as_bytes()).unwrap()
    }

    fn read(value: Value) -> Result<Vec<Message>, ApiError> {
        messages(&mut fields(json!({"messages": value})))
    }

    #[test]
    fn a_whole_conversation_is_read() {
        let messages = read(json!([
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What "}, {"type": "text", "text": "now?"}]},
            {"role": "assistant", "content": null, "reasoning_content": "Hm.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
        ]))
        .unwrap();
        assert_eq!(messages[0].role, Role::System);
        assert_eq!(messages[1].content, "What now?");
        assert_eq!(messages[2].reasoning.as_deref(), Some("Hm."));
        assert_eq!(messages[2].tool_calls[0].arguments, json!({"a": 1}));
        assert_eq!(messages[3].tool_call_id.as_deref(), Some("c1"));
    }

    #[test]
    fn refusals_say_where() {
        let image = json!([{"type": "image_url", "image_url": {"url": "x"}}]);
        let call = |arguments: &str| {
            json!([{"role": "assistant", "tool_calls": [
                {"id": "c", "function": {"name": "f", "arguments": arguments}}]}])
        };
        let cases = [
            (json!([]), "messages"),
            (json!("x"), "messages"),
            (json!(["x"]), "messages[0]"),
            (json!([{"content": "x"}]), "messages[0].role"),
            (
                json!([{"role": "robot", "content": "x"}]),
                "messages[0].role",
            ),
            (json!([{"role": "user"}]), "messages[0].content"),
            (
                json!([{"role": "user", "content": 3}]),
                "messages[0].content",
            ),
            (
                json!([{"role": "user", "content": image}]),
                "messages[0].content[0].type",
            ),
            (
                json!([{"role": "user", "content": "x", "colour": 1}]),
                "messages[0].colour",
            ),
            (
                json!([{"role": "tool", "content": "x"}]),
                "messages[0].tool_call_id",
            ),
            (call("{"), "messages[0].tool_calls[0].function.arguments"),
            (call("[1]"), "messages[0].tool_calls[0].function.arguments"),
        ];
        for (body, path) in cases {
            let error = read(body.clone()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(path), "{body}");
            assert!(error.message.contains(path), "{}", error.message);
        }
    }

    #[test]
    fn the_choice_of_tools_is_kept_or_refused() {
        let offered = json!([{"type": "function", "function": {"name": "f"}}]);
        let with = |choice: Value| {
            tools(&mut fields(
                json!({"tools": offered, "tool_choice": choice}),
            ))
        };
        assert_eq!(with(json!("auto")).unwrap().len(), 1);
        assert_eq!(with(json!("none")).unwrap().len(), 0);
        for choice in [
            json!("required"),
            json!({"type": "function", "function": {"name": "f"}}),
            json!(3),
        ] {
            let error = with(choice).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("tool_choice"));
        }
        let strict =
            json!({"tools": [{"type": "function", "function": {"name": "f", "strict": true}}]});
        let error = tools(&mut fields(strict)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tools[0].function.strict"));
    }
}
