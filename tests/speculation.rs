//! Proposed tokens with a real model, the guide: the answers are the same with
//! and without, and what repeats is taken several tokens at once.

#[path = "support/kinds.rs"]
mod kinds;

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

/// Every kind of layer, and for each the model itself and another of its kind
/// as draft. States go back, and the next turn goes on from them.
#[test]
fn no_kind_of_layer_changes_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let engine = |speculation| {
        EngineHandle::start(EngineOptions {
            speculation,
            always_propose: true,
            prefill_chunk: Some(128),
            ..EngineOptions::default()
        })
    };
    let mut rejected = 0;
    let [plain, lookup, draft] =
        [Speculation::Off, Speculation::Lookup, Speculation::Draft].map(engine);
    for (family, more) in kinds::all() {
        let source = |name: &str, hidden: u32| {
            let mut config = kinds::config(family, &more);
            config["hidden_size"] = hidden.into();
            let path = folder.path().join(format!("{family}-{name}.json"));
            std::fs::write(&path, config.to_string()).unwrap();
            ModelSource::Random {
                id: name.into(),
                config: path,
                bits: None,
            }
        };
        let model = source("model", 128);
        for (engine, drafts) in [
            (&plain, None),
            (&lookup, None),
            (&draft, Some(model.clone())),
        ] {
            wait(engine.load_with_draft(model.clone(), drafts)).unwrap();
        }
        let [looked_up, drafted] = [&lookup, &draft].map(|engine| turns(&plain, engine, family));
        rejected += looked_up.0 - looked_up.1;
        assert!(looked_up.1 > 0, "{family}: {looked_up:?}");
        let (proposed, accepted) = drafted;
        assert_eq!(
            accepted, proposed,
            "{family}: a model that drafts for itself"
        );
        // A draft that is seldom right.
        wait(draft.load_with_draft(model, Some(source("other", 64)))).unwrap();
        let (proposed, accepted) = turns(&plain, &draft, family);
        assert!(accepted < proposed, "{family}: {accepted} of {proposed}");
        println!(
            "{family}: looked up {looked_up:?}, drafted {drafted:?}, {accepted} of {proposed}"
        );
    }
    assert!(rejected > 500, "{rejected}");
}

/// Three chats of two turns, all at once, beside one that is cancelled. Proposed
/// and accepted tokens.
fn turns(plain: &EngineHandle, engine: &EngineHandle, family: &str) -> (usize, usize) {
    let (mut proposed, mut accepted) = (0, 0);
    let mut chats: Vec<Vec<u32>> = (0..3)
        .map(|chat| (0..150 + chat * 31).map(|i| i * (7 + chat) % 90).collect())
        .collect();
    for turn in 0..2 {
        let request = |chat: &[u32]| {
            let mut request = request(chat, 0.0);
            // Rows of random weights repeat themselves: equals would be tossed for.
            request.sampling.logit_bias = (244..300).map(|token| (token, -100.0)).collect();
            // Not the same for ever.
            request.sampling.frequency_penalty = 0.06;
            request
        };
        let other: Vec<u32> = (0..180).rev().map(|i| i % 60).collect();
        let mut gone = engine.submit(request(&other)).unwrap();
        let submit = |chat: &Vec<u32>| engine.submit(request(chat)).unwrap();
        let streams: Vec<RequestStream> = chats.iter().map(submit).collect();
        for _ in 0..10 {
            gone.blocking_next();
        }
        drop(gone);
        for (chat, stream) in chats.iter_mut().zip(streams) {
            let (tokens, finish) = collect(stream);
            let (expected, _) = ask(plain, request(chat));
            assert_eq!(tokens, expected, "{family}, turn {turn}");
            let usage = finish.usage;
            if turn > 0 {
                let new = usage.prompt_tokens - usage.cached_tokens;
                assert!(
                    new <= 4 + 1 + 8,
                    "{family}: {new} tokens of a next turn are new"
                );
            }
            proposed += usage.proposed_tokens;
            accepted += usage.accepted_tokens;
            chat.extend(tokens);
            chat.extend([1, 2, 3, 4]);
        }
    }
    (proposed, accepted)
}
