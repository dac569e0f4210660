//! Cancelling, queueing, faults, slow readers, memory, changing models.

use super::*;

#[test]
fn cancelling_takes_effect_within_a_step() {
    let fake = Fake {
        delay: Duration::from_millis(5),
        ..Fake::default()
    };
    let engine = start(&fake, options());
    // In a long prefill: 200 chunks.
    let mut stream = engine.submit(greedy(&prompt(3200), 1)).unwrap();
    while !matches!(
        stream.blocking_next(),
        Some(Event::Prefill { done: 32, .. })
    ) {}
    stream.cancel();
    let answer = collect(stream);
    assert_eq!(answer.finish().reason, FinishReason::Cancelled);
    assert!(fake.rows.load(Ordering::SeqCst) < 1600);
    // While decoding, by dropping the stream.
    let mut stream = engine.submit(greedy(&[1], 2000)).unwrap();
    while !matches!(stream.blocking_next(), Some(Event::Token(_))) {}
    drop(stream);
    let stats = settled(&engine, 2);
    assert_eq!((stats.totals.cancelled, stats.pages.used), (2, 0));
    assert!(stats.totals.generated_tokens < 1000);
}

#[test]
fn the_queue_has_a_limit_and_an_order() {
    let fake = Fake {
        delay: Duration::from_millis(3),
        ..Fake::default()
    };
    let engine = start(
        &fake,
        EngineOptions {
            max_sequences: 1,
            queue_limit: 2,
            ..options()
        },
    );
    let mut first = engine.submit(greedy(&[1], 60)).unwrap();
    while !matches!(first.blocking_next(), Some(Event::Token(_))) {}
    let mut second = engine.submit(greedy(&[2], 2)).unwrap();
    let third = engine.submit(greedy(&[3], 2)).unwrap();
    assert_eq!(
        engine.submit(greedy(&[4], 2)).unwrap_err(),
        EngineError::QueueFull { waiting: 2 }
    );
    assert!(matches!(
        second.blocking_next(),
        Some(Event::Queued { ahead: 0 })
    ));
    second.cancel();
    assert_eq!(collect(second).finish().reason, FinishReason::Cancelled);
    assert_eq!(collect(first).tokens.len(), 59);
    assert_eq!(collect(third).tokens, [4, 5]);
    assert_eq!(settled(&engine, 3).totals.requests, 3);
}

#[test]
fn a_fault_fails_its_own_request_only() {
    let fake = Fake {
        sums: true,
        panic_rows: Some(113),
        error_rows: Some(111),
        nan_rows: Some(109),
        delay: Duration::from_millis(1),
        ..Fake::default()
    };
    let engine = start(
        &fake,
        EngineOptions {
            prefill_chunk: Some(512),
            ..options()
        },
    );
    let good: Vec<_> = (2..6)
        .map(|i| engine.submit(greedy(&prompt(i), 40)).unwrap())
        .collect();
    let panics = engine.submit(greedy(&prompt(113), 5)).unwrap();
    let fails = engine.submit(greedy(&prompt(111), 5)).unwrap();
    let nan = engine.submit(greedy(&prompt(109), 5)).unwrap();
    for (stream, length) in good.into_iter().zip(2..) {
        assert_eq!(collect(stream).tokens, fake.answer(&prompt(length), 40));
    }
    match collect(panics).end.unwrap_err() {
        EngineError::Compute(reason) => assert!(reason.contains("113 rows"), "{reason}"),
        other => panic!("{other}"),
    }
    assert!(matches!(collect(fails).end, Err(EngineError::Compute(_))));
    assert_eq!(
        collect(nan).end.unwrap_err(),
        EngineError::NotFinite { position: 109 }
    );
    let stats = settled(&engine, 7);
    assert_eq!(
        (stats.totals.failed, stats.totals.finished, stats.pages.used),
        (3, 4, 0)
    );
    assert_eq!(
        run(&engine, greedy(&prompt(3), 2)).tokens,
        fake.answer(&prompt(3), 2)
    );
}

#[test]
fn a_slow_reader_loses_nothing_and_stalls_nobody() {
    let fake = Fake::default();
    let engine = start(&fake, options());
    let slow = engine.submit(greedy(&[1], 1000)).unwrap();
    for _ in 0..5 {
        assert_eq!(run(&engine, greedy(&[9], 100)).tokens.len(), 100);
    }
    // It was paused, and goes on when it is read.
    assert!(fake.rows.load(Ordering::SeqCst) < 5 * 100 + 300);
    assert_eq!(collect(slow).tokens, fake.answer(&[1], 1000));
}

