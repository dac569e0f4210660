//! The table of settings: key, kind, built-in value, meaning. Checking, help
//! and documentation all read it.

use toml_edit::Value;

/// One setting, documented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SettingDoc {
    /// Dotted, such as `api.port`.
    pub key: &'static str,
    pub kind: Kind,
    /// The built-in value as text.
    pub default: &'static str,
    pub doc: &'static str,
}

/// What a setting may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    Bool,
    /// A whole number from the first to the second, both allowed.
    Integer(i64, i64),
    /// A number from the first to the second, both allowed.
    Number(f64, f64),
    OneOf(&'static [&'static str]),
    /// Bytes as a whole number, or a text such as "12 GB".
    Bytes,
    /// The same, or 0.
    BytesOrZero,
    Folders,
}

const fn doc(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> SettingDoc {
    SettingDoc {
        key,
        kind,
        default,
        doc,
    }
}

/// Tokens that a context may be limited to.
const MOST_TOKENS: i64 = 1 << 24;

pub(super) const TABLE: &[SettingDoc] = &[
    doc("theme", Kind::Text, "default", "The theme's name."),
    doc("keymap", Kind::Text, "default", "The key map's name."),
    doc(
        "api.host",
        Kind::Text,
        "127.0.0.1",
        "The address the API listens on; 0.0.0.0 lets other machines in.",
    ),
    doc(
        "api.port",
        Kind::Integer(0, 65535),
        "8421",
        "The API's port; 0 takes any free one.",
    ),
    doc(
        "api.api_key",
        Kind::Text,
        "none",
        "A key that clients of the API must send; without one, anyone who reaches the port is served.",
    ),
    doc(
        "chat.system_prompt",
        Kind::Text,
        "empty",
        "The system prompt of a new chat.",
    ),
    doc(
        "chat.temperature",
        Kind::Number(0.0, 2.0),
        "the model's",
        "How freely the next token is chosen; 0 always takes the likeliest.",
    ),
    doc(
        "chat.top_p",
        Kind::Number(0.0, 1.0),
        "the model's",
        "The share of probability that tokens are chosen from.",
    ),
    doc(
        "chat.max_tokens",
        Kind::Integer(1, MOST_TOKENS),
        "what the context holds",
        "Tokens in an answer at most.",
    ),
    doc(
        "chat.thinking",
        Kind::Bool,
        "the model's",
        "Whether models that can think do so before they answer.",
    ),
    doc(
        "chat.overflow",
        Kind::OneOf(&["ask", "refuse", "drop", "slide"]),
        "ask",
        "What to do with a chat that outgrows the context: ask, refuse it, drop the oldest turns, or slide to the newest ones, which leaves a quarter of the context free; the system prompt and pinned messages stay.",
    ),
    doc(
        "engine.max_sequences",
        Kind::Integer(1, 1024),
        "64",
        "Requests computed at the same time; further ones wait in the queue.",
    ),
    doc(
        "engine.queue_limit",
        Kind::Integer(1, 65536),
        "256",
        "Requests that may wait; one more is refused with status 503 and asked to come again.",
    ),
    doc(
        "engine.prefill_chunk",
        Kind::Integer(16, 65536),
        "512 on the CPU, 2048 on a GPU",
        "Prompt tokens computed in one step; fewer answer other requests sooner, more finish this one sooner.",
    ),
    doc(
        "engine.step_tokens",
        Kind::Integer(16, 65536),
        "a chunk and a token of every sequence",
        "Tokens of prompts and answers computed in one step; running answers come first.",
    ),
    doc(
        "engine.deterministic",
        Kind::Bool,
        "false",
        "Give the same text for the same seed whatever else runs; requests are then computed one by one and no prompt is reused, which costs most of the speed of many at once.",
    ),
    doc(
        "engine.context_limit",
        Kind::Integer(64, MOST_TOKENS),
        "the model's",
        "Tokens of context at most.",
    ),
    doc(
        "engine.memory_limit",
        Kind::Bytes,
        "what the device has",
        "Memory the engine may use, in bytes or such as \"12 GB\".",
    ),
    doc(
        "engine.speculation",
        Kind::OneOf(&["off", "lookup", "draft", "auto"]),
        "lookup",
        "Where tokens come from that are proposed ahead of the model and checked together, as long as that is faster: off, what followed earlier in the text, a draft model, or both. Answers do not change.",
    ),
    doc(
        "engine.draft_model",
        Kind::Text,
        "none",
        "A smaller model with the same tokenizer that proposes tokens, by its id or folder.",
    ),
    doc(
        "engine.draft_tokens",
        Kind::Integer(1, 32),
        "8",
        "Tokens proposed at once at most; fewer where more do not pay.",
    ),
    doc(
        "cache.memory_limit",
        Kind::Bytes,
        "a quarter of what the model leaves, at most 2 GiB on a CPU or a Mac",
        "Memory that keys and values of ended requests may fill, in bytes or such as \"2 GB\".",
    ),
    doc(
        "cache.ram_limit",
        Kind::BytesOrZero,
        "a quarter of the machine's memory beside an NVIDIA GPU, else 0",
        "Memory of the machine that keys and values may fill when the GPU's has no more room for them, in bytes or such as \"16 GB\"; 0 is none.",
    ),
    doc(
        "cache.disk",
        Kind::Bool,
        "true",
        "Whether keys and values are stored in the cache folder, where the next start finds them.",
    ),
    doc(
        "cache.disk_limit",
        Kind::Bytes,
        "10000000000",
        "What they may fill on the disk, in bytes or such as \"10 GB\".",
    ),
    doc(
        "cache.disk_kv_mode",
        Kind::OneOf(KV_MODES),
        "plain",
        "How keys and values that are plain in memory are kept on the disk, in the ways of `cache.kv_mode`; they are unpacked when they are read. Those that are packed in memory are stored as they are, and so are those of models that break.",
    ),
    doc(
        "cache.kv_mode",
        Kind::OneOf(KV_MODES),
        "plain",
        "How keys and values are kept once a page of them is full: as computed (32 bits a number on a CPU, 16 on a GPU), in 16 bits, in 8 or 4 bits between the least and the greatest of each group, or by TurboQuant in 2 to 4 bits. Fewer bits hold longer chats and are less exact; models that break keep them plain.",
    ),
    doc(
        "library.folders",
        Kind::Folders,
        "none",
        "Further folders with models.",
    ),
    doc(
        "log.level",
        Kind::OneOf(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "How much is logged.",
    ),
];

/// The settings of one model, in a section `[models."NAME"]`.
pub(super) const MODEL_TABLE: &[SettingDoc] = &[doc(
    "kv_mode",
    Kind::OneOf(KV_MODES),
    "that of `cache.kv_mode`",
    "How keys and values of the model with this id, or with this last part of its id, are kept.",
)];

/// The ways in which keys and values can be kept.
pub const KV_MODES: &[&str] = &[
    "plain",
    "half",
    "affine-8",
    "affine-4",
    "turbo-4",
    "turbo-3",
    "turbo-2",
    "turbo-4-qjl",
    "turbo-3-qjl",
    "turbo-2-qjl",
];

impl SettingDoc {
    pub(super) fn find(key: &str) -> Option<&'static SettingDoc> {
        TABLE.iter().find(|doc| doc.key == key)
    }

    /// The setting of a model with this name.
    pub(super) fn of_model(name: &str) -> Option<&'static SettingDoc> {
        MODEL_TABLE.iter().find(|doc| doc.key == name)
    }
}

