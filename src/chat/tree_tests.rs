//! The tree's invariants under any sequence of changes.

use proptest::prelude::*;

use super::*;

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn answer(text: &str) -> Message {
    Message::new(Role::Assistant, text)
}

fn texts(conversation: &Conversation) -> Vec<String> {
    let path = conversation.path();
    path.iter().map(|it| it.message.content.clone()).collect()
}

/// question, answer, question, answer
fn sample() -> (Conversation, [NodeId; 4]) {
    let mut chat = Conversation::new("");
    let ids = [
        chat.push(user("q1")),
        chat.push(answer("a1")),
        chat.push(user("q2")),
        chat.push(answer("a2")),
    ];
    (chat, ids)
}

#[test]
fn an_edit_is_a_branch_beside_the_old_text() {
    let (mut chat, [_, _, q2, a2]) = sample();
    let q3 = chat.edit(q2, user("q2, better")).unwrap();
    assert_eq!(texts(&chat), ["q1", "a1", "q2, better"]);
    assert_eq!(chat.siblings(q3), [q2, q3]);
    assert_eq!(chat.version(q3), Some((2, 2)));
    assert_eq!(chat.switch(q3, -1).unwrap(), q2);
    assert_eq!(chat.active(), Some(a2), "the whole old branch is back");
    assert_eq!(chat.switch(q2, -1).unwrap(), q2, "there is none before");
    assert_eq!(chat.switch(q2, 9).unwrap(), q3, "the last one");
}

#[test]
fn the_first_message_can_be_edited_too() {
    let (mut chat, [q1, ..]) = sample();
    let other = chat.edit(q1, user("another start")).unwrap();
    assert_eq!(texts(&chat), ["another start"]);
    assert_eq!(chat.siblings(other), [q1, other]);
}

#[test]
fn regenerating_puts_the_new_answer_beside_the_old() {
    let (mut chat, [q1, a1, ..]) = sample();
    chat.regenerate(a1).unwrap();
    let other = chat.push(answer("a1 again"));
    assert_eq!(texts(&chat), ["q1", "a1 again"]);
    assert_eq!(chat.siblings(other), [a1, other]);
    assert_eq!(chat.regenerate(q1), Err(TreeError::NotAnAnswer(q1)));
}

#[test]
fn deleting_takes_what_followed_and_stays_beside() {
    let (mut chat, [q1, a1, q2, _]) = sample();
    let q3 = chat.edit(q2, user("q3")).unwrap();
    chat.delete(q3).unwrap();
    assert_eq!(texts(&chat), ["q1", "a1", "q2", "a2"]);
    chat.delete(q2).unwrap();
    assert_eq!(chat.active(), Some(a1));
    assert_eq!(chat.delete(q2), Err(TreeError::NoNode(q2)));
    chat.delete(q1).unwrap();
    assert!(chat.is_empty());
    assert_eq!(chat.active(), None);
}

#[test]
fn the_system_prompt_goes_first_when_there_is_one() {
    let (mut chat, _) = sample();
    assert_eq!(chat.messages()[0].content, "q1");
    chat.system_prompt = "Be brief.".into();
    assert_eq!(chat.messages()[0], Message::new(Role::System, "Be brief."));
    assert_eq!(chat.messages().len(), 5);
    chat.system_prompt = "  ".into();
    assert_eq!(chat.messages().len(), 4);
}

#[test]
fn titles_come_from_the_first_words() {
    let mut chat = Conversation::new("");
    assert_eq!(chat.title(), "New chat");
    chat.push(user(
        "\n  Why is   the borrow checker, of all things, so unhappy with this function?\nfn x",
    ));
    assert_eq!(
        chat.title(),
        "Why is the borrow checker, of all things, so…"
    );
    chat.custom_title = Some("Lifetimes".into());
    assert_eq!(chat.title(), "Lifetimes");
    assert_eq!(
        title_from(&"字".repeat(60)),
        format!("{}…", "字".repeat(48))
    );
}

