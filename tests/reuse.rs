//! The guide's answers, computed alone and with all that is kept of earlier
//! ones: token by token the same.

#[path = "support/kinds.rs"]
mod kinds;

use std::path::{Path, PathBuf};

use maquette::engine::{
    DiskOptions, EngineHandle, EngineOptions, Event, LoadedModel, ModelSource, Request,
    SamplingParams,
};
use maquette::text::{
    TemplateInput,
    conversation::{Message, Role},
};

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn load(engine: &EngineHandle) -> std::sync::Arc<LoadedModel> {
    let source = ModelSource::Folder {
        id: "guide".into(),
        path: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/guide"),
    };
    wait(engine.load(source)).unwrap()
}

fn start(folder: &Path) -> EngineHandle {
    let engine = EngineHandle::start(EngineOptions {
        disk_cache: Some(DiskOptions {
            folder: folder.to_owned(),
            limit: 1 << 30,
        }),
        ..EngineOptions::default()
    });
    load(&engine);
    engine
}

fn greedy(prompt: &[u32]) -> Request {
    Request {
        prompt: prompt.to_vec(),
        max_tokens: Some(40),
        sampling: SamplingParams {
            temperature: 0.0,
            ..SamplingParams::default()
        },
        ..Request::default()
    }
}

/// The answer's tokens and how many of the prompt's came from the cache.
fn ask(engine: &EngineHandle, prompt: &[u32]) -> (Vec<u32>, usize) {
    answer(engine, greedy(prompt))
}

fn answer(engine: &EngineHandle, request: Request) -> (Vec<u32>, usize) {
    let mut stream = engine.submit(request).unwrap();
    let mut tokens = Vec::new();
    loop {
        match stream.blocking_next().expect("the stream ended early") {
            Event::Token(token) => tokens.push(token.token),
            Event::Finished(finish) => return (tokens, finish.usage.cached_tokens),
            Event::Failed(error) => panic!("{error}"),
            Event::Queued { .. } | Event::Prefill { .. } => {}
        }
    }
}

/// A chat's prompt after each of its questions, with answers as given.
fn prompt(model: &LoadedModel, chat: &[(&str, &str)], question: &str) -> Vec<u32> {
    let mut messages = vec![Message::new(
        Role::System,
        "You are the guide of Maquette, a terminal workstation for local language models. \
         Answer briefly and name the keys to press, the commands to type and the panes to open.",
    )];
    for (question, answer) in chat {
        messages.push(Message::new(Role::User, *question));
        messages.push(Message::new(Role::Assistant, *answer));
    }
    messages.push(Message::new(Role::User, question));
    let input = TemplateInput {
        messages: &messages,
        generation_prompt: true,
        thinking: Some(false),
        ..TemplateInput::default()
    };
    let text = model.template.as_ref().unwrap().render(input).unwrap();
    model.tokenizer.encode(&text, false).unwrap()
}

#[test]
fn what_is_kept_changes_no_answer() {
    let home = tempfile::tempdir().unwrap();
    let alone = EngineHandle::start(EngineOptions::default());
    let model = load(&alone);
    let questions = [
        "How do I download a model?",
        "What does the cache pane show?",
        "How do I change the theme?",
        "Can I serve an API without the screen?",
    ];
    let mut engine = start(home.path());
    let mut chat: Vec<(&str, String)> = Vec::new();
    let mut found = 0;
    for (turn, question) in questions.into_iter().enumerate() {
        let so_far: Vec<(&str, &str)> = chat.iter().map(|(q, a)| (*q, a.as_str())).collect();
        // The next turn, and a branch that asks something else at this point.
        for question in [question, "Tell me about MCP tools.", question] {
            let prompt = prompt(&model, &so_far, question);
            // Loading anew leaves nothing of what was computed.
            load(&alone);
            let (expected, nothing) = ask(&alone, &prompt);
            let (answer, cached) = ask(&engine, &prompt);
            assert_eq!((answer, nothing), (expected, 0), "turn {turn}: {question}");
            found += cached;
        }
        let (tokens, _) = ask(&engine, &prompt(&model, &so_far, question));
        let text = model.tokenizer.decode(&tokens, true);
        chat.push((question, text.trim().to_owned()));
        if turn % 2 == 1 {
            wait(engine.flush());
            engine = start(home.path());
        }
    }
    assert!(found > 500, "only {found} tokens came from the cache");
}

