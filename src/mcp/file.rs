//! Reads `mcp.json`: the same shape as in other programs.
//!
//! `{"mcpServers": {"name": {"command", "args", "env", "cwd", "disabled"}}}`
//!
//! A file that is not JSON is one problem; a server that is not described
//! properly is a problem of its own and leaves the others working.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde_json::{Map, Value};

use super::locate::locate;
use crate::config::{Problem, nearest};

/// How to start a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerSpec {
    pub name: String,
    pub command: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub cwd: Option<String>,
    pub disabled: bool,
}

impl ServerSpec {
    /// Command and arguments as one line to show.
    pub fn line(&self) -> String {
        let quoted = |text: &String| match text.contains(char::is_whitespace) || text.is_empty() {
            true => format!("{text:?}"),
            false => text.clone(),
        };
        let words = std::iter::once(&self.command).chain(&self.args);
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// What the file says: servers in its order, each usable or with its problem.
#[derive(Debug, Default, PartialEq)]
pub(super) struct McpFile {
    pub servers: Vec<(String, Result<ServerSpec, Problem>)>,
    /// What is wrong with the file as a whole.
    pub problem: Option<Problem>,
}

const KEYS: [&str; 5] = ["command", "args", "env", "cwd", "disabled"];

/// Reads the file; a missing one has no servers.
pub(super) fn read(path: &Path) -> McpFile {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => McpFile::default(),
        Err(error) => broken(Problem::new(
            path,
            format!("the file could not be read: {error}."),
        )),
    }
}

/// Everything that is wrong with the file.
pub fn problems(path: &Path) -> Vec<Problem> {
    let file = read(path);
    let servers = file.servers.into_iter();
    let of_servers = servers.filter_map(|(_, server)| server.err());
    file.problem.into_iter().chain(of_servers).collect()
}

fn broken(problem: Problem) -> McpFile {
    McpFile {
        servers: Vec::new(),
        problem: Some(problem),
    }
}

fn parse(path: &Path, text: &str) -> McpFile {
    if text.trim().is_empty() {
        return McpFile::default();
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            let message = format!("this is not JSON: {reason}.");
            return broken(Problem::new(path, message).at(error.line(), error.column()));
        }
    };
    let file = Source { path, text };
    let Some(top) = value.as_object() else {
        let message = "an object with the key `mcpServers` is expected.";
        return broken(Problem::new(path, message).at(1, 1));
    };
    match top.get("mcpServers") {
        Some(Value::Object(servers)) => McpFile {
            servers: servers
                .iter()
                .map(|(name, entry)| (name.clone(), file.server(name, entry)))
                .collect(),
            problem: None,
        },
        Some(other) => broken(file.problem(
            &["mcpServers"],
            format!(
                "{} was found where an object from names to servers is expected.",
                kind(other)
            ),
        )),
        None if top.is_empty() => McpFile::default(),
        None => {
            let found: Vec<_> = top.keys().map(|key| format!("`{key}`")).collect();
            broken(file.problem(
                &[],
                format!(
                    "the key `mcpServers` is missing; there is {}.",
                    found.join(", ")
                ),
            ))
        }
    }
}

struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn problem(&self, keys: &[&str], message: String) -> Problem {
        let problem = Problem::new(self.path, message);
        if keys.is_empty() {
            return problem;
        }
        let span = locate(self.text, keys).map(|at| at..at);
        problem.key(keys.join(".")).span(self.text, span)
    }

    fn server(&self, name: &str, entry: &Value) -> Result<ServerSpec, Problem> {
        let at = ["mcpServers", name];
        let Some(entry) = entry.as_object() else {
            let message = format!("{} was found where an object is expected.", kind(entry));
            return Err(self.problem(&at, message));
        };
        Ok(ServerSpec {
            name: name.to_owned(),
            command: self.command(name, entry)?,
            args: self.strings(name, entry)?,
            env: self.env(name, entry)?,
            cwd: self.text(name, entry, "cwd")?,
            disabled: self.flag(name, entry)?,
        })
    }

    fn command(&self, name: &str, entry: &Map<String, Value>) -> Result<String, Problem> {
        if let Some(command) = self.text(name, entry, "command")? {
            if !command.trim().is_empty() {
                return Ok(command);
            }
            let message = "the command is empty.".to_owned();
            return Err(self.problem(&["mcpServers", name, "command"], message));
        }
        let unknown = entry.keys().filter(|key| !KEYS.contains(&key.as_str()));
        let meant = unknown
            .clone()
            .find(|key| nearest(key, ["command"]).is_some());
        let message = match (meant, entry.contains_key("url")) {
            (Some(key), _) => format!("`command` is missing. Is `{key}` meant to be it?"),
            (None, true) => {
                "only servers that are started by a `command` are supported, not those with a `url`."
                    .to_owned()
            }
            (None, false) => "`command` is missing: the program that is the server.".to_owned(),
        };
        Err(self.problem(&["mcpServers", name], message))
    }

    fn text(
        &self,
        name: &str,
        entry: &Map<String, Value>,
        key: &str,
    ) -> Result<Option<String>, Problem> {
        match entry.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(name, key, other, "a text")),
        }
    }

    fn strings(&self, name: &str, entry: &Map<String, Value>) -> Result<Vec<String>, Problem> {
        let wrong = |value| self.wrong(name, "args", value, "a list of texts");
        match entry.get("args") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(list @ Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong(list)),
            Some(other) => Err(wrong(other)),
        }
    }

    fn env(
        &self,
        name: &str,
        entry: &Map<String, Value>,
    ) -> Result<BTreeMap<String, String>, Problem> {
        let wrong = |value| self.wrong(name, "env", value, "an object of texts");
        match entry.get("env") {
            None | Some(Value::Null) => Ok(BTreeMap::new()),
            Some(object @ Value::Object(items)) => items
                .iter()
                .map(|(name, item)| Some((name.clone(), item.as_str()?.to_owned())))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong(object)),
            Some(other) => Err(wrong(other)),
        }
    }

    fn flag(&self, name: &str, entry: &Map<String, Value>) -> Result<bool, Problem> {
        match entry.get("disabled") {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, "disabled", other, "true or false")),
        }
    }

    fn wrong(&self, name: &str, key: &str, found: &Value, expected: &str) -> Problem {
        let message = format!("{} was found where {expected} is expected.", kind(found));
        self.problem(&["mcpServers", name, key], message)
    }
}

