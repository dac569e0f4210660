//! Cancelling at every stage, and queues that drain: memory comes back.

use super::*;

/// Bytes of running requests come back to none.
fn at_rest(engine: &EngineHandle, requests: u64) -> EngineStats {
    let stats = settled(engine, requests);
    assert_eq!((stats.bytes.kv_running, stats.pages.used), (0, 0));
    assert_eq!((stats.running.len(), stats.waiting), (0, 0));
    stats
}

fn slow() -> Fake {
    Fake {
        delay: Duration::from_millis(2),
        ..Fake::default()
    }
}

/// Reads until the prompt is computed up to `done`.
fn until_prefilled(stream: &mut RequestStream, tokens: usize) {
    let reached = |event| match event {
        Some(Event::Prefill { done, .. }) => done >= tokens,
        Some(_) => false,
        None => panic!("the stream ended early"),
    };
    while !reached(stream.blocking_next()) {}
}

#[test]
fn memory_comes_back_at_every_stage() {
    let limits = EngineOptions {
        max_sequences: 3,
        ..options()
    };
    let engine = start(&slow(), limits);
    let mut reading = engine.submit(greedy(&prompt(3200), 1)).unwrap();
    until_prefilled(&mut reading, 32);
    let mut decoding = engine.submit(greedy(&[1], 2000)).unwrap();
    while !matches!(decoding.blocking_next(), Some(Event::Token(_))) {}
    // Admitted at the next turn, nothing of it computed yet.
    let admitted = engine.submit(greedy(&prompt(3000), 1)).unwrap();
    let queued = engine.submit(greedy(&prompt(3000), 1)).unwrap();
    for stream in [queued, admitted, decoding, reading] {
        drop(stream);
    }
    let stats = at_rest(&engine, 4);
    assert_eq!((stats.totals.cancelled, stats.totals.failed), (4, 0));
    assert_eq!(run(&engine, greedy(&[7], 2)).tokens, [8, 9]);
}

#[test]
fn a_preempted_request_can_be_cancelled() {
    let fake = Fake {
        weights: 0,
        ..slow()
    };
    let limits = EngineOptions {
        memory_limit: Some(2 * 512 * 8),
        ..options()
    };
    let engine = start(&fake, limits);
    // Two that outgrow what they were admitted with: one of them steps back.
    let mut streams = [250, 251].map(|length| engine.submit(greedy(&prompt(length), 400)).unwrap());
    for stream in &mut streams {
        for _ in 0..200 {
            stream.blocking_next();
        }
    }
    // Each goes on for some 128 tokens that nobody reads.
    let stats = engine.stats();
    let deadline = Instant::now() + Duration::from_secs(10);
    while stats.borrow().waiting == 0 {
        assert!(Instant::now() < deadline, "{:?}", *stats.borrow());
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(streams);
    let stats = at_rest(&engine, 2);
    assert_eq!(stats.totals.cancelled, 2);
    assert!(stats.totals.preempted >= 1);
}

#[test]
fn two_hundred_and_fifty_six_in_the_queue_drain() {
    let fake = Fake {
        sums: true,
        ..Fake::default()
    };
    let limits = EngineOptions {
        max_sequences: 8,
        ..options()
    };
    let engine = start(&fake, limits);
    let before = engine.stats().borrow().bytes;
    let request = |number: u32| greedy(&prompt(20 + number % 50), 3 + number as usize % 9);
    let streams: Vec<_> = (0..256)
        .map(|number| engine.submit(request(number)).unwrap())
        .collect();
    for (number, stream) in (0..).zip(streams) {
        let wanted = request(number);
        let expected = fake.answer(&wanted.prompt, wanted.max_tokens.unwrap());
        assert_eq!(collect(stream).tokens, expected);
    }
    let stats = at_rest(&engine, 256);
    assert_eq!(stats.totals.finished, 256);
    assert_eq!(stats.bytes.kv_running, before.kv_running);
    wait(engine.unload());
    assert_eq!(engine.stats().borrow().bytes.kv, 0);
}

#[test]
fn a_queue_of_readers_that_leave_drains_too() {
    let limits = EngineOptions {
        max_sequences: 2,
        ..options()
    };
    let engine = start(&slow(), limits);
    let streams: Vec<_> = (0..200)
        .map(|number| engine.submit(greedy(&prompt(20 + number), 50)).unwrap())
        .collect();
    drop(streams);
    let stats = at_rest(&engine, 200);
    assert_eq!(stats.totals.finished + stats.totals.cancelled, 200);
    assert!(stats.totals.cancelled >= 198);
}