/// Packed keys and values are found in memory and on the disk as plain ones
/// are, by requests of their own kind alone.
#[test]
fn packed_pages_are_reused_by_their_own_kind() {
    let home = tempfile::tempdir().unwrap();
    let mut engine = start(home.path());
    let model = engine.model().borrow().clone().unwrap();
    let words = "Say how to download a model, step by step, with every key. ".repeat(40);
    let history = prompt(
        &model,
        &[(&words, "Press the keys that the help shows.")],
        "Which?",
    );
    let (plain, _) = ask(&engine, &history);
    for mode in ["half", "affine-8", "affine-4", "turbo-4", "turbo-3-qjl"] {
        let in_mode = |prompt: &[u32]| Request {
            kv_mode: Some(mode.parse().unwrap()),
            ..greedy(prompt)
        };
        let (first, cached) = answer(&engine, in_mode(&history));
        assert_eq!(cached, 0, "{mode}: of another kind");
        if mode == "half" || mode == "affine-8" {
            assert_eq!(first, plain, "{mode}");
        }
        let mut next = [&history[..], &first].concat();
        next.extend(&history[..30]);
        // Between them, another sequence goes on and the first is found as pages.
        let (again, cached) = answer(&engine, in_mode(&history));
        assert!(
            cached >= history.len() - 64,
            "{mode}: {cached} of {}",
            history.len()
        );
        assert_eq!(again.len(), first.len());
        let (turn, cached) = answer(&engine, in_mode(&next));
        assert!(
            cached >= history.len() - 64,
            "{mode}: {cached} of {}",
            history.len()
        );
        wait(engine.flush());
        engine = start(home.path());
        let (restarted, cached) = answer(&engine, in_mode(&next));
        assert!(
            cached >= history.len() / 64 * 64 - 64,
            "{mode}: {cached} from the disk"
        );
        if mode != "turbo-3-qjl" {
            assert_eq!(restarted, turn, "{mode}");
        }
    }
}

#[test]
fn salts_keep_prompts_apart() {
    let engine = EngineHandle::start(EngineOptions::default());
    let model = load(&engine);
    let history = prompt(
        &model,
        &[("How?", "So.")],
        "Why does the cache pane show two tiers?",
    );
    let salted = |salt: &str| Request {
        cache_salt: salt.to_owned(),
        ..greedy(&history)
    };
    let (expected, _) = answer(&engine, salted("one"));
    for (salt, finds) in [("two", false), ("", false), ("one", true), ("two", true)] {
        let (tokens, cached) = answer(&engine, salted(salt));
        assert_eq!((tokens, cached > 0), (expected.clone(), finds), "{salt}");
    }
}

/// Turn after turn, with branches between them: what every kind of layer has
/// kept gives the logits that computing it anew gives.
#[test]
fn every_kind_of_layer_is_reused() {
    let folder = tempfile::tempdir().unwrap();
    for (family, more) in kinds::all() {
        let path = folder.path().join(format!("{family}.json"));
        std::fs::write(&path, kinds::config(family, &more).to_string()).unwrap();
        let source = || ModelSource::Random {
            id: family.into(),
            config: path.clone(),
            bits: None,
        };
        let options = EngineOptions {
            prefill_chunk: Some(256),
            ..EngineOptions::default()
        };
        let (engine, alone) = (
            EngineHandle::start(options.clone()),
            EngineHandle::start(options),
        );
        wait(engine.load(source())).unwrap();
        let mut history: Vec<u32> = (0..700).map(|i| i * 7 % 90).collect();
        for turn in 0..3 {
            let mut branch = history[..history.len() - 60].to_vec();
            branch.extend([5, 6, 7, 8]);
            for prompt in [&history, &branch, &history] {
                wait(alone.load(source())).unwrap();
                let (wanted, nothing) = scored(&alone, prompt);
                let (got, cached) = scored(&engine, prompt);
                assert_eq!(nothing, 0);
                let close = got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-3);
                assert!(
                    close,
                    "{family}, turn {turn}, {cached} cached: {got:?}, {wanted:?}"
                );
                // The second and third find nearly all of it.
                let first = turn == 0 && prompt.len() == 700 && cached == 0;
                assert!(
                    first || cached + 130 > prompt.len(),
                    "{family}, turn {turn}: {cached}"
                );
            }
            history.extend((0..70).map(|i| (i * 11 + turn) % 90));
        }
    }
}

