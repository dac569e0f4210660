//! The database of chats.
//!
//! Every function is synchronous and quick, but may wait for a disk or for
//! another Maquette: call it off the screen's thread. Two processes may use
//! the same file; each writes only what it changed itself.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    Changes, Conversation, ConversationHead, Node, NodeId, TreeError,
    recover::{move_aside, salvage},
    schema,
};

/// How long to wait for another process that is writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a chat could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the chat database failed: {0}. Check the space left on the disk and try again.")]
    Database(#[from] rusqlite::Error),
    #[error(
        "the chat database is of version {found} and this Maquette knows up to {known}: use the newer Maquette that wrote it."
    )]
    Newer { found: u32, known: u32 },
    #[error("there is no chat `{0}`: it may have been deleted in another window.")]
    NoChat(String),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("a stored message cannot be read: {0}")]
    Message(#[from] serde_json::Error),
    #[error("the chat database is damaged. {0}")]
    Damaged(String),
    #[error("{} could not be used: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// A line of the list of chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatSummary {
    pub id: String,
    pub title: String,
    pub created: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    /// In all branches.
    pub messages: u32,
}

/// A message that a search has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    pub chat: String,
    pub title: String,
    pub message: NodeId,
    /// The words around the match; the match itself lies between `⟦` and `⟧`.
    pub excerpt: String,
}

/// The chats of this machine.
#[derive(Debug)]
pub struct ChatStore {
    connection: Mutex<Connection>,
    path: Option<PathBuf>,
    problem: Mutex<Option<String>>,
}

impl ChatStore {
    /// Opens or creates the database. A damaged one is moved aside, what can
    /// be read of it is carried over, and [`problem`](Self::problem) says so.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| StoreError::File {
                path: folder.to_owned(),
                source,
            })?;
        }
        let (connection, problem) = match connect(path) {
            Err(error) if is_damage(&error) => {
                let (connection, message) = begin_anew(path)?;
                (connection, Some(message))
            }
            opened => (opened?, None),
        };
        Ok(Self {
            connection: Mutex::new(connection),
            path: Some(path.to_owned()),
            problem: Mutex::new(problem),
        })
    }

    /// A store that lasts as long as the process, for when there is no other.
    /// `reason` becomes its problem.
    pub fn in_memory(reason: Option<String>) -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        prepare(&mut connection)?;
        Ok(Self {
            connection: Mutex::new(connection),
            path: None,
            problem: Mutex::new(reason),
        })
    }

    /// What the user should know about the database, if anything.
    pub fn problem(&self) -> Option<String> {
        let problem = self.problem.lock();
        problem.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every chat, the last used first.
    pub fn list(&self) -> Result<Vec<ChatSummary>, StoreError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, title, created, updated,
                    (SELECT count(*) FROM messages WHERE conversation = conversations.id)
                 FROM conversations ORDER BY updated DESC, id",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(ChatSummary {
                    id: row.get(0)?,
                    title: row.get(1)?,
                    created: time(row.get(2)?),
                    updated: time(row.get(3)?),
                    messages: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    pub fn load(&self, id: &str) -> Result<Conversation, StoreError> {
        self.with(|connection| load(connection, id))
    }

    /// Stores what has changed since the last time. On an error the changes
    /// stay noted in the conversation.
    pub fn save(&self, conversation: &mut Conversation) -> Result<(), StoreError> {
        let changes = conversation.take_changes();
        let saved = self.apply(&changes);
        if saved.is_err() {
            conversation.put_back(&changes);
        }
        saved
    }

    /// Stores changes taken from a conversation, all or nothing.
    pub fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            write(&transaction, changes)?;
            Ok(transaction.commit()?)
        })
    }

    /// Removes a chat with all its branches, for good.
    pub fn delete(&self, id: &str) -> Result<(), StoreError> {
        self.with(|connection| {
            match connection.execute("DELETE FROM conversations WHERE id = ?1", [id])? {
                0 => Err(StoreError::NoChat(id.to_owned())),
                _ => Ok(()),
            }
        })
    }

    /// Messages with all the words of `text` (each may go on), best first, at
    /// most 100.
    pub fn search(&self, text: &str) -> Result<Vec<SearchHit>, StoreError> {
        let words = text.split_whitespace();
        let words: Vec<_> = words
            .map(|word| format!("\"{}\"*", word.replace('"', "\"\"")))
            .collect();
        if words.is_empty() {
            return Ok(Vec::new());
        }
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT conversation, conversations.title, messages.id,
                    snippet(messages_text, 0, '⟦', '⟧', '…', 12)
                 FROM messages_text
                 JOIN messages ON messages.place = messages_text.rowid
                 JOIN conversations ON conversations.id = conversation
                 WHERE messages_text MATCH ?1 ORDER BY rank LIMIT 100",
            )?;
            let rows = statement.query_map([words.join(" ")], |row| {
                Ok(SearchHit {
                    chat: row.get(0)?,
                    title: row.get(1)?,
                    message: node_id(row, 2)?,
                    excerpt: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Does the work. Should the database prove damaged on the way, a new one
    /// takes its place and the error says where the old one is.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let result = work(&mut connection);
        let (Err(error), Some(path)) = (&result, &self.path) else {
            return result;
        };
        if !is_damage(error) {
            return result;
        }
        let (fresh, message) = begin_anew(path)?;
        *connection = fresh;
        let problem = self.problem.lock();
        *problem.unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
        Err(StoreError::Damaged(message))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // SQLite rolls back what a panic interrupted.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    prepare(&mut connection)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.busy_timeout(PATIENCE)?;
    // Readers and a writer do not wait for each other; a crash of the machine
    // may cost the last moment but never the file.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    schema::migrate(connection)
}

fn begin_anew(path: &Path) -> Result<(Connection, String), StoreError> {
    let aside = move_aside(path)?;
    let mut connection = connect(path)?;
    let saved = salvage(&aside, &mut connection);
    let message = format!(
        "It was moved to {} and a new one begun; {saved} chats could be carried over.",
        aside.display()
    );
    tracing::error!("the chat database was damaged. {message}");
    Ok((connection, message))
}

fn is_damage(error: &StoreError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let StoreError::Database(error) = error else {
        return false;
    };
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseCorrupt | NotADatabase)
    )
}

/// The columns that [`head`] reads.
pub(super) const HEAD: &str = "id, custom_title, system_prompt, created, updated, active";
/// The columns that [`node`] reads.
pub(super) const NODE: &str = "id, parent, message, answer, created, pinned";

fn load(connection: &Connection, id: &str) -> Result<Conversation, StoreError> {
    let head = connection
        .prepare_cached(&format!("SELECT {HEAD} FROM conversations WHERE id = ?1"))?
        .query_row([id], head)
        .optional()?;
    let (head, active) = head.ok_or_else(|| StoreError::NoChat(id.to_owned()))?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {NODE} FROM messages WHERE conversation = ?1 ORDER BY place"
    ))?;
    let mut rows = statement.query([id])?;
    let mut nodes = Vec::new();
    while let Some(row) = rows.next()? {
        nodes.push(node(row)?);
    }
    Ok(Conversation::from_parts(head, nodes, active)?)
}

