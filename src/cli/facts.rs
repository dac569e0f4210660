//! `maquette facts`: what the program knows of itself, from its own tables, as
//! JSON. The documentation and the guide's training text are made from it.

use clap::CommandFactory;
use serde_json::{Value, json};

use super::{
    args::Cli,
    output::{self, CliError},
};
use crate::{
    config::{Paths, SettingDoc, Settings},
    models::{self, ModelError},
    server::ENDPOINTS,
    tui::{action::ACTIONS, pane::PaneId},
    workstation::{EngineError, WorkstationError},
};

/// Prints the facts.
pub fn run() -> Result<(), CliError> {
    output::json(&json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "panes": panes(),
        "actions": actions(),
        "commands": commands(),
        "endpoints": endpoints(),
        "folders": folders()?,
        "settings": settings(),
        "families": models::families::supported().collect::<Vec<_>>(),
        "quantisation": {"bits": models::weights::BITS, "groups": models::weights::GROUPS},
        "errors": errors(),
    }))
}

fn panes() -> Value {
    let pane =
        |pane: &PaneId| json!({"number": pane.number(), "name": pane.title(), "doc": pane.doc()});
    PaneId::ALL.iter().map(pane).collect()
}

fn actions() -> Value {
    let actions = ACTIONS.iter().map(|action| {
        json!({
            "name": action.name,
            "doc": action.doc,
            "context": action.context.name(),
            "keys": action.keys,
        })
    });
    actions.collect()
}

fn commands() -> Value {
    let mut root = Cli::command();
    root.build();
    let screen = json!({
        "name": "", "doc": "Open the workstation", "usage": "maquette", "options": [],
    });
    let others = root
        .get_subcommands()
        .filter(|command| shown(command))
        .flat_map(|parent| {
            let mut children = parent
                .get_subcommands()
                .filter(|child| shown(child))
                .peekable();
            match children.peek() {
                None => vec![command(parent.get_name(), parent)],
                Some(_) => children
                    .map(|child| {
                        command(
                            &format!("{} {}", parent.get_name(), child.get_name()),
                            child,
                        )
                    })
                    .collect(),
            }
        });
    std::iter::once(screen).chain(others).collect()
}

fn shown(command: &clap::Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

fn command(name: &str, command: &clap::Command) -> Value {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let options = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !argument.is_positional())
        .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        .map(option);
    json!({
        "name": name,
        "doc": command.get_about().map(ToString::to_string),
        "usage": usage,
        "options": options.collect::<Vec<_>>(),
    })
}

fn option(argument: &clap::Arg) -> Value {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<_> = [short, long].into_iter().flatten().collect();
    let takes_value = argument.get_action().takes_values();
    let value = argument.get_value_names().filter(|_| takes_value);
    let value = value
        .and_then(|names| names.first())
        .map(|name| name.as_str());
    json!({
        "flag": flags.join(", "),
        "value": value.unwrap_or(""),
        "doc": argument.get_help().map(ToString::to_string),
    })
}

fn endpoints() -> Value {
    let endpoints = ENDPOINTS.iter().map(
        |endpoint| json!({"method": endpoint.method, "path": endpoint.path, "doc": endpoint.doc}),
    );
    endpoints.collect()
}

/// The folders, with the home folder as `~`.
fn folders() -> Result<Value, CliError> {
    let paths = Paths::discover()?;
    let home = std::env::home_dir();
    let shown = |path: &std::path::Path| match home
        .as_ref()
        .and_then(|home| path.strip_prefix(home).ok())
    {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    };
    let folder =
        |name: &str, path, doc: &str| json!({"name": name, "path": shown(path), "doc": doc});
    Ok(json!([
        folder(
            "config",
            &paths.config,
            "settings.toml, mcp.json, themes and keymaps"
        ),
        folder("data", &paths.data, "Models, chats and logs"),
        folder("cache", &paths.cache, "Files that can be made again"),
    ]))
}

fn settings() -> Value {
    let shown = |key: &str, setting: &SettingDoc| json!({"key": key, "default": setting.default, "doc": setting.doc});
    let settings = Settings::table().iter();
    let of_models = Settings::model_table().iter();
    let of_models = of_models.map(|it| shown(&format!("models.\"NAME\".{}", it.key), it));
    let settings = settings.map(|setting| shown(setting.key, setting));
    settings.chain(of_models).collect()
}

/// Messages that users meet, taken apart into what happened and what to do.
fn errors() -> Value {
    let messages = [
        EngineError::NoModel.to_string(),
        EngineError::PromptTooLong {
            prompt: 9000,
            context: 4096,
        }
        .to_string(),
        EngineError::QueueFull { waiting: 64 }.to_string(),
        EngineError::OutOfMemory {
            what: "weights".to_owned(),
            needed: 9 << 30,
            available: 6 << 30,
            limit: 8 << 30,
        }
        .to_string(),
        WorkstationError::UnknownModel("NAME".to_owned()).to_string(),
        ModelError::UnknownFamily {
            path: "config.json".into(),
            family: "NAME".to_owned(),
            supported: models::families::supported().collect::<Vec<_>>().join(", "),
            nearest: String::new(),
        }
        .to_string(),
        ModelError::Truncated {
            path: "model.safetensors".into(),
            found: 10,
            expected: 20,
        }
        .to_string(),
        crate::server::port_in_use("127.0.0.1", 8421),
    ];
    let taken_apart = messages.iter().map(|message| {
        let (what, remedy) = message.split_once(". ").unwrap_or((message, ""));
        json!({"message": what, "remedy": remedy})
    });
    taken_apart.collect()
}