/// Every kind of layer is found by the next program too, as far as full pages
/// and snapshots go.
#[test]
fn every_kind_of_layer_survives_the_program() {
    let folder = tempfile::tempdir().unwrap();
    for (family, more) in kinds::all() {
        let path = folder.path().join(format!("{family}.json"));
        std::fs::write(&path, kinds::config(family, &more).to_string()).unwrap();
        let pages = folder.path().join(family);
        let source = || ModelSource::Random {
            id: family.into(),
            config: path.clone(),
            bits: None,
        };
        let start = |disk: bool| {
            let engine = EngineHandle::start(EngineOptions {
                prefill_chunk: Some(256),
                disk_cache: disk.then(|| DiskOptions {
                    folder: pages.clone(),
                    limit: 1 << 30,
                }),
                ..EngineOptions::default()
            });
            wait(engine.load(source())).unwrap();
            engine
        };
        let alone = start(false);
        let mut history: Vec<u32> = (0..700).map(|i| i * 7 % 90).collect();
        for restart in 0..3 {
            let mut branch = history[..history.len() - 60].to_vec();
            branch.extend([5, 6, 7, 8]);
            let engine = start(true);
            for prompt in [&history, &branch] {
                wait(alone.load(source())).unwrap();
                let (wanted, _) = scored(&alone, prompt);
                let (got, cached) = scored(&engine, prompt);
                let close = got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-3);
                assert!(
                    close && got.len() == wanted.len(),
                    "{family}, restart {restart}, {cached} cached: {got:?}, {wanted:?}"
                );
                // Of the prompt before, that was 70 tokens shorter.
                assert!(
                    restart == 0 || cached + 70 + 130 > prompt.len(),
                    "{family}, restart {restart}: {cached}"
                );
            }
            wait(engine.flush());
            let stats = engine.stats().borrow().clone();
            assert_eq!(stats.cache.disk.rejects.total(), 0, "{family}");
            let read = stats.cache.disk.read_pages > 0;
            assert_eq!(read, restart > 0, "{family}, restart {restart}");
            history.extend((0..70).map(|i| (i * 11 + restart) % 90));
        }
    }
}

/// What a small memory gives up is found beside it, for every kind of layer.
#[test]
fn every_kind_of_layer_comes_back_from_the_hosts_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (family, more) in kinds::all() {
        let path = folder.path().join(format!("{family}.json"));
        std::fs::write(&path, kinds::config(family, &more).to_string()).unwrap();
        let source = || ModelSource::Random {
            id: family.into(),
            config: path.clone(),
            bits: None,
        };
        let start = |ram: u64| {
            let engine = EngineHandle::start(EngineOptions {
                prefill_chunk: Some(256),
                prefix_cache_bytes: Some(0),
                ram_cache_bytes: Some(ram),
                ..EngineOptions::default()
            });
            wait(engine.load(source())).unwrap();
            engine
        };
        let (engine, alone) = (start(1 << 30), start(0));
        let prompt = |which: u32| -> Vec<u32> { (0..400).map(|i| (i * 7 + which) % 90).collect() };
        let mut expected = Vec::new();
        // The second pushes the first out of memory, and so on.
        for round in 0..2 {
            for which in 0..3u32 {
                let (scores, cached) = scored(&engine, &prompt(which));
                if round == 0 {
                    wait(alone.load(source())).unwrap();
                    expected.push(scored(&alone, &prompt(which)).0);
                }
                let wanted = &expected[which as usize];
                let close = scores.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3);
                assert!(close, "{family}, {round}, {which}: {scores:?}, {wanted:?}");
                let least = if round == 0 { 0 } else { 256 };
                assert!(cached >= least, "{family}, {round}, {which}: {cached}");
            }
        }
        wait(engine.flush());
        let cache = engine.stats().borrow().cache;
        assert!(
            cache.ram.read_pages > 0 && cache.prefix.ram_hits >= 3,
            "{family}: {cache:?}"
        );
        assert!(cache.ram.bytes <= cache.ram.limit);
        assert!(!alone.stats().borrow().cache.ram.on);
    }
}

