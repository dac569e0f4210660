//! What happens to a damaged database: it is kept, and what is readable of it
//! is carried over.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::Utc;
use rusqlite::{Connection, OpenFlags, Row};

use super::{
    Conversation, ConversationHead, Node, NodeId, StoreError,
    store::{HEAD, NODE, head, node, write},
};

/// Renames the database and its journals; gives the new name.
pub(super) fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let stamp = chrono::Local::now().format("%Y%m%d-%H%M%S");
    let mut aside = with_suffix(path, &format!(".damaged-{stamp}"));
    let mut count = 1;
    while aside.exists() {
        count += 1;
        aside = with_suffix(path, &format!(".damaged-{stamp}-{count}"));
    }
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (with_suffix(path, suffix), with_suffix(&aside, suffix));
        match fs::rename(&from, &to) {
            Err(error) if suffix.is_empty() || error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::File {
                    path: from,
                    source: error,
                });
            }
            _ => {}
        }
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies what can still be read, and counts the chats.
///
/// Row by row, so that a damaged page costs the rows on it and no others. A
/// message whose parent is lost begins a branch of its own.
pub(super) fn salvage(damaged: &Path, fresh: &mut Connection) -> usize {
    let Ok(source) = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return 0;
    };
    let mut chats = heads(&source);
    for (id, node) in messages(&source) {
        chats
            .entry(id.clone())
            .or_insert_with(|| Chat::lost(id))
            .nodes
            .push(node);
    }
    let chats = chats.into_values();
    chats.filter(|chat| chat.copy(fresh).is_ok()).count()
}

struct Chat {
    head: ConversationHead,
    active: Option<NodeId>,
    nodes: Vec<Node>,
}

impl Chat {
    /// For messages whose chat itself cannot be read.
    fn lost(id: String) -> Self {
        let now = Utc::now();
        Self {
            head: ConversationHead {
                id,
                custom_title: None,
                system_prompt: String::new(),
                created: now,
                updated: now,
            },
            active: None,
            nodes: Vec::new(),
        }
    }

    fn copy(&self, fresh: &mut Connection) -> Result<(), StoreError> {
        let mut known = HashSet::new();
        let mut nodes = self.nodes.clone();
        for node in &mut nodes {
            node.parent = node.parent.filter(|parent| known.contains(parent));
            known.insert(node.id);
        }
        let chat = Conversation::from_parts(self.head.clone(), nodes, self.active)?;
        let transaction = fresh.transaction()?;
        write(&transaction, &chat.everything())?;
        Ok(transaction.commit()?)
    }
}

fn heads(source: &Connection) -> BTreeMap<String, Chat> {
    let mut chats = BTreeMap::new();
    let sql = format!("SELECT {HEAD} FROM conversations WHERE rowid = ?1");
    each_row(source, "conversations", &sql, |row| {
        let (head, active) = head(row)?;
        let nodes = Vec::new();
        let chat = Chat {
            head,
            active,
            nodes,
        };
        chats.insert(chat.head.id.clone(), chat);
        Ok(())
    });
    chats
}

fn messages(source: &Connection) -> Vec<(String, Node)> {
    let mut messages = Vec::new();
    // Databases of before there were pins lack the column.
    let has_pins = source
        .prepare("SELECT pinned FROM messages LIMIT 0")
        .is_ok();
    let columns = if has_pins {
        NODE.to_owned()
    } else {
        NODE.replace("pinned", "0")
    };
    let sql = format!("SELECT {columns}, conversation FROM messages WHERE rowid = ?1");
    each_row(source, "messages", &sql, |row| {
        messages.push((row.get(6)?, node(row)?));
        Ok(())
    });
    messages
}

/// Looks every row up by its number and passes over those that fail.
fn each_row(
    source: &Connection,
    table: &str,
    sql: &str,
    mut work: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
) {
    let Ok(mut statement) = source.prepare(sql) else {
        return;
    };
    for rowid in 1..=last_row(source, table) {
        let Ok(mut rows) = statement.query([rowid]) else {
            continue;
        };
        if let Ok(Some(row)) = rows.next()
            && let Err(error) = work(row)
        {
            tracing::warn!(table, rowid, %error, "a row of the damaged database is lost");
        }
    }
}

/// The highest row number; when its page is damaged, a guess from the size.
fn last_row(source: &Connection, table: &str) -> i64 {
    let highest = format!("SELECT max(rowid) FROM {table}");
    let highest = source.query_row(&highest, [], |row| row.get::<_, Option<i64>>(0));
    highest.map(Option::unwrap_or_default).unwrap_or_else(|_| {
        let pages = source.query_row("PRAGMA page_count", [], |row| row.get(0));
        // A page of 4096 bytes holds fewer rows than this.
        pages.unwrap_or(0i64).saturating_mul(64)
    })
}
