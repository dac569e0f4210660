//! The engine with a real model: the guide that ships with the program.

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use maquette::{
    engine::{
        EngineHandle, EngineOptions, Event, Finish, FinishReason, LoadedModel, ModelSource,
        Request, RequestStream, SamplingParams, TokenEvent,
    },
    text::{
        AnswerParser, TemplateInput,
        conversation::{Message, Role, Segment},
    },
};

/// One engine for all tests: they run at once, as requests do.
static ENGINE: LazyLock<(EngineHandle, Arc<LoadedModel>)> = LazyLock::new(|| {
    let engine = EngineHandle::start(EngineOptions::default());
    let source = ModelSource::Folder {
        id: "guide".into(),
        path: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/guide"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let model = runtime.block_on(engine.load(source)).unwrap();
    (engine, model)
});

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn prompt(messages: &[Message]) -> (String, Vec<u32>) {
    let model = &ENGINE.1;
    let input = TemplateInput {
        messages,
        generation_prompt: true,
        thinking: Some(false),
        ..TemplateInput::default()
    };
    let text = model.template.as_ref().unwrap().render(input).unwrap();
    let tokens = model.tokenizer.encode(&text, false).unwrap();
    (text, tokens)
}

fn request(messages: &[Message], temperature: f32) -> Request {
    Request {
        prompt: prompt(messages).1,
        max_tokens: Some(60),
        sampling: SamplingParams {
            temperature,
            seed: Some(11),
            ..SamplingParams::default()
        },
        ..Request::default()
    }
}

struct Answer {
    text: String,
    tokens: Vec<TokenEvent>,
    finish: Finish,
}

fn collect(mut stream: RequestStream) -> Answer {
    let (mut text, mut tokens) = (String::new(), Vec::new());
    loop {
        match stream.blocking_next().expect("the stream ended early") {
            Event::Token(token) => {
                text.push_str(&token.text);
                tokens.push(token);
            }
            Event::Finished(finish) => {
                text.push_str(&finish.text);
                return Answer {
                    text,
                    tokens,
                    finish,
                };
            }
            Event::Failed(error) => panic!("{error}"),
            Event::Queued { .. } | Event::Prefill { .. } => {}
        }
    }
}

fn ask(request: Request) -> Answer {
    collect(ENGINE.0.submit(request).unwrap())
}

#[test]
fn the_guide_answers_a_question_about_maquette() {
    let messages = [user("How do I download a model?")];
    let answer = ask(request(&messages, 0.0));
    let (text, _) = prompt(&messages);
    let template = ENGINE.1.template.as_ref().unwrap();
    let mut parser = AnswerParser::for_template(template, &text, false);
    let mut segments = parser.push(&answer.text);
    segments.extend(parser.finish());
    let content: String = segments
        .iter()
        .map(|segment| match segment {
            Segment::Content(text) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(
        content.to_lowercase().contains("pull") || content.contains("library"),
        "{content}"
    );
    println!(
        "decode {:.0} tok/s, first token {:?}: {content}",
        answer
            .finish
            .timings
            .decode_rate(answer.finish.usage.completion_tokens),
        answer.finish.timings.first_token
    );
}

#[test]
fn the_same_seed_gives_the_same_text() {
    let messages = [user("What is the library pane for?")];
    let first = ask(request(&messages, 0.9));
    assert_eq!(ask(request(&messages, 0.9)).text, first.text);
    let mut others = (0..8).map(|seed| {
        let mut request = request(&messages, 5.0);
        request.sampling.seed = Some(seed);
        ask(request).text
    });
    let one = others.next().unwrap();
    assert!(others.any(|other| other != one));
}

#[test]
fn the_next_turn_reuses_the_one_before() {
    let mut messages = vec![user("Please tell me what the cache pane shows.")];
    let first = ask(request(&messages, 0.0));
    messages.push(Message::new(Role::Assistant, first.text.trim()));
    messages.push(user("And the tools pane?"));
    let second = ask(request(&messages, 0.0));
    let before = first.finish.usage.prompt_tokens;
    // The generation prompt may differ from the turn as history shows it.
    assert!(
        second.finish.usage.cached_tokens + 8 >= before,
        "{:?} after {:?}",
        second.finish.usage,
        first.finish.usage
    );
    // The whole conversation again: only its last token is computed.
    let again = ask(request(&messages, 0.0));
    let usage = again.finish.usage;
    assert_eq!(usage.cached_tokens, usage.prompt_tokens - 1);
    assert_eq!(again.text, second.text);
}

#[test]
fn cancelling_ends_the_answer() {
    let mut request = request(&[user("Count to one hundred.")], 0.0);
    (request.ignore_eos, request.max_tokens) = (true, Some(100_000));
    let mut stream = ENGINE.0.submit(request).unwrap();
    while !matches!(stream.blocking_next(), Some(Event::Token(_))) {}
    stream.cancel();
    let answer = collect(stream);
    assert_eq!(answer.finish.reason, FinishReason::Cancelled);
}

#[test]
fn probabilities_add_up() {
    let mut request = request(&[user("Hello!")], 0.0);
    (request.logprobs, request.max_tokens) = (Some(100), Some(8));
    let answer = ask(request);
    for token in &answer.tokens {
        let own = token.logprob.as_ref().unwrap();
        // Greedy: the chosen token is the likeliest.
        assert_eq!(own.token, token.token);
        assert!((own.logprob - token.top_logprobs[0].logprob).abs() < 1e-5);
        let mass: f32 = token.top_logprobs.iter().map(|t| t.logprob.exp()).sum();
        assert!(mass > 0.5 && mass < 1.001, "{mass}");
        assert!(
            token
                .top_logprobs
                .is_sorted_by(|a, b| a.logprob >= b.logprob)
        );
    }
}

#[test]
fn eight_at_once_say_what_each_says_alone() {
    let questions = [
        "How do I quit?",
        "Which key sends a message?",
        "What does maquette serve do?",
        "Where are the logs?",
        "How do I change the theme?",
        "What is an MCP server?",
        "What is 2 plus 3?",
        "Which panes are there?",
    ];
    let streams: Vec<_> = questions
        .iter()
        .map(|question| ENGINE.0.submit(request(&[user(question)], 0.0)).unwrap())
        .collect();
    let together: Vec<Answer> = streams.into_iter().map(collect).collect();
    for (question, answer) in questions.iter().zip(&together) {
        let alone = ask(request(&[user(question)], 0.0));
        assert_eq!(alone.text, answer.text, "{question}");
        assert!(!answer.text.is_empty());
    }
}