/// Packed on the disk alone, plain in memory: half of the bits and answers that
/// are the same; models that break stay plain.
#[test]
fn the_disk_has_a_way_of_its_own_to_keep_pages() {
    let home = tempfile::tempdir().unwrap();
    let start_in = |mode: &str| {
        let engine = EngineHandle::start(EngineOptions {
            disk_cache: Some(DiskOptions {
                folder: home.path().to_owned(),
                limit: 1 << 30,
            }),
            disk_kv_mode: mode.parse().unwrap(),
            ..EngineOptions::default()
        });
        load(&engine);
        engine
    };
    let engine = start_in("plain");
    let model = engine.model().borrow().clone().unwrap();
    let words = "Say how to download a model, step by step, with every key. ".repeat(40);
    let history = prompt(&model, &[(&words, "Press the keys.")], "Which?");
    let (plain, _) = ask(&engine, &history);
    wait(engine.flush());
    let written = |engine: &EngineHandle| {
        let disk = engine.stats().borrow().cache.disk;
        disk.written_bytes as f64 / disk.written_pages as f64
    };
    let whole = written(&engine);
    for (mode, part) in [("half", 0.5), ("affine-8", 0.3), ("affine-4", 0.2)] {
        let engine = start_in(mode);
        let (first, cached) = ask(&engine, &history);
        assert_eq!((&first, cached), (&plain, 0), "{mode}");
        wait(engine.flush());
        let ratio = written(&engine) / whole;
        assert!(ratio < part + 0.15 && ratio > part - 0.1, "{mode}: {ratio}");
        let engine = start_in(mode);
        let (restarted, cached) = ask(&engine, &history);
        assert!(cached >= history.len() / 64 * 64 - 64, "{mode}: {cached}");
        if mode != "affine-4" {
            assert_eq!(restarted, plain, "{mode}");
        }
    }
}

/// A model's own way goes before the general one, and a request's before both.
#[test]
fn a_model_has_a_way_of_its_own_to_keep_pages() {
    let engine = EngineHandle::start(EngineOptions {
        kv_mode: "turbo-2".parse().unwrap(),
        kv_modes: [("guide".to_owned(), "affine-8".parse().unwrap())].into(),
        ..EngineOptions::default()
    });
    let model = load(&engine);
    let history = prompt(
        &model,
        &[("How?", "So.")],
        "Why does the cache pane show tiers?",
    );
    let in_mode = |mode: &str| Request {
        kv_mode: Some(mode.parse().unwrap()),
        ..greedy(&history)
    };
    ask(&engine, &history);
    assert_eq!(answer(&engine, in_mode("turbo-2")).1, 0);
    assert!(answer(&engine, in_mode("affine-8")).1 > 0);
    let options = EngineOptions {
        kv_modes: [
            ("a/b".to_owned(), "affine-4".parse().unwrap()),
            ("b".to_owned(), "half".parse().unwrap()),
        ]
        .into(),
        ..EngineOptions::default()
    };
    for (id, mode) in [
        ("a/b", "affine-4"),
        ("c/b", "half"),
        ("b", "half"),
        ("b/c", "plain"),
    ] {
        assert_eq!(options.kv_mode_of(id).to_string(), mode, "{id}");
    }
}

/// Log-probabilities of the likeliest first tokens, in their order, and the
/// tokens found.
fn scored(engine: &EngineHandle, prompt: &[u32]) -> (Vec<f32>, usize) {
    let request = Request {
        max_tokens: Some(1),
        logprobs: Some(8),
        ignore_eos: true,
        ..greedy(prompt)
    };
    let mut stream = engine.submit(request).unwrap();
    let mut scores = Vec::new();
    loop {
        match stream.blocking_next().expect("the stream ended early") {
            Event::Token(token) => {
                scores.extend(token.top_logprobs.iter().map(|token| token.logprob));
            }
            Event::Finished(finish) => return (scores, finish.usage.cached_tokens),
            Event::Failed(error) => panic!("{error}"),
            Event::Queued { .. } | Event::Prefill { .. } => {}
        }
    }
}
