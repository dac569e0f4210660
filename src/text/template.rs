//! A model's chat template: a conversation becomes the text of a prompt.
//!
//! Templates are Jinja as transformers runs it: blocks trimmed, `tojson`
//! without HTML escapes, Python's methods and spellings of constants, and the
//! functions `raise_exception` and `strftime_now`. Not responsible for tokens.

mod jinja;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use minijinja::{
    Environment, Error,
    value::{Serde, Value},
};
use serde_json::{Map, Value as Json, json};

use self::jinja::{environment, refusal, without_generation_blocks};
use super::{
    TextError,
    conversation::{Message, Role, ToolSpec},
    files::{malformed, read_json, read_text, token_text},
};

/// What a prompt is made from.
#[derive(Debug, Clone, Copy, Default)]
pub struct TemplateInput<'a> {
    pub messages: &'a [Message],
    pub tools: &'a [ToolSpec],
    /// The variable `enable_thinking`; undefined if `None`.
    pub thinking: Option<bool>,
    /// Whether the prompt ends where the assistant's answer begins.
    pub generation_prompt: bool,
    /// Further variables; they win over the usual ones.
    pub kwargs: Option<&'a Map<String, Json>>,
}

/// The chat templates of a model folder, compiled.
pub struct ChatTemplate {
    environment: Environment<'static>,
    path: PathBuf,
    source: String,
    /// bos_token, eos_token and the like, for the template to write.
    special_tokens: BTreeMap<String, String>,
    has_tool_template: bool,
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate")
            .field("path", &self.path)
            .field("special_tokens", &self.special_tokens)
            .finish_non_exhaustive()
    }
}

const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

impl ChatTemplate {
    /// The template of a model folder, from chat_template.jinja,
    /// chat_template.json or tokenizer_config.json, in this order; `None` for
    /// a base model without one.
    ///
    /// # Errors
    /// When a file is malformed or the template has a syntax error.
    pub fn load(folder: &Path) -> Result<Option<Self>, TextError> {
        let config_path = folder.join("tokenizer_config.json");
        let config = read_json(&config_path)?;
        let jinja_path = folder.join("chat_template.jinja");
        let json_path = folder.join("chat_template.json");
        let (path, templates) = if let Some(source) = read_text(&jinja_path)? {
            (jinja_path, vec![(DEFAULT.to_owned(), source)])
        } else {
            let separate = read_json(&json_path)?;
            match named_templates(&separate["chat_template"]) {
                Ok(templates) if !templates.is_empty() => (json_path, templates),
                Ok(_) => {
                    let templates = named_templates(&config["chat_template"])
                        .map_err(|reason| malformed(&config_path, reason))?;
                    (config_path, templates)
                }
                Err(reason) => return Err(malformed(&json_path, reason)),
            }
        };
        if templates.is_empty() {
            return Ok(None);
        }
        Self::compile(path, templates, special_tokens(folder, &config)?).map(Some)
    }

    /// A template from its source, with `special_tokens` such as `eos_token`.
    ///
    /// # Errors
    /// When it has a syntax error.
    pub fn from_source(
        source: &str,
        special_tokens: BTreeMap<String, String>,
    ) -> Result<Self, TextError> {
        let templates = vec![(DEFAULT.to_owned(), source.to_owned())];
        Self::compile(PathBuf::from("chat template"), templates, special_tokens)
    }

