//! Distributions, filters, penalties and independence of rows.

use super::*;

fn params(temperature: f32) -> SamplingParams {
    SamplingParams {
        temperature,
        ..SamplingParams::default()
    }
}

fn row(params: &SamplingParams, uniform: f32) -> RowSampling<'_> {
    RowSampling {
        params,
        uniform,
        history: None,
        logprobs: None,
        draft: None,
    }
}

fn logits(rows: &[&[f32]]) -> Array {
    Array::from_slice(&rows.concat(), &[rows.len() as i32, rows[0].len() as i32])
}

fn tokens(logits: &Array, rows: &[RowSampling]) -> Vec<u32> {
    let sampled = sample(logits, rows).unwrap();
    sampled.tokens.to_vec_exact::<u32>().unwrap()
}

/// How often each of four tokens with logits ln(1, 2, 3, 4) comes.
fn frequencies(params: &SamplingParams) -> Vec<f32> {
    let distribution: Vec<f32> = (1..=4).map(|p| (p as f32).ln()).collect();
    let count = 2000;
    let many = logits(&vec![distribution.as_slice(); count]);
    let rows: Vec<_> = (0..count)
        .map(|i| row(params, uniform(7, i as u64, Purpose::Token)))
        .collect();
    let drawn = tokens(&many, &rows);
    (0..4)
        .map(|t| drawn.iter().filter(|d| **d == t).count() as f32 / count as f32)
        .collect()
}

#[track_caller]
fn assert_near(found: &[f32], expected: [f32; 4]) {
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 0.04, "{found:?} is not {expected:?}");
        assert!(b > 0.0 || *a == 0.0, "{found:?} is not {expected:?}");
    }
}

#[test]
fn frequencies_follow_the_distribution() {
    assert_near(&frequencies(&params(1.0)), [0.1, 0.2, 0.3, 0.4]);
    let flat = 1.0 + 2f32.sqrt() + 3f32.sqrt() + 2.0;
    let expected = [1.0, 2f32.sqrt(), 3f32.sqrt(), 2.0].map(|w| w / flat);
    assert_near(&frequencies(&params(2.0)), expected);
}

#[test]
fn filters_cut_where_they_should() {
    let with = |change: fn(&mut SamplingParams)| {
        let mut params = params(1.0);
        change(&mut params);
        frequencies(&params)
    };
    let sevenths = [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0];
    assert_near(&with(|p| p.top_k = 2), sevenths);
    assert_near(&with(|p| p.top_p = 0.65), sevenths);
    assert_near(&with(|p| p.min_p = 0.7), sevenths);
    assert_near(&with(|p| p.top_p = 0.0), [0.0, 0.0, 0.0, 1.0]);
    // Top-p counts within what top-k leaves: 4/9, 7/9, 1.
    assert_near(&with(|p| (p.top_k, p.top_p) = (3, 0.7)), sevenths);
    assert_near(
        &with(|p| (p.top_k, p.top_p) = (100, 0.95)),
        [0.1, 0.2, 0.3, 0.4],
    );
    // The temperature does not move the cut.
    let mut cold = params(0.5);
    cold.top_p = 0.65;
    assert_near(&frequencies(&cold), [0.0, 0.0, 9.0 / 25.0, 16.0 / 25.0]);
}

#[test]
fn rows_are_independent_of_their_neighbours() {
    let many = [
        params(0.0),
        params(1.0),
        SamplingParams {
            top_k: 3,
            ..params(0.8)
        },
        SamplingParams {
            top_p: 0.7,
            ..params(1.3)
        },
        SamplingParams {
            top_k: 3,
            top_p: 0.5,
            min_p: 0.1,
            ..params(1.0)
        },
        SamplingParams {
            top_p: 0.4,
            ..params(1.0)
        },
    ];
    let data: Vec<Vec<f32>> = (0..6)
        .map(|r| {
            (0..50)
                .map(|v| ((v * 31 + r * 17) % 23) as f32 / 4.0)
                .collect()
        })
        .collect();
    let slices: Vec<&[f32]> = data.iter().map(Vec::as_slice).collect();
    for seed in 0..20 {
        let rows: Vec<_> = (0..6)
            .map(|r| row(&many[r], uniform(seed, r as u64, Purpose::Token)))
            .collect();
        let together = tokens(&logits(&slices), &rows);
        for (r, row) in rows.into_iter().enumerate() {
            assert_eq!(
                tokens(&logits(&slices[r..=r]), &[row]),
                [together[r]],
                "row {r}"
            );
        }
    }
}

