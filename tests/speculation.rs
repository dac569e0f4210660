//! Proposed tokens with a real model, the guide: the answers are the same with
//! and without, and what repeats is taken several tokens at once.

use std::{path::PathBuf, sync::LazyLock};

use maquette::{
    engine::{
        EngineHandle, EngineOptions, Event, Finish, KvMode, ModelSource, Request, RequestStream,
        SamplingParams, Speculation,
    },
    text::{
        TemplateInput,
        conversation::{Message, Role},
    },
};

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn guide() -> ModelSource {
    ModelSource::Folder {
        id: "guide".into(),
        path: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/guide"),
    }
}

/// An engine with the guide, and with the guide again as its draft.
fn start(speculation: Speculation, always_propose: bool) -> EngineHandle {
    let engine = EngineHandle::start(EngineOptions {
        speculation,
        always_propose,
        ..EngineOptions::default()
    });
    wait(engine.load_with_draft(guide(), Some(guide()))).unwrap();
    engine
}

/// They live as long as the program: one that ends at the same time would free
/// its arrays beside MLX's own end.
static PLAIN: LazyLock<EngineHandle> = LazyLock::new(|| start(Speculation::Off, false));
static LOOKUP: LazyLock<EngineHandle> = LazyLock::new(|| start(Speculation::Lookup, true));
static DRAFT: LazyLock<EngineHandle> = LazyLock::new(|| start(Speculation::Draft, true));
static AUTO: LazyLock<EngineHandle> = LazyLock::new(|| start(Speculation::Auto, false));

fn chat(engine: &EngineHandle, question: &str) -> Vec<u32> {
    let model = engine.model().borrow().clone().unwrap();
    let messages = [Message::new(Role::User, question)];
    let input = TemplateInput {
        messages: &messages,
        generation_prompt: true,
        thinking: Some(false),
        ..TemplateInput::default()
    };
    let text = model.template.as_ref().unwrap().render(input).unwrap();
    model.tokenizer.encode(&text, false).unwrap()
}

/// Prompts of which some repeat themselves.
fn prompts(engine: &EngineHandle) -> Vec<Vec<u32>> {
    let model = engine.model().borrow().clone().unwrap();
    let line = "Open the library pane with Alt-2, choose a model and press Enter to load it.\n";
    let list = "1. Press Ctrl-C to quit.\n2. Press Ctrl-C to quit.\n3. Press Ctrl-C to quit.\n";
    let mut prompts: Vec<Vec<u32>> = [
        "How do I download a model?",
        "What does maquette serve do?",
        "Which key sends a message?",
        "What is the cache pane for?",
    ]
    .iter()
    .map(|question| chat(engine, question))
    .collect();
    for text in [line.repeat(6), list.to_owned()] {
        prompts.push(model.tokenizer.encode(&text, false).unwrap());
    }
    prompts
}

fn request(prompt: &[u32], temperature: f32) -> Request {
    Request {
        prompt: prompt.to_vec(),
        max_tokens: Some(60),
        ignore_eos: true,
        sampling: SamplingParams {
            temperature,
            seed: Some(11),
            ..SamplingParams::default()
        },
        ..Request::default()
    }
}

fn collect(mut stream: RequestStream) -> (Vec<u32>, Finish) {
    let mut tokens = Vec::new();
    loop {
        match stream.blocking_next().expect("the stream ended early") {
            Event::Token(token) => tokens.push(token.token),
            Event::Finished(finish) => return (tokens, finish),
            Event::Failed(error) => panic!("{error}"),
            Event::Queued { .. } | Event::Prefill { .. } => {}
        }
    }
}

fn ask(engine: &EngineHandle, request: Request) -> (Vec<u32>, Finish) {
    collect(engine.submit(request).unwrap())
}

/// Every prompt's answer without proposals, computed alone.
fn plain(temperature: f32) -> Vec<Vec<u32>> {
    let prompts = prompts(&PLAIN);
    let ask = |prompt: &Vec<u32>| ask(&PLAIN, request(prompt, temperature)).0;
    prompts.iter().map(ask).collect()
}

