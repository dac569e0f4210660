//! What requests find of earlier ones: in memory, beside them, after a restart.

use super::*;

fn sums() -> Fake {
    Fake {
        sums: true,
        ..Fake::default()
    }
}

fn on_disk(folder: &std::path::Path) -> EngineOptions {
    EngineOptions {
        disk_cache: Some(DiskOptions {
            folder: folder.to_owned(),
            limit: 1 << 30,
        }),
        ..options()
    }
}

#[test]
fn a_restart_goes_on_from_the_disk() {
    let home = tempfile::tempdir().unwrap();
    let fake = sums();
    let mut history = prompt(150);
    for restart in 0..3 {
        let engine = start(&fake, on_disk(home.path()));
        for turn in 0..2 {
            let answer = run(&engine, greedy(&history, 30));
            assert_eq!(answer.tokens, fake.answer(&history, 30));
            let found = answer.finish().usage.cached_tokens;
            match (restart, turn) {
                (0, 0) => assert_eq!(found, 0),
                // Full pages of all that was computed.
                (_, 0) => assert_eq!(found, (history.len() - 11) / 64 * 64),
                _ => assert_eq!(found, history.len() - 11),
            }
            history.extend(answer.tokens);
            history.extend(prompt(10));
        }
        wait(engine.flush());
        let stats = settled(&engine, 2);
        assert_eq!(stats.cache.disk.queued, 0);
        assert!(stats.cache.disk.written_pages > 0 && stats.cache.disk.writing);
        assert_eq!(stats.cache.prefix.disk_hits, u64::from(restart > 0));
    }
}

#[test]
fn pages_are_stored_without_being_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let fake = sums();
    let engine = start(&fake, on_disk(home.path()));
    run(&engine, greedy(&prompt(200), 5));
    let deadline = Instant::now() + Duration::from_secs(10);
    while engine.stats().borrow().cache.disk.written_pages < 3 {
        assert!(Instant::now() < deadline, "{:?}", engine.stats().borrow());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn models_do_not_share_pages() {
    let home = tempfile::tempdir().unwrap();
    let fake = sums();
    let engine = start(&fake, on_disk(home.path()));
    run(&engine, greedy(&prompt(200), 5));
    wait(engine.flush());
    wait(engine.load(source("another"))).unwrap();
    let answer = run(&engine, greedy(&prompt(200), 5));
    assert_eq!(answer.finish().usage.cached_tokens, 0);
    wait(engine.load(source("fake"))).unwrap();
    let answer = run(&engine, greedy(&prompt(200), 5));
    assert_eq!(answer.finish().usage.cached_tokens, 192);
}

#[test]
fn a_prompt_is_shared_while_it_is_answered() {
    let fake = Fake {
        delay: Duration::from_millis(2),
        ..sums()
    };
    let engine = start(&fake, options());
    let system = prompt(130);
    let mut first = engine.submit(greedy(&system, 400)).unwrap();
    while !matches!(first.blocking_next(), Some(Event::Token(_))) {}
    let others: Vec<_> = (0..4u32)
        .map(|i| [&system[..], &[i + 1, 7, 9]].concat())
        .map(|prompt| (engine.submit(greedy(&prompt, 6)).unwrap(), prompt))
        .collect();
    for (stream, prompt) in others {
        let answer = collect(stream);
        assert_eq!(answer.tokens, fake.answer(&prompt, 6));
        assert_eq!(answer.finish().usage.cached_tokens, 130);
    }
    first.cancel();
}

#[test]
fn every_branch_of_a_chat_is_found() {
    let fake = sums();
    let engine = start(&fake, options());
    let trunk = prompt(300);
    run(&engine, greedy(&trunk, 4));
    for (at, found) in [
        (250, 250),
        (100, 100),
        (64, 64),
        (63, 63),
        (16, 16),
        // Less is not worth gathering.
        (15, 0),
        (1, 0),
    ] {
        let mut branch = trunk[..at].to_vec();
        branch.extend([3; 200]);
        let answer = run(&engine, greedy(&branch, 4));
        assert_eq!(answer.tokens, fake.answer(&branch, 4));
        assert_eq!(answer.finish().usage.cached_tokens, found);
        let again = run(&engine, greedy(&trunk, 4));
        assert_eq!(again.tokens, fake.answer(&trunk, 4));
        assert_eq!(again.finish().usage.cached_tokens, 299);
    }
}