#[test]
fn memory_is_admitted_by_bytes() {
    let fake = Fake {
        sums: true,
        weights: 0,
        ..Fake::default()
    };
    // Room for two buffers of 256 tokens.
    let limit = Some(2 * 256 * 8);
    let engine = start(
        &fake,
        EngineOptions {
            memory_limit: limit,
            ..options()
        },
    );
    let error = run(&engine, greedy(&prompt(600), 1)).end.unwrap_err();
    match error {
        EngineError::OutOfMemory { needed, limit, .. } => {
            assert_eq!((needed, limit), (768 * 8, 512 * 8));
        }
        other => panic!("{other}"),
    }
    // Three at once that each need a buffer take turns.
    let streams: Vec<_> = (1..4)
        .map(|i| engine.submit(greedy(&prompt(i * 50), 40)).unwrap())
        .collect();
    for (i, stream) in streams.into_iter().enumerate() {
        let count = (i as u32 + 1) * 50;
        assert_eq!(collect(stream).tokens, fake.answer(&prompt(count), 40));
    }
    // Two that outgrow their first buffer: one steps back and comes again.
    let streams: Vec<_> = [3, 4]
        .map(|i| engine.submit(greedy(&prompt(i), 400)).unwrap())
        .into();
    for (count, stream) in [3, 4].into_iter().zip(streams) {
        assert_eq!(collect(stream).tokens, fake.answer(&prompt(count), 400));
    }
    let stats = settled(&engine, 6);
    assert_eq!((stats.totals.failed, stats.pages.used), (1, 0));
    assert!(stats.bytes.kv <= 512 * 8);
}

#[test]
fn models_are_replaced_and_a_failing_load_leaves_the_old_one() {
    let fake = Fake {
        delay: Duration::from_millis(1),
        ..Fake::default()
    };
    let engine = start(&fake, options());
    let running = engine.submit(greedy(&[1], 30)).unwrap();
    let broken = wait(engine.load(source("broken"))).unwrap_err();
    assert!(broken.to_string().contains("it is broken"), "{broken}");
    assert!(matches!(
        wait(engine.load(source("panics"))),
        Err(EngineError::Load { .. })
    ));
    assert_eq!(engine.model().borrow().as_ref().unwrap().id, "fake");
    assert_eq!(collect(running).tokens.len(), 30);
    let other = wait(engine.load(source("other"))).unwrap();
    assert_eq!(other.id, "other");
    let stats = settled(&engine, 1);
    assert_eq!(
        (stats.model.as_deref(), stats.loading),
        (Some("other"), None)
    );
    assert_eq!(stats.pages.cached, 0);
    wait(engine.unload());
    assert!(engine.model().borrow().is_none());
    assert_eq!(
        engine.submit(greedy(&[1], 1)).unwrap_err(),
        EngineError::NoModel
    );
}

#[test]
fn weights_that_do_not_fit_are_refused_with_the_sum() {
    let fake = Fake {
        weights: 700,
        ..Fake::default()
    };
    let limits = EngineOptions {
        memory_limit: Some(1000),
        ..options()
    };
    let engine = start(&fake, limits);
    // Both together do not fit: the old one goes first, and that is said.
    let error = wait(engine.load(source("broken"))).unwrap_err().to_string();
    assert!(error.contains("freed first"), "{error}");
    assert!(engine.model().borrow().is_none());
    let huge = Fake {
        weights: 5000,
        ..Fake::default()
    };
    let engine = EngineHandle::start_with(
        EngineOptions {
            memory_limit: Some(1000),
            ..options()
        },
        huge,
    );
    match wait(engine.load(source("huge"))).unwrap_err() {
        EngineError::OutOfMemory { needed, limit, .. } => assert_eq!((needed, limit), (5000, 1000)),
        other => panic!("{other}"),
    }
}

#[test]
fn a_reader_that_never_reads_does_not_block_a_change_of_model() {
    let fake = Fake::default();
    let engine = start(&fake, options());
    let stuck = engine.submit(greedy(&[1], 3000)).unwrap();
    wait(engine.load(source("other"))).unwrap();
    let answer = collect(stuck);
    assert!(matches!(answer.end, Err(EngineError::Compute(_))));
    assert_eq!(
        answer.tokens[..],
        fake.answer(&[1], 3000)[..answer.tokens.len()]
    );
}