#[test]
fn bias_and_penalties() {
    let row_of = |p: &SamplingParams, history: &[u32]| {
        let mut row = row(p, 0.0);
        row.history = (!history.is_empty()).then(|| index(history));
        tokens(&logits(&[&[1.0, 2.0, -1.0, 1.9]]), &[row])[0]
    };
    let mut p = params(0.0);
    assert_eq!(row_of(&p, &[]), 1);
    p.logit_bias = [(2, 10.0), (99, 100.0)].into();
    assert_eq!(row_of(&p, &[]), 2);
    let p = SamplingParams {
        repetition_penalty: 1.2,
        ..params(0.0)
    };
    assert_eq!(row_of(&p, &[1]), 3);
    let p = SamplingParams {
        presence_penalty: 0.5,
        ..params(0.0)
    };
    assert_eq!(row_of(&p, &[1]), 3);
    assert_eq!(row_of(&p, &[1, 3]), 1);
    let p = SamplingParams {
        frequency_penalty: 0.06,
        ..params(0.0)
    };
    assert_eq!(row_of(&p, &[1]), 1);
    assert_eq!(row_of(&p, &[1, 1]), 3);
    assert!(needs_history(&p) && !needs_history(&params(1.0)));
}

#[test]
fn logprobs_are_of_the_plain_distribution() {
    let p = SamplingParams {
        logit_bias: [(0, 50.0)].into(),
        ..params(0.0)
    };
    let mut row = row(&p, 0.0);
    row.logprobs = Some(2);
    let sampled = sample(
        &logits(&[&[1f32.ln(), 2f32.ln(), 3f32.ln(), 4f32.ln()]]),
        &[row],
    );
    let sampled = sampled.unwrap();
    let logprobs = sampled.logprobs[0].as_ref().unwrap();
    assert_eq!(sampled.tokens.to_vec_exact::<u32>().unwrap(), [0]);
    let chosen = logprobs.chosen.to_vec_exact::<f32>().unwrap();
    assert!((chosen[0].exp() - 0.1).abs() < 1e-6);
    let mut top = logprobs.tokens.to_vec_exact::<u32>().unwrap();
    top.sort_unstable();
    assert_eq!(top, [2, 3]);
    let mass: f32 = logprobs
        .values
        .to_vec_exact::<f32>()
        .unwrap()
        .iter()
        .map(|v| v.exp())
        .sum();
    assert!((mass - 0.7).abs() < 1e-6);
}

#[test]
fn chance_is_uniform_and_repeatable() {
    for purpose in [Purpose::Token, Purpose::Draft, Purpose::Acceptance] {
        let uniform = |seed, index| uniform(seed, index, purpose);
        let mean: f32 = (0..4000).map(|i| uniform(1, i)).sum::<f32>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.02);
        assert_eq!(uniform(5, 9), uniform(5, 9));
        assert_ne!(uniform(5, 9), uniform(6, 9));
        assert!((0..4000).all(|i| (0.0..1.0).contains(&uniform(3, i))));
    }
    let both = |i| uniform(1, i, Purpose::Token) * uniform(1, i, Purpose::Acceptance);
    let product: f32 = (0..4000).map(both).sum::<f32>() / 4000.0;
    assert!((product - 0.25).abs() < 0.02, "{product}");
}

/// Pearson's statistic of counts of tokens drawn with probabilities.
fn chi_square(counts: &[usize], probabilities: &[f64]) -> f64 {
    let all = counts.iter().sum::<usize>() as f64;
    let pairs = counts.iter().zip(probabilities);
    pairs
        .filter(|(count, p)| {
            assert!(
                **p > 0.0 || **count == 0,
                "a token that cannot come: {counts:?}"
            );
            **p > 0.0
        })
        .map(|(count, p)| (*count as f64 - all * p).powi(2) / (all * p))
        .sum()
}