#[test]
fn no_answer_changes_and_what_repeats_is_taken() {
    for temperature in [0.0, 0.8] {
        let expected = plain(temperature);
        let engine = &*LOOKUP;
        let prompts = prompts(engine);
        let (mut proposed, mut accepted) = (0, 0);
        for (prompt, expected) in prompts.iter().zip(&expected) {
            let (tokens, finish) = ask(engine, request(prompt, temperature));
            assert_eq!(&tokens, expected, "alone, at {temperature}");
            proposed += finish.usage.proposed_tokens;
            accepted += finish.usage.accepted_tokens;
        }
        println!("at {temperature}: {accepted} of {proposed} accepted");
        assert!(accepted > 30, "{accepted} of {proposed}");
        // All at once, every other one without proposals.
        let streams: Vec<RequestStream> = prompts
            .iter()
            .enumerate()
            .map(|(number, prompt)| {
                let mut request = request(prompt, temperature);
                request.speculation = (number % 2 == 1).then_some(Speculation::Off);
                engine.submit(request).unwrap()
            })
            .collect();
        for (number, (stream, expected)) in streams.into_iter().zip(&expected).enumerate() {
            let (tokens, finish) = collect(stream);
            assert_eq!(&tokens, expected, "together, at {temperature}");
            assert!(number % 2 == 0 || finish.usage.proposed_tokens == 0);
        }
    }
}

#[test]
fn a_model_that_drafts_for_itself_is_always_right() {
    let expected = plain(0.0);
    let engine = &*DRAFT;
    let model = engine.model().borrow().clone().unwrap();
    assert_eq!(model.draft.as_deref(), Some("guide"));
    for (prompt, expected) in prompts(engine).iter().zip(&expected) {
        let (tokens, finish) = ask(engine, request(prompt, 0.0));
        assert_eq!(&tokens, expected);
        let usage = finish.usage;
        assert!(usage.accepted_tokens >= 48, "{usage:?}");
        assert_eq!(usage.accepted_tokens, usage.proposed_tokens);
    }
    // Drawn with numbers of its own, kept as far as both agree: nearly always.
    let prompt = &prompts(engine)[0];
    let mut drawn = request(prompt, 1.0);
    drawn.sampling.seed = None;
    let usage = ask(engine, drawn).1.usage;
    assert!(
        usage.accepted_tokens * 10 >= usage.proposed_tokens * 9,
        "{usage:?}"
    );
}

#[test]
fn left_to_decide_it_answers_the_same() {
    let expected = plain(0.0);
    let engine = &*AUTO;
    let prompts = prompts(engine);
    let streams: Vec<RequestStream> = prompts
        .iter()
        .map(|prompt| engine.submit(request(prompt, 0.0)).unwrap())
        .collect();
    for (stream, expected) in streams.into_iter().zip(&expected) {
        assert_eq!(&collect(stream).0, expected);
    }
}

#[test]
fn proposals_and_packed_pages_go_together() {
    // What is packed when a token is computed hangs on the step, so that the
    // answers need not be the same: over many pages, they end as they should.
    let prompts = prompts(&LOOKUP);
    for mode in [KvMode::Affine { bits: 8 }, KvMode::Affine { bits: 4 }] {
        let mut long = request(&prompts[4], 0.0);
        (long.kv_mode, long.max_tokens) = (Some(mode), Some(300));
        let (tokens, finish) = ask(&LOOKUP, long.clone());
        assert_eq!(tokens.len(), 300);
        let usage = finish.usage;
        assert!(usage.accepted_tokens > 20, "{usage:?}");
        assert!(usage.accepted_tokens < usage.proposed_tokens, "{usage:?}");
        // The next turn finds what was accepted.
        long.prompt.extend(tokens);
        let usage = ask(&LOOKUP, long).1.usage;
        assert!(usage.cached_tokens + 2 >= usage.prompt_tokens, "{usage:?}");
    }
}
