//! Proposed tokens: answers do not change, whatever is proposed, by whom, and
//! whatever happens meanwhile.

mod drafts;
mod random;
mod states;

use super::*;

/// Proposes whenever there is something to propose.
fn proposing(speculation: Speculation) -> EngineOptions {
    EngineOptions {
        speculation,
        always_propose: true,
        draft_tokens: 5,
        prefill_chunk: Some(2048),
        ..options()
    }
}

fn with_draft(fake: &Fake, draft: &str, options: EngineOptions) -> EngineHandle {
    let engine = EngineHandle::start_with(options, fake.clone());
    wait(engine.load_with_draft(source("fake"), Some(source(draft)))).unwrap();
    STARTED.lock().unwrap().push(engine.clone());
    engine
}

/// Goes through the alphabet again and again: what the fake says is there.
fn alphabet(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| 97 + i % 26).collect()
}

/// An alphabet, and the whole vocabulary of a fake model that counts.
fn circle(end: u32) -> Vec<u32> {
    (0..262).chain(0..end).collect()
}

fn counts(answer: &Answer) -> (usize, usize) {
    let usage = answer.finish().usage;
    (usage.proposed_tokens, usage.accepted_tokens)
}

#[test]
fn what_was_said_before_is_proposed_and_taken() {
    let fake = Fake::default();
    let engine = start(&fake, proposing(Speculation::Lookup));
    let prompt = circle(50);
    let answer = run(&engine, greedy(&prompt, 120));
    assert_eq!(answer.tokens, fake.answer(&prompt, 120));
    let (proposed, accepted) = counts(&answer);
    assert!(accepted >= 90, "{accepted} of {proposed}");
    assert_eq!(proposed, accepted, "the fake only counts on");
    let stats = settled(&engine, 1);
    assert_eq!(stats.totals.proposed_tokens, proposed as u64);
    assert_eq!(stats.totals.accepted_tokens, accepted as u64);
    assert_eq!(stats.totals.generated_tokens, 120);
    assert_eq!(stats.pages.used, 0);
}

#[test]
fn it_starts_by_itself_where_it_pays() {
    // Rows cost next to nothing beside this.
    let fake = Fake {
        delay: Duration::from_millis(8),
        ..Fake::default()
    };
    let options = EngineOptions {
        speculation: Speculation::Lookup,
        ..options()
    };
    let engine = start(&fake, options);
    let prompt = circle(50);
    let answer = run(&engine, greedy(&prompt, 200));
    assert_eq!(answer.tokens, fake.answer(&prompt, 200));
    assert!(counts(&answer).1 > 60, "{:?}", counts(&answer));
    // A request may do without.
    let mut without = greedy(&prompt, 20);
    without.speculation = Some(Speculation::Off);
    assert_eq!(counts(&run(&engine, without)), (0, 0));
}

/// Requests of many kinds whose answers may not change.
fn all_kinds() -> Vec<Request> {
    let base = |prompt: &[u32]| Request {
        ignore_eos: false,
        ..greedy(prompt, 40)
    };
    let with = |prompt: &[u32], change: &dyn Fn(&mut Request)| {
        let mut request = base(prompt);
        change(&mut request);
        request
    };
    let (letters, all) = (alphabet(60), circle(100));
    let seeded = |request: &mut Request, temperature, seed| {
        request.sampling.temperature = temperature;
        request.sampling.seed = Some(seed);
    };
    vec![
        base(&all),
        base(&letters),
        with(&all, &|r| r.max_tokens = Some(1)),
        with(&all, &|r| r.max_tokens = Some(2)),
        with(&all, &|r| r.max_tokens = Some(7)),
        // Ends within what is proposed.
        with(&all, &|r| r.stop = vec!["jkl".into(), "zz".into()]),
        with(&all, &|r| r.stop_tokens = vec![109]),
        with(&circle(250), &|_| {}),
        with(&all, &|r| r.logprobs = Some(3)),
        with(&all, &|r| r.sampling.presence_penalty = 1.5),
        with(&all, &|r| {
            (r.sampling.frequency_penalty, r.sampling.penalty_context) = (0.7, 3);
        }),
        with(&letters, &|r| r.sampling.repetition_penalty = 1.3),
        with(&all, &|r| r.sampling.logit_bias = [(120, 3.0)].into()),
        with(&all, &|r| seeded(r, 0.5, 3)),
        with(&letters, &|r| seeded(r, 2.0, 4)),
        with(&all, &|r| {
            seeded(r, 1.0, 5);
            (r.sampling.top_p, r.sampling.top_k) = (0.8, 4);
            r.sampling.presence_penalty = 0.4;
            r.logprobs = Some(2);
        }),
    ]
}

