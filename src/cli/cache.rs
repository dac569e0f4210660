//! `maquette cache`: the keys and values on the disk.
//!
//! `stats` and `clear` need no model and may be used beside a running program.

use std::{
    io::{Read, stdin},
    path::Path,
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;

use super::{
    args::{CacheCommand, WarmArgs},
    output::{self, CliError},
    start::{Started, headless, load, with_workstation},
    table,
};
use crate::workstation::{
    AnswerEvent, AnswerStream, ChatRequest, CompletionRequest, DiskCounters, GenerationOptions,
    Message, ModelUsage, Prompt, Role, ToolSpec, Usage, Workstation, clear_cache, stored_models,
};

pub async fn run(command: CacheCommand) -> Result<(), CliError> {
    let started = headless(None)?;
    match command {
        CacheCommand::Stats { json } => stats(&started, json),
        CacheCommand::Clear { model } => clear(&started, model.as_deref()),
        CacheCommand::Warm(args) => {
            if !started.settings.cache.disk {
                return Err(CliError::Failed(
                    "nothing is stored: `cache.disk` is false in settings.toml.".to_owned(),
                ));
            }
            let prompts = read_prompts(&args.file)?;
            with_workstation(started, async |workstation| {
                warm(workstation, &args, prompts).await
            })
            .await
        }
    }
}

fn stats(started: &Started, json: bool) -> Result<(), CliError> {
    let models = stored_models(&started.paths)?;
    let limit = started.settings.cache.disk_limit;
    let bytes: u64 = models.iter().map(|model| model.bytes).sum();
    if json {
        let model = |model: &ModelUsage| {
            json!({
                "id": model.id,
                "key": model.key,
                "pages": model.pages,
                "bytes": model.bytes,
                "oldest_seconds": age(model).map(|age| age.as_secs()),
            })
        };
        return output::json(&json!({
            "folder": started.paths.kv_pages,
            "writing": started.settings.cache.disk,
            "limit": limit,
            "bytes": bytes,
            "models": models.iter().map(model).collect::<Vec<_>>(),
        }));
    }
    let head = ["MODEL", "PAGES", "SIZE", "OLDEST", "KEY"];
    let row = |model: &ModelUsage| {
        let id = if model.id.is_empty() { "-" } else { &model.id };
        vec![
            id.to_owned(),
            model.pages.to_string(),
            table::bytes(model.bytes),
            age(model).map_or("-".to_owned(), words),
            model.key.clone(),
        ]
    };
    let rows: Vec<_> = models.iter().map(row).collect();
    for line in table::lines(&head, &rows, &[1, 2, 3]) {
        output::line(line)?;
    }
    output::line(format_args!(
        "{} of {} in {}",
        table::bytes(bytes),
        table::bytes(limit),
        started.paths.kv_pages.display()
    ))
}

fn age(model: &ModelUsage) -> Option<Duration> {
    model.oldest.and_then(|used| used.elapsed().ok())
}

fn words(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86400 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86400),
    }
}

fn clear(started: &Started, model: Option<&str>) -> Result<(), CliError> {
    let swept = clear_cache(&started.paths, model)?;
    output::line(format_args!(
        "{} pages removed, {}",
        swept.pages,
        table::bytes(swept.bytes)
    ))
}

/// A line of the file: a question in plain text, or one of these as JSON.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
enum Warm {
    Chat {
        messages: Vec<Message>,
        #[serde(default)]
        tools: Vec<ToolSpec>,
    },
    /// To continue as it is, without the chat template.
    Text { prompt: String },
}

fn read_prompts(file: &Path) -> Result<Vec<Warm>, CliError> {
    let mut text = String::new();
    if file == Path::new("-") {
        stdin().lock().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file)
            .map_err(|error| CliError::Failed(format!("{}: {error}", file.display())))?;
    }
    parse(&text).map_err(|problem| CliError::Failed(format!("{}: {problem}", file.display())))
}

