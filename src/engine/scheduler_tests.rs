//! What must hold of every plan, whatever is ready.

use proptest::prelude::*;

use super::*;
use crate::engine::turns::PATIENCE;

fn candidate(index: usize, remaining: usize) -> Candidate {
    Candidate {
        index,
        id: RequestId(index as u64),
        priority: Priority::default(),
        remaining,
        prompt: if remaining > 1 { remaining } else { 0 },
        again: 0,
        alone: false,
        stepped: 0,
        proposals: 0,
    }
}

fn scheduler(step: usize, prefill: usize) -> Scheduler {
    Scheduler::new(Budget::new(step, prefill, 1, false))
}

fn rows(shares: &[Share]) -> Vec<(usize, usize)> {
    shares.iter().map(|it| (it.index, it.rows)).collect()
}

#[test]
fn decode_rows_first_then_prompts_as_they_came() {
    let ready = [
        candidate(0, 40),
        candidate(1, 1),
        candidate(2, 30),
        candidate(3, 1),
    ];
    let shares = scheduler(100, 64).plan(&ready);
    assert_eq!(rows(&shares), [(1, 1), (3, 1), (0, 40), (2, 24)]);
    let samples: Vec<bool> = shares.iter().map(|share| share.samples).collect();
    assert_eq!(samples, [true, true, true, false]);
    // The step's budget counts both.
    let shares = scheduler(50, 64).plan(&ready);
    assert_eq!(rows(&shares), [(1, 1), (3, 1), (0, 40), (2, 8)]);
}

#[test]
fn proposals_come_last_and_not_beside_a_prompt() {
    let proposing = |index, proposals| Candidate {
        proposals,
        ..candidate(index, 1)
    };
    let ready = [proposing(0, 4), candidate(1, 1), proposing(2, 4)];
    let plan = |step, ready: &[Candidate]| {
        let shares = scheduler(step, 64).plan(ready);
        let proposals: Vec<usize> = shares.iter().map(|it| it.proposals).collect();
        (rows(&shares), proposals)
    };
    let whole = (vec![(1, 1), (0, 5), (2, 5)], vec![0, 4, 4]);
    assert_eq!(plan(100, &ready), whole);
    // The step's budget counts them, behind everybody's own row.
    let short = (vec![(1, 1), (0, 5), (2, 2)], vec![0, 4, 1]);
    assert_eq!(plan(8, &ready), short);
    let [first, second, _] = ready;
    let beside = (vec![(0, 1), (1, 1), (3, 9)], vec![0, 0, 0]);
    assert_eq!(plan(100, &[first, second, candidate(3, 9)]), beside);
}

#[test]
fn a_long_prompt_holds_the_others_up_by_one_chunk_a_token() {
    let mut scheduler = scheduler(4096, 512);
    let mut long = candidate(0, 32 * 1024);
    let mut steps = 0;
    while long.remaining > 1 {
        let shares = scheduler.plan(&[long, candidate(1, 1)]);
        assert_eq!(rows(&shares), [(1, 1), (0, 512.min(long.remaining))]);
        long.remaining -= 512.min(long.remaining - 1);
        steps += 1;
    }
    assert_eq!(steps, 64);
}

#[test]
fn a_higher_priority_reads_first_and_a_lower_one_is_not_forgotten() {
    let mut scheduler = scheduler(64, 16);
    let low = candidate(0, 1000);
    let high = Candidate {
        priority: Priority::INTERACTIVE,
        ..candidate(1, 1000)
    };
    let firsts: Vec<usize> = (0..3 * (PATIENCE + 1))
        .map(|_| scheduler.plan(&[low, high])[0].index)
        .collect();
    let low_turns = firsts.iter().filter(|index| **index == 0).count();
    assert_eq!((firsts[0], low_turns), (1, 3));
}

#[test]
fn what_was_taken_back_is_read_again_with_the_next_row() {
    let back = |index, again, proposals| Candidate {
        again,
        prompt: 0,
        proposals,
        ..candidate(index, 1 + again)
    };
    let ready = [back(0, 3, 4), candidate(1, 1), back(2, 2, 0)];
    let shares = scheduler(100, 64).plan(&ready);
    assert_eq!(rows(&shares), [(1, 1), (0, 8), (2, 3)]);
    assert!(shares.iter().all(|share| share.samples));
    // Rows of tokens go before proposals, and prompts beside them too.
    let shares = scheduler(9, 64).plan(&ready);
    assert_eq!(rows(&shares), [(1, 1), (0, 5), (2, 3)]);
    let shares = scheduler(100, 64).plan(&[ready[0], ready[1], candidate(3, 30)]);
    assert_eq!(rows(&shares), [(1, 1), (0, 4), (3, 30)]);
    // A part of them is not the whole.
    let shares = scheduler(3, 64).plan(&ready[..1]);
    assert_eq!((rows(&shares), shares[0].samples), (vec![(0, 3)], false));
}

