//! The tables of the chat database, and how older ones become current.
//!
//! `user_version` counts the steps taken. A step, once released, never
//! changes; new ones are added at the end.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Each brings the database from its index to the next version.
const STEPS: &[&str] = &[
    r"
CREATE TABLE conversations (
    id            TEXT PRIMARY KEY,
    custom_title  TEXT,
    title         TEXT NOT NULL,
    system_prompt TEXT NOT NULL,
    created       INTEGER NOT NULL,  -- milliseconds since 1970
    updated       INTEGER NOT NULL,
    active        INTEGER            -- messages.id
);
CREATE INDEX conversations_updated ON conversations (updated);

CREATE TABLE messages (
    place        INTEGER PRIMARY KEY AUTOINCREMENT,  -- parents before children
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    id           INTEGER NOT NULL,
    parent       INTEGER,
    content      TEXT NOT NULL,      -- the text of `message`, for the search
    message      TEXT NOT NULL,      -- JSON
    answer       TEXT,               -- JSON
    created      INTEGER NOT NULL,
    UNIQUE (conversation, id)
);
CREATE INDEX messages_in_order ON messages (conversation, place);

CREATE VIRTUAL TABLE messages_text USING fts5 (
    content, content = 'messages', content_rowid = 'place', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_text (rowid, content) VALUES (new.place, new.content);
END;
CREATE TRIGGER messages_delete AFTER DELETE ON messages BEGIN
    INSERT INTO messages_text (messages_text, rowid, content) VALUES ('delete', old.place, old.content);
END;
CREATE TRIGGER messages_update AFTER UPDATE OF content ON messages BEGIN
    INSERT INTO messages_text (messages_text, rowid, content) VALUES ('delete', old.place, old.content);
    INSERT INTO messages_text (rowid, content) VALUES (new.place, new.content);
END;
",
    r"
ALTER TABLE messages ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
",
];

/// Brings the database to the current version, all or nothing.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // Immediate: of two processes that start at once, the second waits and
    // then finds the work done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let Some(steps) = STEPS.get(version as usize..) else {
        return Err(StoreError::Newer {
            found: version,
            known: STEPS.len() as u32,
        });
    };
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as u32)?;
    Ok(transaction.commit()?)
}
