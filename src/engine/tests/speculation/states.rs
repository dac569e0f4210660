//! Models that carry a state from token to token: it goes back where proposals
//! are not accepted, and what was accepted is computed again.

use super::*;

fn carrying() -> Fake {
    Fake {
        remembers: true,
        ..Fake::default()
    }
}

#[test]
fn no_answer_changes_by_looking_up() {
    let fake = carrying();
    let engine = start(&fake, proposing(Speculation::Lookup));
    let usage = assert_unchanged(&fake, &engine);
    assert!(usage.accepted_tokens > 100, "{usage:?}");
    assert!(usage.accepted_tokens < usage.proposed_tokens, "{usage:?}");
}

/// The draft carries a state too, and goes back as the model does.
#[test]
fn no_answer_changes_by_a_draft() {
    let fake = carrying();
    for (draft, always) in [("fake", true), ("another", false)] {
        let engine = with_draft(&fake, draft, proposing(Speculation::Draft));
        let answer = run(&engine, greedy(&prompt(90), 200));
        assert_eq!(answer.tokens, fake.answer(&prompt(90), 200));
        let (proposed, accepted) = counts(&answer);
        assert!(accepted > 80, "{draft}: {accepted} of {proposed}");
        assert_eq!(
            accepted == proposed,
            always,
            "{draft}: {accepted} of {proposed}"
        );
        let engine = with_draft(&fake, draft, proposing(Speculation::Auto));
        assert!(assert_unchanged(&fake, &engine).accepted_tokens > 100);
    }
}

#[test]
fn no_answer_changes_where_it_is_left_to_decide() {
    let fake = Fake {
        delay: Duration::from_millis(1),
        ..carrying()
    };
    let options = EngineOptions {
        speculation: Speculation::Auto,
        ..options()
    };
    assert_unchanged(&fake, &with_draft(&fake, "another", options));
}

#[test]
fn memory_that_is_short_and_requests_that_go() {
    assert_short_memory_is_no_harm(&carrying());
}

#[test]
fn accepted_tokens_are_computed_again_and_no_others() {
    let fake = carrying();
    let engine = start(&fake, proposing(Speculation::Lookup));
    let prompt = circle(100);
    let answer = run(&engine, greedy(&prompt, 300));
    assert_eq!(answer.tokens, fake.answer(&prompt, 300));
    let (proposed, accepted) = counts(&answer);
    let rows = fake.rows.load(Ordering::SeqCst);
    // The prompt, a row of each token but the last, and the proposals.
    let least = prompt.len() + 299 - accepted + proposed;
    // At most all that was accepted; one more may have been ahead.
    assert!(
        (least..=least + accepted + 1).contains(&rows),
        "{rows}, {least}"
    );
    assert!(
        accepted > 100 && accepted < proposed,
        "{accepted} of {proposed}"
    );
}

/// The next turn goes on in place; another that differs begins at a page of
/// the answer: snapshots are taken although steps bring several tokens.
#[test]
fn turns_and_branches_reuse_what_was_accepted() {
    let fake = carrying();
    let engine = start(&fake, proposing(Speculation::Lookup));
    let mut history = circle(40);
    for turn in 0..4 {
        let answer = run(&engine, greedy(&history, 150));
        assert_eq!(answer.tokens, fake.answer(&history, 150));
        let usage = answer.finish().usage;
        if turn > 0 {
            // At most the question, the answer's last token, and what was
            // proposed before it: that may have been more than was wanted.
            let new = history.len() - usage.cached_tokens;
            assert!((3..=4 + 5).contains(&new), "turn {turn}: {new}");
        }
        history.extend(answer.tokens);
        history.extend([3, 1, 4]);
        for cut in [20, 90] {
            let mut branch = history[..history.len() - cut].to_vec();
            branch.extend([9, 9, 9]);
            let answer = run(&engine, greedy(&branch, 10));
            assert_eq!(answer.tokens, fake.answer(&branch, 10));
            let found = answer.finish().usage.cached_tokens;
            assert!(
                found > 0 && found + 4 * 64 + 3 > branch.len() - 64,
                "{found}"
            );
        }
        // It is found again as it was left, though others came meanwhile.
        let again = run(&engine, greedy(&history[..history.len() - 3], 1));
        assert!(again.finish().usage.cached_tokens > 0);
    }
}

#[test]
fn stops_within_proposals_leave_a_state_to_go_on_from() {
    let fake = carrying();
    let engine = start(&fake, proposing(Speculation::Lookup));
    let mut request = greedy(&circle(100), 200);
    request.stop = vec!["xyz".into()];
    let first = run(&engine, request.clone());
    assert_eq!(first.finish().stop_string.as_deref(), Some("xyz"));
    let said = first.tokens.len();
    assert_eq!(first.tokens, fake.answer(&request.prompt, said));
    let mut next = request.prompt;
    next.extend(first.tokens);
    next.extend([7, 7]);
    let answer = run(&engine, greedy(&next, 30));
    assert_eq!(answer.tokens, fake.answer(&next, 30));
    let usage = answer.finish().usage;
    assert!(usage.cached_tokens + 12 > next.len(), "{usage:?}");
}