#[derive(Debug, PartialEq)]
struct Told {
    tokens: Vec<TokenEvent>,
    text: String,
    reason: FinishReason,
    stop: Option<String>,
}

fn told(mut stream: RequestStream) -> (Told, Usage) {
    let mut tokens = Vec::new();
    loop {
        match stream.blocking_next().expect("the stream ended early") {
            Event::Token(event) => tokens.push(event),
            Event::Finished(finish) => {
                let told = Told {
                    tokens,
                    text: finish.text,
                    reason: finish.reason,
                    stop: finish.stop_string,
                };
                return (told, finish.usage);
            }
            Event::Failed(error) => panic!("{error}"),
            Event::Queued { .. } | Event::Prefill { .. } => {}
        }
    }
}

/// What each says by itself without proposals, and all at once with them.
fn assert_unchanged(fake: &Fake, engine: &EngineHandle) -> Usage {
    let plain = start(fake, options());
    let expected: Vec<Told> = all_kinds()
        .into_iter()
        .map(|request| told(plain.submit(request).unwrap()).0)
        .collect();
    let streams: Vec<_> = all_kinds()
        .into_iter()
        .map(|request| engine.submit(request).unwrap())
        .collect();
    let mut all = Usage::default();
    for (number, stream) in streams.into_iter().enumerate() {
        let (told, usage) = told(stream);
        assert_eq!(told, expected[number], "request {number}");
        all.proposed_tokens += usage.proposed_tokens;
        all.accepted_tokens += usage.accepted_tokens;
        assert!(usage.accepted_tokens <= usage.completion_tokens);
    }
    let stats = settled(engine, all_kinds().len() as u64);
    assert_eq!(stats.pages.used, 0);
    all
}

#[test]
fn no_answer_changes_by_looking_up() {
    let fake = Fake::default();
    let engine = start(&fake, proposing(Speculation::Lookup));
    let usage = assert_unchanged(&fake, &engine);
    assert!(usage.accepted_tokens > 100, "{usage:?}");
    assert!(usage.accepted_tokens < usage.proposed_tokens, "{usage:?}");
}

#[test]
fn no_answer_changes_where_it_is_left_to_decide() {
    let fake = Fake {
        delay: Duration::from_millis(1),
        ..Fake::default()
    };
    let options = EngineOptions {
        speculation: Speculation::Auto,
        ..options()
    };
    let engine = with_draft(&fake, "fake", options);
    assert_unchanged(&fake, &engine);
}

#[test]
fn a_step_with_proposals_that_fails_is_computed_without() {
    // A part of four rows fails: one token and three proposals.
    let fake = Fake {
        error_rows: Some(4),
        ..Fake::default()
    };
    let options = EngineOptions {
        draft_tokens: 3,
        ..proposing(Speculation::Lookup)
    };
    let engine = start(&fake, options);
    let prompt = circle(50);
    let answer = run(&engine, greedy(&prompt, 30));
    assert_eq!(answer.tokens, fake.answer(&prompt, 30));
}

#[test]
fn a_deterministic_engine_proposes_nothing() {
    let mut request = greedy(&circle(50), 40);
    request.speculation = Some(Speculation::Auto);
    let deterministic = EngineOptions {
        deterministic: true,
        ..proposing(Speculation::Lookup)
    };
    let engine = start(&Fake::default(), deterministic);
    assert_eq!(counts(&run(&engine, request)), (0, 0));
}