/// A conversation without its messages, and its active message.
pub(super) fn head(row: &Row<'_>) -> rusqlite::Result<(ConversationHead, Option<NodeId>)> {
    let active: Option<i64> = row.get(5)?;
    let head = ConversationHead {
        id: row.get(0)?,
        custom_title: row.get(1)?,
        system_prompt: row.get(2)?,
        created: time(row.get(3)?),
        updated: time(row.get(4)?),
    };
    Ok((head, active.map(|id| NodeId(id as u64))))
}

pub(super) fn node(row: &Row<'_>) -> Result<Node, StoreError> {
    let parent: Option<i64> = row.get(1)?;
    let message: String = row.get(2)?;
    let answer: Option<String> = row.get(3)?;
    Ok(Node {
        id: node_id(row, 0)?,
        parent: parent.map(|id| NodeId(id as u64)),
        message: serde_json::from_str(&message)?,
        created: time(row.get(4)?),
        answer: answer
            .map(|answer| serde_json::from_str(&answer))
            .transpose()?,
        pinned: row.get(5)?,
    })
}

fn node_id(row: &Row<'_>, column: usize) -> rusqlite::Result<NodeId> {
    row.get::<_, i64>(column).map(|id| NodeId(id as u64))
}

fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

pub(super) fn write(transaction: &Transaction<'_>, changes: &Changes) -> Result<(), StoreError> {
    let head = &changes.head;
    let active = changes.active.map(|id| id.0 as i64);
    transaction
        .prepare_cached(
            "INSERT INTO conversations
                (id, custom_title, title, system_prompt, created, updated, active)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET custom_title = ?2, title = ?3,
                system_prompt = ?4, updated = max(updated, ?6), active = ?7",
        )?
        .execute(params![
            head.id,
            head.custom_title,
            changes.title,
            head.system_prompt,
            head.created.timestamp_millis(),
            head.updated.timestamp_millis(),
            active,
        ])?;
    remove(transaction, changes)?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO messages (conversation, id, parent, content, message, answer, created, pinned)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (conversation, id) DO UPDATE SET content = ?4, message = ?5, answer = ?6,
            pinned = ?8",
    )?;
    for node in &changes.nodes {
        let answer = node
            .answer
            .as_ref()
            .map(serde_json::to_string)
            .transpose()?;
        statement.execute(params![
            head.id,
            node.id.0 as i64,
            node.parent.map(|id| id.0 as i64),
            node.message.content,
            serde_json::to_string(&node.message)?,
            answer,
            node.created.timestamp_millis(),
            node.pinned,
        ])?;
    }
    Ok(())
}

/// Removes messages and what follows them, other processes' answers included.
fn remove(transaction: &Transaction<'_>, changes: &Changes) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "WITH RECURSIVE gone (id) AS (
            SELECT ?2
            UNION
            SELECT messages.id FROM messages JOIN gone ON messages.parent = gone.id
            WHERE conversation = ?1
         )
         DELETE FROM messages WHERE conversation = ?1 AND id IN (SELECT id FROM gone)",
    )?;
    for id in &changes.removed {
        statement.execute(params![changes.head.id, id.0 as i64])?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