/// A value by its kind, and shown when it is short.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.len() <= 40 => format!("the text {text:?}"),
        Value::String(_) => "a text".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> McpFile {
        parse(Path::new("mcp.json"), text)
    }

    fn problem(text: &str) -> String {
        let file = parsed(text);
        let own = file
            .servers
            .into_iter()
            .find_map(|(_, server)| server.err());
        file.problem.or(own).expect("a problem").to_string()
    }

    #[test]
    fn servers_are_read_in_their_order() {
        let file = parsed(
            r#"{"mcpServers": {
                "zeta": {"command": "z", "args": ["-v", "two words"], "env": {"A": "1"}, "cwd": "/tmp"},
                "alpha": {"command": "a", "disabled": true, "autoApprove": []}
            }, "other": 1}"#,
        );
        assert_eq!(file.problem, None);
        let zeta = file.servers[0].1.as_ref().unwrap();
        assert_eq!(zeta.line(), "z -v \"two words\"");
        assert_eq!(zeta.env["A"], "1");
        assert_eq!(zeta.cwd.as_deref(), Some("/tmp"));
        let alpha = file.servers[1].1.as_ref().unwrap();
        assert!(alpha.disabled && alpha.args.is_empty());
        assert_eq!(parsed("").servers, []);
        assert_eq!(parsed("{}").servers, []);
    }

    #[test]
    fn one_bad_server_leaves_the_others() {
        let file = parsed(
            "{\"mcpServers\": {\n \"bad\": {\n  \"command\": \"x\",\n  \"args\": \"-v\"},\n \"good\": {\"command\": \"y\"}}}",
        );
        assert!(file.servers[1].1.is_ok());
        let bad = file.servers[0].1.as_ref().unwrap_err().to_string();
        let expected = "mcp.json:4:3: mcpServers.bad.args: the text \"-v\" was found where a list of texts is expected.";
        assert_eq!(bad, expected);
    }

    #[test]
    fn problems_name_line_and_key() {
        let syntax = problem("{\n \"mcpServers\": {\n  \"a\": {\"command\": \"x\",}\n }\n}");
        assert!(syntax.starts_with("mcp.json:3:"), "{syntax}");
        assert!(
            syntax.contains("this is not JSON: trailing comma"),
            "{syntax}"
        );
        let cases = [
            ("[]", "mcp.json:1:1: an object with the key `mcpServers`"),
            (
                "{\"servers\": {}}",
                "`mcpServers` is missing; there is `servers`",
            ),
            (
                "{\"mcpServers\": []}",
                "mcp.json:1:2: mcpServers: a list was found",
            ),
            (
                "{\"mcpServers\": {\"a\": 1}}",
                "mcpServers.a: the number 1 was found",
            ),
            (
                "{\"mcpServers\": {\"a\": {\"comand\": \"x\"}}}",
                "Is `comand` meant to be it?",
            ),
            (
                "{\"mcpServers\": {\"a\": {\"url\": \"x\"}}}",
                "not those with a `url`",
            ),
            (
                "{\"mcpServers\": {\"a\": {}}}",
                "`command` is missing: the program",
            ),
            (
                "{\"mcpServers\": {\"a\": {\"command\": \" \"}}}",
                "the command is empty",
            ),
            (
                "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"env\": {\"P\": 1}}}}",
                "mcpServers.a.env: an object",
            ),
            (
                "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"disabled\": \"no\"}}}",
                "true or false is expected",
            ),
        ];
        for (text, expected) in cases {
            let found = problem(text);
            assert!(found.contains(expected), "{found}\n  lacks {expected}");
        }
    }
}