#[test]
fn a_damaged_tree_is_refused() {
    let (mut chat, [q1, ..]) = sample();
    let changes = chat.take_changes();
    let mut nodes = changes.nodes.clone();
    nodes.remove(0);
    let error = Conversation::from_parts(changes.head.clone(), nodes, None).unwrap_err();
    assert!(error.to_string().contains("has no parent"), "{error}");
    let mut nodes = changes.nodes.clone();
    nodes.push(nodes[0].clone());
    assert!(Conversation::from_parts(changes.head.clone(), nodes, None).is_err());
    let whole = Conversation::from_parts(changes.head, changes.nodes, Some(q1)).unwrap();
    assert_eq!(whole.active(), Some(q1));
}

#[test]
fn only_what_changed_is_handed_to_the_store() {
    let (mut chat, [q1, a1, ..]) = sample();
    assert_eq!(chat.take_changes().nodes.len(), 4);
    assert!(chat.take_changes().nodes.is_empty());
    chat.message_mut(a1).unwrap().content.push_str(" more");
    chat.delete(q1).unwrap();
    let q5 = chat.push(user("q5"));
    let changes = chat.take_changes();
    let ids: Vec<_> = changes.nodes.iter().map(|node| node.id).collect();
    assert_eq!((ids, changes.removed.clone()), (vec![q5], vec![q1]));
    chat.put_back(&changes);
    assert_eq!(chat.take_changes(), changes);
}

#[derive(Debug, Clone)]
enum Step {
    Push(bool),
    Edit(usize),
    Branch(usize),
    Regenerate(usize),
    Switch(usize, isize),
    Delete(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Push),
        2 => any::<usize>().prop_map(Step::Edit),
        2 => any::<usize>().prop_map(Step::Branch),
        2 => any::<usize>().prop_map(Step::Regenerate),
        2 => (any::<usize>(), -3isize..4).prop_map(|(place, by)| Step::Switch(place, by)),
        1 => any::<usize>().prop_map(Step::Delete),
    ]
}

fn apply(chat: &mut Conversation, step: &Step) {
    let ids: Vec<_> = chat.nodes().iter().map(|node| node.id).collect();
    let pick = |place: &usize| match ids.len() {
        0 => NodeId(0),
        count => ids[place % count],
    };
    // A step that has nothing to act on, or not on this, is an error that
    // must leave the tree whole.
    let _ = match step {
        Step::Push(true) => Ok(chat.push(user("u"))),
        Step::Push(false) => Ok(chat.push(answer("a"))),
        Step::Edit(at) => chat.edit(pick(at), user("e")),
        Step::Branch(at) => chat.branch(pick(at)).map(|()| pick(at)),
        Step::Regenerate(at) => chat.regenerate(pick(at)).map(|()| pick(at)),
        Step::Switch(at, by) => chat.switch(pick(at), *by),
        Step::Delete(at) => chat.delete(pick(at)).map(|()| pick(at)),
    };
}

fn check(chat: &Conversation) -> Result<(), TestCaseError> {
    let mut seen = HashSet::new();
    for node in chat.nodes() {
        prop_assert!(node.parent.is_none_or(|parent| seen.contains(&parent)));
        prop_assert!(seen.insert(node.id));
        let siblings = chat.siblings(node.id);
        prop_assert!(siblings.contains(&node.id));
    }
    prop_assert!(chat.active().is_none_or(|active| seen.contains(&active)));
    let path = chat.path();
    prop_assert_eq!(path.last().map(|node| node.id), chat.active());
    prop_assert!(path.first().is_none_or(|node| node.parent.is_none()));
    for pair in path.windows(2) {
        prop_assert_eq!(pair[1].parent, Some(pair[0].id));
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_sequence_of_steps_breaks_the_tree(steps in prop::collection::vec(step(), 0..60)) {
        let mut chat = Conversation::new("");
        for step in &steps {
            let before = chat.nodes().len();
            apply(&mut chat, step);
            check(&chat)?;
            if !matches!(step, Step::Delete(_)) {
                prop_assert!(chat.nodes().len() >= before, "only deleting loses messages");
            }
        }
        let changes = chat.take_changes();
        let again = Conversation::from_parts(changes.head, changes.nodes, chat.active());
        let again = again.expect("a whole tree");
        prop_assert_eq!(again.nodes(), chat.nodes());
    }
}
