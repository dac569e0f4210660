//! Proposed tokens: answers do not change, whatever is proposed, by whom, and
//! whatever happens meanwhile.

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
fn no_answer_changes_by_a_draft() {
    let fake = Fake::default();
    // The same model is always right, another one hardly ever.
    for (draft, right) in [("fake", true), ("another", false)] {
        let engine = with_draft(&fake, draft, proposing(Speculation::Draft));
        let usage = assert_unchanged(&fake, &engine);
        assert!(usage.proposed_tokens > 100, "{usage:?}");
        assert_eq!(usage.accepted_tokens > 100, right, "{usage:?}");
    }
    let engine = with_draft(&fake, "another", proposing(Speculation::Auto));
    assert!(assert_unchanged(&fake, &engine).accepted_tokens > 100);
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
fn the_same_model_as_draft_is_always_right() {
    let fake = Fake {
        sums: true,
        ..Fake::default()
    };
    let engine = with_draft(&fake, "fake", proposing(Speculation::Draft));
    let long = prompt(200);
    let answer = run(&engine, greedy(&long, 80));
    assert_eq!(answer.tokens, fake.answer(&long, 80));
    let (proposed, accepted) = counts(&answer);
    assert_eq!(proposed, accepted);
    assert!(accepted > 50, "{accepted}");
    // Its next turn begins with what both have kept.
    let mut history = long;
    history.extend(answer.tokens);
    history.extend(prompt(10));
    let answer = run(&engine, greedy(&history, 30));
    assert_eq!(answer.tokens, fake.answer(&history, 30));
    assert!(answer.finish().usage.cached_tokens >= 279);
}

#[test]
fn a_draft_that_draws_keeps_the_distribution() {
    let fake = Fake::default();
    let engine = with_draft(&fake, "another", proposing(Speculation::Draft));
    let request = |number: u32| Request {
        sampling: SamplingParams {
            temperature: 1.5,
            top_p: 0.95,
            ..SamplingParams::default()
        },
        speculation: Some(Speculation::Draft),
        ..greedy(&[100 + number % 3, 120], 12)
    };
    // Steps from a token to the next: e^(-|d-1|/1.5), without the tails that
    // top-p cuts off the untempered distribution.
    let mut steps = [0usize; 9];
    let mut proposed = 0;
    for round in 0..20 {
        let streams = (0..12).map(|number| engine.submit(request(round * 12 + number)).unwrap());
        for answer in streams.collect::<Vec<_>>().into_iter().map(collect) {
            proposed += counts(&answer).0;
            for pair in answer.tokens.windows(2) {
                let step = i64::from(pair[1]) - i64::from(pair[0]) + 3;
                steps[usize::try_from(step).unwrap().min(8)] += 1;
            }
        }
    }
    assert!(proposed > 500, "{proposed}");
    // e^-|d|: 0.46, 0.17 twice, 0.06 twice, 0.02 twice; top-p keeps seven.
    let weights: Vec<f64> = (-3..=5i32)
        .map(|step| (step - 1).abs())
        .map(|distance| f64::from(u8::from(distance <= 3)) * (-f64::from(distance) / 1.5).exp())
        .collect();
    let (all, mass) = (
        steps.iter().sum::<usize>() as f64,
        weights.iter().sum::<f64>(),
    );
    let chi: f64 = steps
        .iter()
        .zip(&weights)
        .filter(|(_, weight)| **weight > 0.0)
        .map(|(count, weight)| {
            let expected = all * weight / mass;
            (*count as f64 - expected).powi(2) / expected
        })
        .sum();
    // Six degrees of freedom: more than 45 happens once in 20 million runs.
    assert!(chi < 45.0, "{chi}: {steps:?}");
    assert_eq!((steps[0], steps[8]), (0, 0), "{steps:?}");
}

#[test]
fn a_draft_has_to_fit() {
    let fake = Fake::default();
    let load = |draft: Option<&str>, speculation| {
        let engine = EngineHandle::start_with(proposing(speculation), fake.clone());
        wait(engine.load_with_draft(source("fake"), draft.map(source)))
            .map(|model| model.draft.clone())
    };
    let message = load(Some("foreign"), Speculation::Draft)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("foreign") && message.contains("other tokens"),
        "{message}"
    );
    let message = load(Some("broken"), Speculation::Draft)
        .unwrap_err()
        .to_string();
    assert!(message.contains("broken"), "{message}");
    let message = load(None, Speculation::Draft).unwrap_err().to_string();
    assert!(message.contains("engine.draft_model"), "{message}");
    assert_eq!(load(Some("foreign"), Speculation::Auto), Ok(None));
    assert_eq!(load(Some("fake"), Speculation::Lookup), Ok(None));
    assert_eq!(
        load(Some("another"), Speculation::Auto),
        Ok(Some("another".into()))
    );
}

#[test]
fn a_draft_that_fails_costs_no_answer() {
    let fake = Fake::default();
    let engine = with_draft(&fake, "faulty", proposing(Speculation::Draft));
    let long = prompt(90);
    let streams: Vec<_> = (0..4)
        .map(|_| engine.submit(greedy(&long, 30)).unwrap())
        .collect();
    for stream in streams {
        assert_eq!(collect(stream).tokens, fake.answer(&long, 30));
    }
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
fn states_that_cannot_be_taken_back_are_left_alone() {
    let fake = Fake {
        remembers: true,
        ..Fake::default()
    };
    let prompt = circle(50);
    let mut request = greedy(&prompt, 40);
    request.speculation = Some(Speculation::Auto);
    let engine = start(&fake, proposing(Speculation::Lookup));
    assert_eq!(counts(&run(&engine, request.clone())), (0, 0));
    let deterministic = EngineOptions {
        deterministic: true,
        ..proposing(Speculation::Lookup)
    };
    let engine = start(&Fake::default(), deterministic);
    assert_eq!(counts(&run(&engine, request)), (0, 0));
}

#[test]
fn memory_that_is_short_and_requests_that_go() {
    let fake = Fake::default();
    // Room for about three sequences at a time, of 8 bytes a token.
    let options = EngineOptions {
        memory_limit: Some(1000 + 3 * 8 * 768),
        prefix_cache_bytes: Some(4096),
        ..proposing(Speculation::Auto)
    };
    for draft in ["fake", "another"] {
        let engine = with_draft(&fake, draft, options.clone());
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
