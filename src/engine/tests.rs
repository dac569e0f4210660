//! The whole engine, with a fake model: what requests see.

mod cancelling;
mod fairness;
mod limits;
mod reuse;
mod speculation;

use std::{
    sync::{Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    testing::{Fake, source},
    *,
};

/// What a request came to.
#[derive(Debug)]
struct Answer {
    tokens: Vec<u32>,
    text: String,
    end: Result<Finish, EngineError>,
}

impl Answer {
    #[track_caller]
    fn finish(&self) -> &Finish {
        self.end.as_ref().unwrap()
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Engines that live as long as the program: one that ends at the same time
/// would free its arrays beside MLX's own end.
static STARTED: Mutex<Vec<EngineHandle>> = Mutex::new(Vec::new());

fn start(fake: &Fake, options: EngineOptions) -> EngineHandle {
    let on_disk = options.disk_cache.is_some();
    let engine = EngineHandle::start_with(options, fake.clone());
    wait(engine.load(source("fake"))).unwrap();
    if !on_disk {
        STARTED.lock().unwrap().push(engine.clone());
    }
    engine
}

fn options() -> EngineOptions {
    EngineOptions {
        prefill_chunk: Some(16),
        memory_limit: Some(1 << 20),
        speculation: Speculation::Off,
        ..EngineOptions::default()
    }
}

fn greedy(prompt: &[u32], max_tokens: usize) -> Request {
    Request {
        prompt: prompt.to_vec(),
        max_tokens: Some(max_tokens),
        sampling: SamplingParams {
            temperature: 0.0,
            ..SamplingParams::default()
        },
        ignore_eos: true,
        ..Request::default()
    }
}

fn collect(mut stream: RequestStream) -> Answer {
    let (mut tokens, mut text) = (Vec::new(), String::new());
    loop {
        match stream.blocking_next().expect("the stream ended early") {
            Event::Token(event) => {
                tokens.push(event.token);
                text.push_str(&event.text);
            }
            Event::Finished(finish) => {
                text.push_str(&finish.text);
                let end = Ok(finish);
                return Answer { tokens, text, end };
            }
            Event::Failed(error) => {
                let end = Err(error);
                return Answer { tokens, text, end };
            }
            Event::Queued { .. } | Event::Prefill { .. } => {}
        }
    }
}

fn run(engine: &EngineHandle, request: Request) -> Answer {
    collect(engine.submit(request).unwrap())
}

fn prompt(count: u32) -> Vec<u32> {
    (0..count).map(|i| (i * 5 + 1) % 250).collect()
}

/// Statistics once so many requests have come and gone.
fn settled(engine: &EngineHandle, requests: u64) -> EngineStats {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let stats = engine.stats().borrow().clone();
        let totals = stats.totals;
        let ended = totals.finished + totals.cancelled + totals.failed;
        if stats.running.is_empty() && stats.waiting == 0 && ended == requests {
            return stats;
        }
        assert!(
            Instant::now() < deadline,
            "the engine does not settle: {stats:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn events_come_in_order_and_the_text_is_the_tokens() {
    let fake = Fake::default();
    let engine = start(&fake, options());
    let mut stream = engine
        .submit(greedy(
            b"0123456789abcdefghija".map(u32::from).as_slice(),
            5,
        ))
        .unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = stream.blocking_next() {
        kinds.push(match event {
            Event::Queued { ahead } => format!("queued {ahead}"),
            Event::Prefill {
                done,
                total,
                cached,
            } => format!("prefill {done}/{total} {cached}"),
            Event::Token(token) => format!("token {}", token.text),
            Event::Finished(finish) => {
                format!("{:?} {}", finish.reason, finish.usage.completion_tokens)
            }
            Event::Failed(error) => error.to_string(),
        });
    }
    assert_eq!(
        kinds,
        [
            "queued 0",
            "prefill 0/21 0",
            "prefill 16/21 0",
            "prefill 21/21 0",
            "token b",
            "token c",
            "token d",
            "token e",
            "token f",
            "Length 5"
        ]
    );
}

#[test]
fn many_at_once_say_what_each_says_alone() {
    let fake = Fake {
        sums: true,
        ..Fake::default()
    };
    let engine = start(&fake, options());
    let prompts: Vec<Vec<u32>> = (1..12).map(|i| prompt(i * 7)).collect();
    let streams: Vec<_> = prompts
        .iter()
        .enumerate()
        .map(|(i, p)| engine.submit(greedy(p, 5 + i)).unwrap())
        .collect();
    for (i, stream) in streams.into_iter().enumerate() {
        let answer = collect(stream);
        assert_eq!(answer.tokens, fake.answer(&prompts[i], 5 + i));
        assert_eq!(answer.finish().reason, FinishReason::Length);
    }
    let stats = settled(&engine, 11);
    assert_eq!((stats.totals.finished, stats.pages.used), (11, 0));
    assert!(fake.widest.load(Ordering::SeqCst) > 4);
}

#[test]
fn the_next_turn_computes_only_its_new_part() {
    let fake = Fake {
        sums: true,
        ..Fake::default()
    };
    let engine = start(&fake, options());
    let mut history = prompt(100);
    let mut cached = Vec::new();
    for _ in 0..4 {
        let answer = run(&engine, greedy(&history, 20));
        assert_eq!(answer.tokens, fake.answer(&history, 20));
        cached.push(answer.finish().usage.cached_tokens);
        history.extend(answer.tokens);
        history.extend(prompt(10));
    }
    // All but the last token of each answer, which was never an input.
    assert_eq!(cached, [0, 119, 149, 179]);
    let stats = settled(&engine, 4);
    assert_eq!(
        (stats.totals.prefix_hits, stats.totals.prefix_misses),
        (3, 1)
    );
    assert_eq!(stats.totals.cached_tokens, 119 + 149 + 179);
    assert!(stats.pages.cached > 0 && stats.bytes.kv > 0);
}

#[test]
fn endings() {
    let fake = Fake::default();
    let engine = start(&fake, options());
    let ask = |text: &str, change: &dyn Fn(&mut Request)| {
        let prompt: Vec<u32> = text.bytes().map(u32::from).collect();
        let mut request = greedy(&prompt, 20);
        request.ignore_eos = false;
        change(&mut request);
        run(&engine, request)
    };
    let stopped = ask("a", &|r| r.stop = vec!["efg".into(), "zz".into()]);
    assert_eq!(stopped.text, "bcd");
    assert_eq!(stopped.finish().stop_string.as_deref(), Some("efg"));
    assert_eq!(stopped.tokens.len(), 6);

    // Held back as the beginning of a stop string, but part of the answer.
    let held = ask("a", &|r| {
        (r.stop, r.max_tokens) = (vec!["efx".into()], Some(5))
    });
    assert_eq!(held.text, "bcdef");
    assert_eq!(held.finish().text, "ef");

    let token = ask("a", &|r| r.stop_tokens = vec![u32::from(b'e')]);
    assert_eq!(
        (token.text.as_str(), token.finish().reason),
        ("bcd", FinishReason::Stop)
    );
    assert_eq!(token.finish().usage.completion_tokens, 4);

    let text = |request: &mut Request| request.prompt = vec![256];
    let eos = ask("", &text);
    assert_eq!(eos.finish().reason, FinishReason::Stop);
    assert_eq!(eos.tokens, [257, 258, 259]);
    let ignored = ask("", &|r| (r.prompt, r.ignore_eos) = (vec![256], true));
    assert_eq!(ignored.finish().reason, FinishReason::Length);
    assert_eq!(ignored.tokens.len(), 20);

    let nothing = ask("a", &|r| r.max_tokens = Some(0));
    assert_eq!(nothing.finish().reason, FinishReason::Length);
    assert!(nothing.tokens.is_empty());
}

#[test]
fn the_context_is_the_end() {
    let fake = Fake {
        context: 30,
        ..Fake::default()
    };
    let engine = start(&fake, options());
    let answer = run(
        &engine,
        Request {
            max_tokens: None,
            ..greedy(&prompt(25), 0)
        },
    );
    assert_eq!(answer.tokens.len(), 5);
    assert_eq!(answer.finish().reason, FinishReason::Length);
    let error = engine.submit(greedy(&prompt(30), 1)).unwrap_err();
    assert_eq!(
        error,
        EngineError::PromptTooLong {
            prompt: 30,
            context: 30
        }
    );
}

#[test]
fn bad_requests_are_refused_at_once() {
    let engine = EngineHandle::start_with(options(), Fake::default());
    assert_eq!(
        engine.submit(greedy(&[1], 1)).unwrap_err(),
        EngineError::NoModel
    );
    wait(engine.load(source("fake"))).unwrap();
    assert_eq!(
        engine.submit(greedy(&[], 1)).unwrap_err(),
        EngineError::EmptyPrompt
    );
    let bad = |change: &dyn Fn(&mut Request)| {
        let mut request = greedy(&[1], 1);
        change(&mut request);
        match engine.submit(request).unwrap_err() {
            EngineError::BadParameter { parameter, .. } => parameter,
            other => panic!("{other}"),
        }
    };
    assert_eq!(bad(&|r| r.prompt = vec![400]), "prompt");
    assert_eq!(bad(&|r| r.sampling.temperature = f32::NAN), "temperature");
    assert_eq!(bad(&|r| r.sampling.temperature = -1.0), "temperature");
    assert_eq!(bad(&|r| r.sampling.top_p = 1.5), "top_p");
    assert_eq!(
        bad(&|r| r.sampling.repetition_penalty = 0.0),
        "repetition_penalty"
    );
    assert_eq!(
        bad(&|r| r.sampling.logit_bias = [(900, 1.0)].into()),
        "logit_bias"
    );
    assert_eq!(bad(&|r| r.logprobs = Some(1000)), "logprobs");
}

#[test]
fn the_same_seed_gives_the_same_tokens_alone_or_not() {
    let fake = Fake {
        sums: true,
        ..Fake::default()
    };
    let engine = start(&fake, options());
    let seeded = |seed| Request {
        sampling: SamplingParams {
            temperature: 8.0,
            seed: Some(seed),
            repetition_penalty: 1.1,
            ..SamplingParams::default()
        },
        ..greedy(&prompt(20), 30)
    };
    let alone = run(&engine, seeded(1)).tokens;
    let others: Vec<_> = (2..6).map(|s| engine.submit(seeded(s)).unwrap()).collect();
    let together = run(&engine, seeded(1)).tokens;
    assert_eq!(alone, together);
    for other in others {
        assert_ne!(collect(other).tokens, alone);
    }
}

#[test]
fn penalties_see_the_token_in_flight() {
    // Each token is the last one plus 1, unless it was seen: after a strong
    // penalty on repeats, going round the vocabulary is the only way.
    let engine = start(&Fake::default(), options());
    let mut request = greedy(&[5, 6, 5], 3);
    request.sampling.presence_penalty = 10.0;
    // 6 was seen, and so was 5: their neighbours come next.
    let tokens = run(&engine, request).tokens;
    assert!(!tokens.contains(&5) && !tokens.contains(&6), "{tokens:?}");
    let mut unique = tokens.clone();
    unique.dedup();
    assert_eq!(unique, tokens);
}

#[test]
fn logprobs_come_with_their_tokens() {
    let engine = start(&Fake::default(), options());
    let request = Request {
        logprobs: Some(3),
        ..greedy(&[u32::from(b'a')], 2)
    };
    let mut stream = engine.submit(request).unwrap();
    let mut seen = 0;
    while let Some(event) = stream.blocking_next() {
        if let Event::Token(token) = event {
            seen += 1;
            let own = token.logprob.unwrap();
            assert_eq!(own.token, token.token);
            assert_eq!(token.top_logprobs.len(), 3);
            assert_eq!(token.top_logprobs[0], own);
            assert!(own.logprob < 0.0 && own.logprob > token.top_logprobs[1].logprob);
            assert_eq!(own.bytes, own.text.as_bytes());
        }
    }
    assert_eq!(seen, 2);
}
