//! Random histories: sequences that come together, repeat themselves, end at
//! limits and stops or are cancelled. What each says is what it says without
//! proposals, and memory comes back.

use proptest::prelude::*;

use super::*;

/// One request of a history.
#[derive(Debug, Clone)]
struct Plan {
    text: Vec<u32>,
    most: usize,
    /// Its reader leaves after so many events.
    leaves: Option<usize>,
    stop: Option<u32>,
    /// Of seeded sampling; otherwise greedy.
    seed: Option<u64>,
    penalty: bool,
    off: bool,
}

impl Plan {
    fn request(&self) -> Request {
        let mut request = greedy(&self.text, self.most);
        request.stop_tokens.extend(self.stop);
        request.sampling.seed = self.seed;
        request.sampling.temperature = if self.seed.is_some() { 0.7 } else { 0.0 };
        request.sampling.presence_penalty = if self.penalty { 0.8 } else { 0.0 };
        request.speculation = self.off.then_some(Speculation::Off);
        request
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let text = prop_oneof![
        3 => (1u32..200).prop_map(circle),
        2 => (4usize..90).prop_map(alphabet),
        1 => prop::collection::vec(0u32..250, 1..150),
    ];
    let leaves = prop::option::weighted(0.3, 0usize..60);
    let stop = prop::option::weighted(0.2, 0u32..VOCABULARY);
    let seed = prop::option::weighted(0.2, 0u64..5);
    let rare = || prop::bool::weighted(0.15);
    (text, 0usize..90, leaves, stop, seed, rare(), rare()).prop_map(
        |(text, most, leaves, stop, seed, penalty, off)| Plan {
            text,
            most,
            leaves,
            stop,
            seed,
            penalty,
            off,
        },
    )
}

const VOCABULARY: u32 = crate::engine::testing::VOCABULARY as u32;

/// The tokens that came, and whether that was all.
fn read(mut stream: RequestStream, leaves: Option<usize>) -> (Vec<u32>, bool) {
    let mut tokens = Vec::new();
    for _ in 0..leaves.unwrap_or(usize::MAX) {
        match stream.blocking_next().expect("the stream ended early") {
            Event::Token(event) => tokens.push(event.token),
            Event::Finished(_) => return (tokens, true),
            Event::Failed(error) => panic!("{error}"),
            Event::Queued { .. } | Event::Prefill { .. } => {}
        }
    }
    (tokens, false)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_history_changes_an_answer(
        remembers: bool,
        draft in prop::sample::select(vec!["fake", "another", "faulty"]),
        speculation in prop::sample::select(
            vec![Speculation::Lookup, Speculation::Draft, Speculation::Auto],
        ),
        always_propose in prop::bool::weighted(0.8),
        draft_tokens in 1usize..10,
        max_sequences in 1usize..6,
        chunk in 16usize..200,
        // In tokens; little means that sequences wait and begin again.
        memory in prop::sample::select(vec![800u64, 1600, 100_000]),
        plans in prop::collection::vec(plan(), 1..8),
    ) {
        let fake = Fake { remembers, ..Fake::default() };
        let options = EngineOptions {
            speculation,
            always_propose,
            draft_tokens,
            max_sequences,
            prefill_chunk: Some(chunk),
            memory_limit: Some(3000 + 2 * memory * 8),
            ..options()
        };
        let engine = EngineHandle::start_with(options, fake.clone());
        wait(engine.load_with_draft(source("fake"), Some(source(draft)))).unwrap();
        let plain = start(&fake, super::super::options());
        let mut asked = 0;
        let mut plans = plans;
        // The second time with answers in them, and a question behind.
        for _ in 0..2 {
            let streams: Vec<_> = plans.iter().map(|it| engine.submit(it.request()).unwrap()).collect();
            asked += streams.len() as u64;
            for (plan, stream) in plans.iter_mut().zip(streams) {
                let (tokens, whole) = read(stream, plan.leaves);
                let answer = run(&plain, plan.request());
                let expected = answer.tokens;
                match whole {
                    true => prop_assert_eq!(&tokens, &expected),
                    false => prop_assert_eq!(&tokens[..], &expected[..tokens.len()]),
                }
                plan.text.extend(expected);
                plan.text.extend([3, 1, 4]);
            }
            let stats = settled(&engine, asked);
            prop_assert_eq!((stats.totals.failed, stats.pages.used), (0, 0));
            prop_assert_eq!(stats.bytes.kv_running, 0);
            prop_assert!(stats.totals.accepted_tokens <= stats.totals.proposed_tokens);
        }
        STARTED.lock().unwrap().push(engine);
    }
}