impl Kind {
    /// What this kind allows, to finish a sentence with.
    pub fn allowed(&self) -> String {
        match self {
            Self::Text => "a text in quotes is expected.".into(),
            Self::Bool => "true or false is expected.".into(),
            Self::Integer(low, high) => {
                format!("a whole number from {low} to {high} is expected.")
            }
            Self::Number(low, high) => format!("a number from {low} to {high} is expected."),
            Self::OneOf(names) => format!("one of {} is expected.", names.join(", ")),
            Self::Bytes => {
                "bytes as a whole number, or a text such as \"12 GB\", is expected.".into()
            }
            Self::BytesOrZero => {
                "bytes as a whole number, or a text such as \"12 GB\", or 0 is expected.".into()
            }
            Self::Folders => "a list of folders in quotes is expected.".into(),
        }
    }

    /// The value in the form that [`super::Settings`] reads, or `None` when it
    /// is not allowed.
    pub(super) fn accept(&self, value: &Value) -> Option<Value> {
        match self {
            Self::Text => value.as_str().map(Value::from),
            Self::Bool => value.as_bool().map(Value::from),
            Self::Integer(low, high) => {
                let number = value.as_integer()?;
                (*low..=*high).contains(&number).then(|| number.into())
            }
            Self::Number(low, high) => {
                let number = number(value)?;
                (*low..=*high).contains(&number).then(|| number.into())
            }
            Self::OneOf(names) => {
                let name = value.as_str()?;
                names.contains(&name).then(|| name.into())
            }
            Self::Bytes => match value.as_str() {
                Some(text) => parse_bytes(text).map(Value::from),
                None => value.as_integer().filter(|n| *n > 0).map(Value::from),
            },
            Self::BytesOrZero => match value.as_integer() {
                Some(0) => Some(0.into()),
                _ => Self::Bytes.accept(value),
            },
            Self::Folders => {
                let folders = value.as_array()?;
                let folders: Option<toml_edit::Array> =
                    folders.iter().map(|folder| folder.as_str()).collect();
                folders.map(Value::from)
            }
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value
        .as_float()
        .or_else(|| value.as_integer().map(|n| n as f64))
}

/// "12 GB" and the like, decimal (kB, MB, GB, TB) or binary (KiB, MiB, GiB, TiB).
fn parse_bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024f64.powi(2),
        "gib" => 1024f64.powi(3),
        "tib" => 1024f64.powi(4),
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    (bytes >= 1.0 && bytes < i64::MAX as f64).then_some(bytes as i64)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
