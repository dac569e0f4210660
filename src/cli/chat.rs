//! `maquette chat`: one question, one answer, on a terminal or in a pipe.

use std::io::{IsTerminal, Read, stderr, stdin, stdout};

use super::{
    args::ChatArgs,
    output::{CliError, note, write},
    start::{headless, load, with_workstation},
};
use crate::workstation::{
    AnswerEvent, AnswerFinish, ChatRequest, GenerationOptions, Message, Role, SamplingOverrides,
    Segment, Workstation, WorkstationError,
};

/// Asks and prints the answer as it comes.
pub async fn run(mut args: ChatArgs) -> Result<(), CliError> {
    let prompt = match args.prompt.as_str() {
        "-" => read_stdin()?,
        text => text.to_owned(),
    };
    if prompt.trim().is_empty() {
        return Err(CliError::Failed("the question is empty.".to_owned()));
    }
    let started = headless(None)?;
    let system = &started.settings.chat.system_prompt;
    args.system = args.system.or_else(|| Some(system.clone()));
    with_workstation(started, async |workstation| {
        ask(workstation, args, &prompt).await
    })
    .await
}

async fn ask(workstation: &Workstation, args: ChatArgs, prompt: &str) -> Result<(), CliError> {
    load(workstation, args.model.as_deref()).await?;
    let system = args.system.filter(|text| !text.is_empty());
    let system = system.map(|text| Message::new(Role::System, text));
    let user = Message::new(Role::User, prompt.trim_end());
    let thinking = match (args.thinking, args.no_thinking) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let request = ChatRequest {
        messages: system.into_iter().chain([user]).collect(),
        thinking,
        options: GenerationOptions {
            max_tokens: args.max_tokens,
            sampling: SamplingOverrides {
                temperature: args.temperature,
                top_p: args.top_p,
                seed: args.seed,
                ..SamplingOverrides::default()
            },
            ..GenerationOptions::default()
        },
        ..ChatRequest::default()
    };
    let mut answer = workstation.chat(request).await?;
    let mut printer = Printer::new();
    while let Some(event) = answer.next().await {
        match event {
            AnswerEvent::Queued { .. } | AnswerEvent::Prefill { .. } => {}
            AnswerEvent::Delta { segments, .. } => printer.print(segments)?,
            AnswerEvent::Finished {
                segments, reason, ..
            } => {
                printer.print(segments)?;
                return printer.end(reason);
            }
            AnswerEvent::Failed(error) => return printer.fail(error),
        }
    }
    Err(CliError::Failed(
        "the engine stopped before the answer was complete.".to_owned(),
    ))
}

fn read_stdin() -> Result<String, CliError> {
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes)?;
    String::from_utf8(bytes)
        .map_err(|_| CliError::Failed("standard input is not UTF-8 text.".to_owned()))
}

/// Content to standard output; thoughts, dim, to standard error where a person
/// looks at both.
struct Printer {
    show_thoughts: bool,
    thinking: bool,
    /// Whether the last line printed still lacks its end.
    open_line: bool,
}

impl Printer {
    fn new() -> Self {
        Self {
            show_thoughts: stderr().is_terminal() && stdout().is_terminal(),
            thinking: false,
            open_line: false,
        }
    }

    fn print(&mut self, segments: Vec<Segment>) -> Result<(), CliError> {
        for segment in segments {
            match segment {
                Segment::Reasoning(text) if self.show_thoughts => {
                    self.thinking = true;
                    note(format_args!("\x1b[2m{text}\x1b[22m"));
                }
                Segment::Reasoning(_) => {}
                Segment::Content(text) => self.content(&text)?,
                // None were offered; what looks like a call is text.
                Segment::ToolCall(call) => {
                    self.content(&format!("{}({})", call.name, call.arguments))?;
                }
            }
        }
        Ok(())
    }

    fn content(&mut self, text: &str) -> Result<(), CliError> {
        if text.is_empty() {
            return Ok(());
        }
        self.end_thought();
        self.open_line = !text.ends_with('\n');
        write(text)
    }

    fn end_thought(&mut self) {
        if std::mem::take(&mut self.thinking) {
            note("\n\n");
        }
    }

    fn end(&mut self, reason: AnswerFinish) -> Result<(), CliError> {
        self.end_thought();
        if std::mem::take(&mut self.open_line) {
            write("\n")?;
        }
        if reason == AnswerFinish::Length {
            note("maquette: the answer was cut off at its greatest length (--max-tokens).\n");
        }
        Ok(())
    }

    fn fail(&mut self, error: WorkstationError) -> Result<(), CliError> {
        self.end_thought();
        if std::mem::take(&mut self.open_line) {
            write("\n")?;
        }
        Err(error.into())
    }
}
