//! Proposals of a draft model: right or wrong, drawn, failing, refused.

use super::*;

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