/// What each of `logits` is drawn with: tempered, of the `kept` likeliest.
fn probabilities(logits: &[f32], temperature: f32, kept: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    let mut weights = vec![0.0; logits.len()];
    for at in &order[..kept] {
        weights[*at] = f64::from(logits[*at] / temperature).exp();
    }
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

const TARGET: [f32; 6] = [1.0, 0.0, 2.0, -1.0, 1.5, 0.2];
const DRAFT: [f32; 6] = [2.0, 0.5, 0.3, -2.0, 1.0, 1.9];

#[test]
fn what_a_draft_draws_leaves_the_distribution_as_it_is() {
    let count = 4000;
    // Top-p 0.9 keeps four of the target's tokens and five of the draft's.
    for (top_p, kept) in [(1.0, [6, 6]), (0.9, [4, 4])] {
        let params = SamplingParams {
            top_p,
            ..params(0.8)
        };
        let p = probabilities(&TARGET, 0.8, kept[0]);
        let q = probabilities(&DRAFT, 0.8, kept[1]);
        let drafts: Vec<DraftRow> = (0..count)
            .map(|i| {
                let own = row(&params, uniform(3, i, Purpose::Draft));
                let (token, drawn) = propose(&logits(&[&DRAFT]), &own, true).unwrap();
                DraftRow {
                    token,
                    probabilities: drawn.unwrap(),
                    number: uniform(3, i, Purpose::Acceptance),
                }
            })
            .collect();
        let rows: Vec<RowSampling> = (0..count)
            .zip(&drafts)
            .map(|(i, draft)| RowSampling {
                draft: Some(draft),
                ..row(&params, uniform(3, i, Purpose::Token))
            })
            .collect();
        let drawn = tokens(&logits(&vec![TARGET.as_slice(); count as usize]), &rows);
        let (mut came, mut proposed, mut accepted) = ([0; 6], [0; 6], 0);
        for (token, draft) in drawn.iter().zip(&drafts) {
            let proposal = draft.token.to_vec_exact::<u32>().unwrap()[0];
            came[*token as usize] += 1;
            proposed[proposal as usize] += 1;
            accepted += usize::from(*token == proposal);
        }
        // Five degrees of freedom: 20.5 is passed once in a thousand times.
        assert!(chi_square(&came, &p) < 20.5, "{came:?} of {p:?}");
        assert!(chi_square(&proposed, &q) < 20.5, "{proposed:?} of {q:?}");
        // As many are kept as can be.
        let most: f64 = p.iter().zip(&q).map(|(p, q)| p.min(*q)).sum();
        let part = accepted as f64 / count as f64;
        assert!((part - most).abs() < 0.03, "{part} of {most}");
    }
}

#[test]
fn what_was_looked_up_leaves_the_distribution_as_it_is() {
    let params = SamplingParams {
        top_p: 0.9,
        ..params(1.2)
    };
    let p = probabilities(&TARGET, 1.2, 4);
    let count = 4000usize;
    let rows: Vec<_> = (0..count as u64)
        .map(|i| row(&params, uniform(9, i, Purpose::Token)))
        .collect();
    let drawn = tokens(&logits(&vec![TARGET.as_slice(); count]), &rows);
    for proposal in [2, 4, 3] {
        // A row and the one after it, were the proposal right.
        let (mut came, mut accepted) = ([0; 6], 0);
        for pair in drawn.chunks(2) {
            let kept = crate::engine::speculation::verify::kept(pair, &[proposal]);
            accepted += kept - 1;
            came[pair[0] as usize] += 1;
            assert_eq!(kept == 2, pair[0] == proposal);
        }
        assert!(chi_square(&came, &p) < 20.5, "{came:?} of {p:?}");
        let part = accepted as f64 / (count / 2) as f64;
        assert!((part - p[proposal as usize]).abs() < 0.04, "{part}");
    }
}

#[test]
fn rows_with_and_without_drafts_go_together() {
    let (free, sure) = (params(1.0), params(0.0));
    let certain = |token: u32, number| DraftRow {
        token: index(&[token]),
        probabilities: logits(&[&[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]]),
        number,
    };
    // p(3) is 0.03 and q(3) is 1: kept for a number below.
    let (kept, refused) = (certain(3, 0.001), certain(3, 0.9));
    let rows = [
        row(&sure, 0.0),
        RowSampling {
            draft: Some(&kept),
            ..row(&free, 0.5)
        },
        row(&free, 0.5),
        RowSampling {
            draft: Some(&refused),
            ..row(&free, 0.5)
        },
    ];
    let drawn = tokens(&logits(&[TARGET.as_slice(); 4]), &rows);
    assert_eq!((drawn[0], drawn[1]), (2, 3));
    assert_ne!(drawn[3], 3);
}