fn parse(text: &str) -> Result<Vec<Warm>, String> {
    let mut prompts = Vec::new();
    let lines = text.lines().enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        prompts.push(match line.trim_start().starts_with('{') {
            false => Warm::Chat {
                messages: vec![Message::new(Role::User, line.trim())],
                tools: Vec::new(),
            },
            true => serde_json::from_str(line).map_err(|_| {
                format!(
                    "line {} is not a prompt. Write a question, or JSON such as {} or {}.",
                    number + 1,
                    r#"{"messages": [{"role": "system", "content": "…"}]}"#,
                    r#"{"prompt": "…"}"#
                )
            })?,
        });
    }
    match prompts.is_empty() {
        true => Err("there are no prompts in it.".to_owned()),
        false => Ok(prompts),
    }
}

async fn warm(
    workstation: &Workstation,
    args: &WarmArgs,
    prompts: Vec<Warm>,
) -> Result<(), CliError> {
    load(workstation, args.model.as_deref()).await?;
    let count = prompts.len();
    let mut total = Usage::default();
    for prompt in prompts {
        let usage = finish(ask(workstation, prompt).await?).await?;
        total.prompt_tokens += usage.prompt_tokens;
        total.cached_tokens += usage.cached_tokens;
    }
    workstation.store_cache().await;
    let disk = workstation.engine_stats().borrow().cache.disk;
    report(args, count, &total, &disk)
}

fn report(
    args: &WarmArgs,
    prompts: usize,
    total: &Usage,
    disk: &DiskCounters,
) -> Result<(), CliError> {
    if !disk.writing {
        return Err(CliError::Failed(
            "the cache folder cannot be written to. `maquette doctor` names it.".to_owned(),
        ));
    }
    if args.json {
        return output::json(&json!({
            "prompts": prompts,
            "prompt_tokens": total.prompt_tokens,
            "cached_tokens": total.cached_tokens,
            "written_pages": disk.written_pages,
            "written_bytes": disk.written_bytes,
        }));
    }
    output::line(format_args!(
        "{prompts} prompts of {} tokens, {} of them known; {} pages written, {}",
        total.prompt_tokens,
        total.cached_tokens,
        disk.written_pages,
        table::bytes(disk.written_bytes)
    ))
}

async fn ask(workstation: &Workstation, prompt: Warm) -> Result<AnswerStream, CliError> {
    // A first token is the sign that the whole prompt is computed.
    let options = GenerationOptions {
        max_tokens: Some(1),
        ..GenerationOptions::default()
    };
    let stream = match prompt {
        Warm::Chat { messages, tools } => {
            let request = ChatRequest {
                messages,
                tools,
                options,
                ..ChatRequest::default()
            };
            workstation.chat(request).await?
        }
        Warm::Text { prompt } => {
            let prompt = Prompt::Text(prompt);
            let request = CompletionRequest { prompt, options };
            workstation.complete(request).await?
        }
    };
    Ok(stream)
}

async fn finish(mut answer: AnswerStream) -> Result<Usage, CliError> {
    while let Some(event) = answer.next().await {
        match event {
            AnswerEvent::Finished { usage, .. } => return Ok(usage),
            AnswerEvent::Failed(error) => return Err(error.into()),
            AnswerEvent::Queued { .. }
            | AnswerEvent::Prefill { .. }
            | AnswerEvent::Delta { .. } => {}
        }
    }
    Err(CliError::Failed("the engine stopped.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_questions_conversations_or_texts() {
        let text = concat!(
            "What is new?\n\n",
            r#"{"messages": [{"role": "system", "content": "Be brief."}]}"#,
            "\n",
            r#"{"prompt": "Once upon a time"}"#,
        );
        let prompts = parse(text).unwrap();
        let chat = |role, content: &str| Warm::Chat {
            messages: vec![Message::new(role, content)],
            tools: Vec::new(),
        };
        let expected = [
            chat(Role::User, "What is new?"),
            chat(Role::System, "Be brief."),
            Warm::Text {
                prompt: "Once upon a time".into(),
            },
        ];
        assert_eq!(prompts, expected);
        assert!(parse("\n \n").is_err());
        let error = parse("fine\n{\"promt\": 1}").unwrap_err();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn ages_are_in_one_unit() {
        let words = |seconds| words(Duration::from_secs(seconds));
        assert_eq!(words(59), "59 s");
        assert_eq!(words(7300), "2 h");
        assert_eq!(words(200_000), "2 days");
    }
}