    fn compile(
        path: PathBuf,
        templates: Vec<(String, String)>,
        special_tokens: BTreeMap<String, String>,
    ) -> Result<Self, TextError> {
        let mut environment = environment().map_err(|error| unusable(&path, &error))?;
        let has_tool_template = templates.iter().any(|(name, _)| name == TOOL_USE);
        let source = templates
            .iter()
            .map(|(_, source)| source.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        let only = templates.len() == 1;
        for (name, source) in templates {
            let name = if only { DEFAULT.to_owned() } else { name };
            environment
                .add_template_owned(name, without_generation_blocks(&source))
                .map_err(|error| unusable(&path, &error))?;
        }
        Ok(Self {
            environment,
            path,
            source,
            special_tokens,
            has_tool_template: has_tool_template && !only,
        })
    }

    /// The prompt's text, special tokens written out.
    ///
    /// # Errors
    /// [`TextError::Refused`] when the template refuses the conversation,
    /// [`TextError::Template`] when it fails.
    pub fn render(&self, input: TemplateInput<'_>) -> Result<String, TextError> {
        let name = match self.has_tool_template && !input.tools.is_empty() {
            true => TOOL_USE,
            false => DEFAULT,
        };
        let template = self
            .environment
            .get_template(name)
            .map_err(|error| unusable(&self.path, &error))?;
        template
            .render(Value::from(Serde(self.variables(input))))
            .map_err(|error| match refusal(&error) {
                Some(reason) => TextError::Refused(reason),
                None => unusable(&self.path, &error),
            })
    }

    fn variables(&self, input: TemplateInput<'_>) -> Json {
        let mut variables = Map::new();
        for (name, text) in &self.special_tokens {
            variables.insert(name.clone(), json!(text));
        }
        let messages: Vec<Json> = input.messages.iter().map(message_json).collect();
        variables.insert("messages".into(), messages.into());
        let tools = match input.tools {
            [] => Json::Null,
            tools => tools.iter().map(tool_json).collect::<Vec<_>>().into(),
        };
        variables.insert("tools".into(), tools);
        variables.insert("documents".into(), Json::Null);
        variables.insert(
            "add_generation_prompt".into(),
            input.generation_prompt.into(),
        );
        if let Some(thinking) = input.thinking {
            variables.insert("enable_thinking".into(), thinking.into());
        }
        variables.extend(
            input
                .kwargs
                .into_iter()
                .flatten()
                .map(|(k, v)| (k.clone(), v.clone())),
        );
        variables.into()
    }

    /// The source, all named templates together.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the template knows a switch for thinking.
    pub fn has_thinking_switch(&self) -> bool {
        self.source.contains("enable_thinking")
    }
}

/// transformers' shape of a message. Absent parts are undefined, as templates
/// ask with `is defined`.
fn message_json(message: &Message) -> Json {
    let mut fields = Map::new();
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    fields.insert("role".into(), role.into());
    fields.insert("content".into(), message.content.clone().into());
    if let Some(reasoning) = &message.reasoning {
        fields.insert("reasoning_content".into(), reasoning.clone().into());
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            json!({"id": call.id, "type": "function",
                   "function": {"name": call.name, "arguments": call.arguments}})
        });
        fields.insert("tool_calls".into(), calls.collect::<Vec<_>>().into());
    }
    if let Some(id) = &message.tool_call_id {
        fields.insert("tool_call_id".into(), id.clone().into());
    }
    if let Some(name) = &message.name {
        fields.insert("name".into(), name.clone().into());
    }
    fields.into()
}

fn tool_json(tool: &ToolSpec) -> Json {
    let parameters = match &tool.parameters {
        Json::Null => json!({"type": "object", "properties": {}}),
        schema => schema.clone(),
    };
    json!({"type": "function",
           "function": {"name": tool.name, "description": tool.description,
                        "parameters": parameters}})
}

/// A template string, or a list of `{"name", "template"}`.
fn named_templates(value: &Json) -> Result<Vec<(String, String)>, String> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::String(source) => Ok(vec![(DEFAULT.to_owned(), source.clone())]),
        Json::Array(list) => list
            .iter()
            .map(
                |entry| match (entry["name"].as_str(), entry["template"].as_str()) {
                    (Some(name), Some(source)) => Ok((name.to_owned(), source.to_owned())),
                    _ => Err("each entry of `chat_template` needs `name` and `template`".into()),
                },
            )
            .collect(),
        _ => Err("`chat_template` must be a string or a list".into()),
    }
}

/// Every `*_token` of special_tokens_map.json and tokenizer_config.json.
fn special_tokens(folder: &Path, config: &Json) -> Result<BTreeMap<String, String>, TextError> {
    let map = read_json(&folder.join("special_tokens_map.json"))?;
    Ok([&map, config]
        .into_iter()
        .filter_map(Json::as_object)
        .flatten()
        .filter(|(name, _)| name.ends_with("_token"))
        .filter_map(|(name, value)| Some((name.clone(), token_text(value)?.to_owned())))
        .collect())
}

fn unusable(path: &Path, error: &Error) -> TextError {
    let line = error
        .line()
        .map_or(String::new(), |line| format!("line {line}: "));
    let detail = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    TextError::Template {
        path: path.to_owned(),
        reason: format!("{line}{detail}"),
    }
}

#[cfg(test)]
mod tests;
