//! The store against real files: kept, merged, moved aside, never lost.

use super::*;
use crate::text::conversation::{Message, Role};

fn chat(words: &[&str]) -> Conversation {
    let mut chat = Conversation::new("Be brief.");
    for (place, word) in words.iter().enumerate() {
        let role = [Role::User, Role::Assistant][place % 2];
        chat.push(Message::new(role, *word));
    }
    chat
}

fn store() -> (tempfile::TempDir, ChatStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = ChatStore::open(&dir.path().join("deep/chats.db")).unwrap();
    (dir, store)
}

fn reopened(dir: &tempfile::TempDir) -> ChatStore {
    ChatStore::open(&dir.path().join("deep/chats.db")).unwrap()
}

#[test]
fn what_is_saved_is_loaded_again() {
    let (dir, store) = store();
    let mut saved = chat(&["how?", "so."]);
    let answer = saved.active().unwrap();
    let facts = super::super::AnswerFacts {
        model: "guide".into(),
        completion_tokens: 3,
        tokens_per_second: 12.5,
        ..Default::default()
    };
    saved.set_answer(answer, facts).unwrap();
    saved.message_mut(answer).unwrap().reasoning = Some("hm".into());
    saved
        .edit(answer, Message::new(Role::Assistant, "or so."))
        .unwrap();
    store.save(&mut saved).unwrap();
    drop(store);
    let loaded = reopened(&dir).load(&saved.id).unwrap();
    assert_eq!(loaded.path().len(), 2);
    assert_eq!(loaded.active(), saved.active());
    assert_eq!(loaded.system_prompt, "Be brief.");
    for (a, b) in loaded.nodes().iter().zip(saved.nodes()) {
        assert_eq!(
            (a.id, a.parent, &a.message, &a.answer),
            (b.id, b.parent, &b.message, &b.answer)
        );
    }
}

#[test]
fn saving_again_writes_only_what_changed() {
    let (_dir, store) = store();
    let mut saved = chat(&["one", "two"]);
    store.save(&mut saved).unwrap();
    let first = saved.nodes()[0].id;
    // Another process writes to the first message meanwhile.
    store
        .with(|connection| {
            let sql =
                "UPDATE messages SET message = json_set(message, '$.content', 'ONE') WHERE id = ?1";
            Ok(connection.execute(sql, [first.0 as i64])?)
        })
        .unwrap();
    let last = saved.active().unwrap();
    saved
        .message_mut(last)
        .unwrap()
        .content
        .push_str(" and more");
    store.save(&mut saved).unwrap();
    let loaded = store.load(&saved.id).unwrap();
    let texts: Vec<_> = loaded
        .nodes()
        .iter()
        .map(|node| node.message.content.as_str())
        .collect();
    assert_eq!(texts, ["ONE", "two and more"]);
}

#[test]
fn two_processes_only_add_branches_to_one_chat() {
    let (dir, here) = store();
    let there = reopened(&dir);
    let mut mine = chat(&["question"]);
    here.save(&mut mine).unwrap();
    let mut theirs = there.load(&mine.id).unwrap();
    mine.push(Message::new(Role::Assistant, "mine"));
    theirs.push(Message::new(Role::Assistant, "theirs"));
    here.save(&mut mine).unwrap();
    there.save(&mut theirs).unwrap();
    let merged = here.load(&mine.id).unwrap();
    assert_eq!(merged.nodes().len(), 3);
    assert_eq!(merged.siblings(mine.active().unwrap()).len(), 2);
    // Deleting the question here takes both answers.
    mine.delete(mine.nodes()[0].id).unwrap();
    here.save(&mut mine).unwrap();
    assert!(there.load(&mine.id).unwrap().is_empty());
}

#[test]
fn many_writers_at_once_wait_for_each_other() {
    let (dir, _store) = store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let store = reopened(&dir);
            scope.spawn(move || {
                for _ in 0..10 {
                    store.save(&mut chat(&["q", "a"])).unwrap();
                }
            });
        }
    });
    assert_eq!(reopened(&dir).list().unwrap().len(), 40);
}

#[test]
fn the_last_used_chat_comes_first() {
    let (_dir, store) = store();
    let (mut old, mut new) = (chat(&["old chat"]), chat(&["new chat"]));
    // Both in the past and apart: what is pushed below is later than either.
    old.updated = DateTime::from_timestamp_millis(1_000).unwrap();
    new.updated = DateTime::from_timestamp_millis(2_000).unwrap();
    store.save(&mut new).unwrap();
    store.save(&mut old).unwrap();
    let titles = |store: &ChatStore| -> Vec<String> {
        store
            .list()
            .unwrap()
            .into_iter()
            .map(|it| it.title)
            .collect()
    };
    assert_eq!(titles(&store), ["new chat", "old chat"]);
    old.push(Message::new(Role::Assistant, "again"));
    store.save(&mut old).unwrap();
    assert_eq!(titles(&store), ["old chat", "new chat"]);
    assert_eq!(store.list().unwrap()[0].messages, 2);
    store.delete(&old.id).unwrap();
    assert_eq!(titles(&store), ["new chat"]);
    assert!(matches!(store.delete(&old.id), Err(StoreError::NoChat(_))));
    assert!(matches!(store.load(&old.id), Err(StoreError::NoChat(_))));
}