/// Requests that outgrow memory and of which some are cancelled.
fn assert_short_memory_is_no_harm(fake: &Fake) {
    // Room for about three sequences at a time, of 8 bytes a token.
    let options = EngineOptions {
        memory_limit: Some(1000 + 3 * 8 * 768),
        prefix_cache_bytes: Some(4096),
        ..proposing(Speculation::Auto)
    };
    for draft in ["fake", "another"] {
        let engine = with_draft(fake, draft, options.clone());
        let prompts: Vec<Vec<u32>> = (0..12).map(|i| circle(10 + 7 * i)).collect();
        let streams: Vec<_> = prompts
            .iter()
            .map(|prompt| engine.submit(greedy(prompt, 150)).unwrap())
            .collect();
        for (number, mut stream) in streams.into_iter().enumerate() {
            if number % 3 == 2 {
                // Gone after some tokens.
                for _ in 0..number {
                    stream.blocking_next();
                }
                drop(stream);
                continue;
            }
            let answer = collect(stream);
            assert_eq!(answer.tokens, fake.answer(&prompts[number], 150));
        }
        let stats = settled(&engine, 12);
        assert_eq!((stats.pages.used, stats.totals.failed), (0, 0));
    }
}

#[test]
fn memory_that_is_short_and_requests_that_go() {
    assert_short_memory_is_no_harm(&Fake::default());
}

#[test]
fn turns_after_proposals_reuse_what_was_accepted() {
    let fake = Fake::default();
    let engine = start(&fake, proposing(Speculation::Lookup));
    let mut history = circle(40);
    for turn in 0..4 {
        let answer = run(&engine, greedy(&history, 33));
        assert_eq!(answer.tokens, fake.answer(&history, 33));
        if turn > 0 {
            // All but the last token of the answer before.
            let new = history.len() - answer.finish().usage.cached_tokens;
            assert_eq!(new, 4);
        }
        history.extend(answer.tokens);
        history.extend([3, 1, 4]);
    }
}

#[test]
fn a_reader_that_does_not_read_stalls_nobody_and_loses_nothing() {
    for remembers in [false, true] {
        let fake = Fake {
            remembers,
            ..Fake::default()
        };
        let engine = start(&fake, proposing(Speculation::Lookup));
        let slow = engine.submit(greedy(&circle(50), 1000)).unwrap();
        for _ in 0..4 {
            let answer = run(&engine, greedy(&circle(70), 100));
            assert_eq!(answer.tokens, fake.answer(&circle(70), 100));
        }
        let so_far = engine.stats().borrow().totals.generated_tokens;
        assert!(so_far < 4 * 100 + 600, "{so_far}: it does not wait");
        assert_eq!(collect(slow).tokens, fake.answer(&circle(50), 1000));
    }
}

#[test]
fn a_queue_of_256_with_proposals_drains_and_memory_comes_back() {
    for remembers in [false, true] {
        let fake = Fake {
            remembers,
            ..Fake::default()
        };
        let engine = with_draft(&fake, "another", proposing(Speculation::Auto));
        let request = |number: u32| greedy(&circle(number % 50), 3 + number as usize % 20);
        let streams: Vec<_> = (0..256)
            .map(|number| engine.submit(request(number)).unwrap())
            .collect();
        for (number, stream) in (0..).zip(streams) {
            let wanted = request(number);
            let expected = fake.answer(&wanted.prompt, wanted.max_tokens.unwrap());
            assert_eq!(collect(stream).tokens, expected);
        }
        let stats = settled(&engine, 256);
        assert_eq!((stats.pages.used, stats.bytes.kv_running), (0, 0));
        assert!(stats.totals.accepted_tokens > 256, "{:?}", stats.totals);
        wait(engine.unload());
        assert_eq!(engine.stats().borrow().bytes.kv, 0);
    }
}
