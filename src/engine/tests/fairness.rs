//! Who goes first, and that nobody's text hangs on who else runs.

use super::*;

/// One that runs alone until it is told to stop, so that others queue up.
fn occupied(engine: &EngineHandle) -> RequestStream {
    let mut stream = engine.submit(greedy(&[1], 3000)).unwrap();
    while !matches!(stream.blocking_next(), Some(Event::Token(_))) {}
    stream
}

fn with_priority(priority: i8, token: u32) -> Request {
    Request {
        priority: Priority(priority),
        ..greedy(&[token], 2)
    }
}

#[test]
fn a_higher_priority_is_admitted_first_and_the_queue_says_so() {
    let fake = Fake {
        delay: Duration::from_millis(10),
        ..Fake::default()
    };
    let engine = start(
        &fake,
        EngineOptions {
            max_sequences: 1,
            ..options()
        },
    );
    let first = occupied(&engine);
    let requests = [(0, 10), (0, 20), (-10, 30), (7, 40), (-10, 50)];
    let mut streams: Vec<_> = requests
        .iter()
        .map(|(priority, token)| engine.submit(with_priority(*priority, *token)).unwrap())
        .collect();
    let ahead: Vec<usize> = streams
        .iter_mut()
        .map(|stream| match stream.blocking_next() {
            Some(Event::Queued { ahead }) => ahead,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ahead, [0, 1, 0, 3, 1]);
    drop(first);
    let waits = streams.into_iter().map(|stream| {
        let answer = collect(stream);
        (answer.finish().timings.queued, answer.tokens[0])
    });
    // They came within a moment and each takes two steps.
    let mut waits: Vec<_> = waits.collect();
    waits.sort();
    let order: Vec<u32> = waits.into_iter().map(|(_, token)| token).collect();
    assert_eq!(order, [31, 51, 11, 21, 41]);
}

#[test]
fn a_long_prompt_does_not_hold_up_who_decodes() {
    let fake = Fake::default();
    let engine = start(&fake, options());
    let mut decoding = occupied(&engine);
    let mut long = engine.submit(greedy(&prompt(3200), 1)).unwrap();
    let begun = |event| match event {
        Some(Event::Prefill { done, .. }) => done > 1,
        Some(_) => false,
        None => panic!("the stream ended early"),
    };
    while !begun(long.blocking_next()) {}
    // 200 chunks of 16: a token of the other after each.
    let mut tokens = 0;
    let ended = std::thread::spawn(move || collect(long).tokens.len());
    while !ended.is_finished() {
        if matches!(decoding.blocking_next(), Some(Event::Token(_))) {
            tokens += 1;
        }
    }
    assert_eq!(ended.join().unwrap(), 1);
    assert!(tokens >= 100, "{tokens} tokens during 200 chunks");
}

/// How the requests of a test look: their least length, and their answers'.
#[derive(Clone, Copy)]
struct Sizes {
    prompt: u32,
    answer: usize,
}

fn seeded(seed: u64, sizes: Sizes) -> Request {
    Request {
        sampling: SamplingParams {
            temperature: if seed == 0 { 0.0 } else { 8.0 },
            seed: Some(seed),
            ..SamplingParams::default()
        },
        ..greedy(&prompt(sizes.prompt + seed as u32), sizes.answer)
    }
}

/// The texts of the seeds 0 to 7: each alone, all at once, and one after the
/// other while those before still run. Then how often one was preempted.
fn texts(deterministic: bool, memory: u64, sizes: Sizes) -> ([Vec<Vec<u32>>; 3], u64) {
    let fake = Fake {
        sums: true,
        shaped: true,
        weights: 0,
        ..Fake::default()
    };
    let start = || {
        let options = EngineOptions {
            deterministic,
            memory_limit: Some(memory),
            ..options()
        };
        start(&fake, options)
    };
    let submit = |engine: &EngineHandle, seed| engine.submit(seeded(seed, sizes)).unwrap();
    // Readers of their own: one that is not read would be paused.
    let reader = |stream| std::thread::spawn(move || collect(stream).tokens);
    let engine = start();
    let alone = (0..8).map(|seed| collect(submit(&engine, seed)).tokens);
    let alone = alone.collect();
    let engine = start();
    let readers: Vec<_> = (0..8).map(|seed| reader(submit(&engine, seed))).collect();
    let together = readers.into_iter().map(|it| it.join().unwrap()).collect();
    let mut preempted = settled(&engine, 8).totals.preempted;
    let engine = start();
    let mut readers: Vec<_> = (0..8)
        .rev()
        .map(|seed| {
            let stream = submit(&engine, seed);
            std::thread::sleep(Duration::from_millis(3));
            reader(stream)
        })
        .collect();
    readers.reverse();
    let staggered = readers.into_iter().map(|it| it.join().unwrap()).collect();
    preempted += settled(&engine, 8).totals.preempted;
    ([alone, together, staggered], preempted)
}

const SHORT: Sizes = Sizes {
    prompt: 40,
    answer: 25,
};

#[test]
fn a_deterministic_engine_says_the_same_whatever_else_runs() {
    let ([alone, together, staggered], _) = texts(true, 1 << 20, SHORT);
    assert_eq!(alone, together);
    assert_eq!(alone, staggered);
}

#[test]
fn and_also_where_memory_is_short_and_sequences_begin_again() {
    let long = Sizes {
        prompt: 240,
        answer: 300,
    };
    let ([alone, together, staggered], preempted) = texts(true, 2 * 512 * 8, long);
    assert!(preempted > 0);
    assert_eq!(alone, together);
    assert_eq!(alone, staggered);
}

#[test]
fn without_it_this_model_does_not() {
    let ([alone, together, _], _) = texts(false, 1 << 20, SHORT);
    assert_ne!(alone, together, "the tests above would prove nothing");
}