#[test]
fn a_step_that_is_too_small_for_all_goes_round() {
    let mut scheduler = Scheduler::new(Budget {
        step: 2,
        prefill: 16,
        deterministic: false,
    });
    let mut ready: Vec<Candidate> = (0..5).map(|index| candidate(index, 1)).collect();
    let mut had = [0; 5];
    for _ in 0..20 {
        for share in scheduler.plan(&ready) {
            had[share.index] += 1;
            ready[share.index].stepped = scheduler.step();
        }
    }
    assert!(had.iter().all(|rows| *rows >= 6), "{had:?}");
}

#[test]
fn deterministic_steps_are_of_one_sequence_and_of_fixed_shapes() {
    let mut scheduler = Scheduler::new(Budget::new(64, 16, 8, true));
    // Computed anew after preemption: 20 of the prompt, then 3 single rows.
    let mut again = Candidate {
        prompt: 20,
        ..candidate(0, 23)
    };
    let mut shapes = Vec::new();
    let mut other = candidate(1, 1);
    while again.remaining > 0 {
        let shares = scheduler.plan(&[again, other]);
        assert_eq!(shares.len(), 1);
        let share = shares[0];
        if share.index == 1 {
            other.stepped = scheduler.step();
            continue;
        }
        again.stepped = scheduler.step();
        shapes.push((share.rows, share.samples));
        again.remaining -= share.rows;
        again.prompt = again.prompt.saturating_sub(share.rows);
    }
    let expected = [(16, false), (4, false), (1, false), (1, false), (1, true)];
    assert_eq!(shapes, expected);
}

fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (1usize..200, 0usize..200, -2i8..3, 0u64..50);
    prop::collection::vec(one, 1..40).prop_map(|all| {
        let make = |(index, it): (usize, (usize, usize, i8, u64))| {
            let (remaining, prompt, priority, stepped) = it;
            Candidate {
                priority: Priority(priority),
                prompt: prompt.min(remaining),
                stepped,
                ..candidate(index, remaining)
            }
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

proptest! {
    #[test]
    fn every_plan_keeps_to_the_budget_and_to_the_order(
        ready in any_candidates(), step in 1usize..300, prefill in 1usize..300,
    ) {
        let budget = Budget::new(step, prefill, ready.len(), false);
        let shares = Scheduler::new(budget).plan(&ready);
        let total: usize = shares.iter().map(|share| share.rows).sum();
        prop_assert!(total <= budget.step && total > 0);
        let of = |share: &Share| ready[share.index];
        let reading: Vec<&Share> = shares.iter().filter(|s| of(s).remaining > 1).collect();
        prop_assert!(reading.iter().map(|share| share.rows).sum::<usize>() <= budget.prefill);
        for candidate in ready.iter().filter(|candidate| candidate.remaining == 1) {
            prop_assert!(shares.iter().any(|share| share.index == candidate.index));
        }
        // Whoever wants to read goes after all who stand before him.
        for candidate in ready.iter().filter(|candidate| candidate.remaining > 1) {
            let before = |other: &Candidate| {
                (other.priority, other.id) < (candidate.priority, candidate.id)
            };
            if shares.iter().any(|share| share.index == candidate.index) {
                let skipped = ready.iter().filter(|other| other.remaining > 1 && before(other))
                    .any(|other| !shares.iter().any(|s| s.index == other.index && s.samples));
                prop_assert!(!skipped);
            }
        }
        for share in &shares {
            prop_assert_eq!(share.samples, share.rows == of(share).remaining);
        }
    }

    /// Played to the end: everybody is served, in order within a priority,
    /// while others of a higher priority keep coming.
    #[test]
    fn nobody_starves(
        ready in any_candidates(), prefill in 8usize..64, deterministic in any::<bool>(),
    ) {
        let most = ready.len() + 1;
        let mut scheduler = Scheduler::new(Budget::new(most + prefill, prefill, most, deterministic));
        let rows: usize = ready.iter().map(|candidate| candidate.remaining).sum();
        let mut left = ready.clone();
        let mut done: Vec<(Priority, RequestId)> = Vec::new();
        let mut steps = 0;
        while !left.is_empty() {
            // Somebody with a long prompt of the highest priority, ever anew.
            let urgent = Candidate {
                id: RequestId(10_000 + steps),
                priority: Priority(-3),
                stepped: u64::MAX,
                ..candidate(9999, 1000)
            };
            let mut all = left.clone();
            all.push(urgent);
            for share in scheduler.plan(&all) {
                let Some(at) = left.iter().position(|it| it.index == share.index) else { continue };
                let reads = left[at].remaining > 1;
                left[at].remaining -= share.rows;
                left[at].prompt = left[at].prompt.saturating_sub(share.rows);
                left[at].stepped = scheduler.step();
                if left[at].remaining == 0 {
                    let it = left.remove(at);
                    if reads && !deterministic {
                        done.push((it.priority, it.id));
                    }
                }
            }
            steps += 1;
            prop_assert!(steps < 100 + 100 * rows as u64, "somebody starves: {left:?}");
        }
        for (place, (priority, id)) in done.iter().enumerate() {
            let later = done[place + 1..].iter().filter(|(other, _)| other == priority);
            prop_assert!(later.clone().all(|(_, other)| other > id), "{done:?}");
        }
    }
}