#[test]
fn search_finds_words_and_their_beginnings() {
    let (_dir, store) = store();
    let mut first = chat(&["How do lifetimes work?", "Bärbel borrows them."]);
    store.save(&mut first).unwrap();
    store.save(&mut chat(&["Packing list"])).unwrap();
    let hits = store.search("lifetime work").unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].excerpt, "How do ⟦lifetimes⟧ ⟦work⟧?");
    assert_eq!(hits[0].message, first.nodes()[0].id);
    assert_eq!(store.search("barbel").unwrap().len(), 1);
    for odd in ["", "\"", "AND", "NEAR(", "a* OR", "-"] {
        assert!(store.search(odd).is_ok(), "{odd}");
    }
    let last = first.active().unwrap();
    first.message_mut(last).unwrap().content = "changed".into();
    store.save(&mut first).unwrap();
    assert!(store.search("barbel").unwrap().is_empty());
    store.delete(&first.id).unwrap();
    assert!(store.search("lifetimes").unwrap().is_empty());
}

#[test]
fn what_is_no_database_is_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chats.db");
    std::fs::write(&path, "this is a letter, not a database. ".repeat(200)).unwrap();
    let store = ChatStore::open(&path).unwrap();
    assert!(store.problem().unwrap().contains("damaged-"));
    store.save(&mut chat(&["works"])).unwrap();
    let kept = std::fs::read_dir(dir.path())
        .unwrap()
        .filter_map(Result::ok);
    let kept: Vec<_> = kept
        .filter(|it| it.file_name().to_string_lossy().contains("damaged-"))
        .filter(|it| {
            std::fs::read_to_string(it.path()).is_ok_and(|text| text.starts_with("this is"))
        })
        .collect();
    assert_eq!(kept.len(), 1);
}

#[test]
fn damage_found_later_costs_no_readable_chat() {
    let (dir, store) = store();
    for n in 0..200 {
        store
            .save(&mut chat(&[&format!("chat {n}"), &"words ".repeat(50)]))
            .unwrap();
    }
    drop(store);
    let path = dir.path().join("deep/chats.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // The pages after the first few hold messages and their index.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 16384].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let store = ChatStore::open(&path).unwrap();
    let ids: Vec<String> = match store.list() {
        Ok(list) => list.into_iter().map(|it| it.id).collect(),
        Err(_) => Vec::new(),
    };
    let damaged = ids
        .iter()
        .any(|id| matches!(store.load(id), Err(StoreError::Damaged(_))));
    assert!(damaged || store.problem().is_some());
    let left: u32 = store.list().unwrap().iter().map(|it| it.messages).sum();
    assert!(left > 200, "{left} of 400 messages carried over");
    store.save(&mut chat(&["goes on"])).unwrap();
}

#[test]
fn a_newer_database_is_left_alone() {
    let (dir, store) = store();
    store
        .with(|connection| Ok(connection.pragma_update(None, "user_version", 99)?))
        .unwrap();
    drop(store);
    let error = ChatStore::open(&dir.path().join("deep/chats.db")).unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn memory_serves_when_there_is_no_disk() {
    let store = ChatStore::in_memory(Some("the disk is full".into())).unwrap();
    assert_eq!(store.problem().as_deref(), Some("the disk is full"));
    let mut saved = chat(&["x"]);
    store.save(&mut saved).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn pins_are_kept_and_older_databases_get_them() {
    let (dir, store) = store();
    let mut saved = chat(&["one", "two"]);
    let first = saved.nodes()[0].id;
    store.save(&mut saved).unwrap();
    // As it was before there were pins.
    store
        .with(|connection| {
            connection.execute_batch("ALTER TABLE messages DROP COLUMN pinned")?;
            Ok(connection.pragma_update(None, "user_version", 1)?)
        })
        .unwrap();
    drop(store);
    let store = reopened(&dir);
    let mut loaded = store.load(&saved.id).unwrap();
    assert!(loaded.nodes().iter().all(|node| !node.pinned));
    loaded.set_pinned(first, true).unwrap();
    store.save(&mut loaded).unwrap();
    let again = reopened(&dir).load(&saved.id).unwrap();
    let pins: Vec<bool> = again.nodes().iter().map(|node| node.pinned).collect();
    assert_eq!(pins, [true, false]);
    assert!(loaded.set_pinned(NodeId(1), true).is_err());
}
