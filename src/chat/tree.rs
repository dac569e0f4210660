//! A conversation as a tree: every edit and every further answer is a branch.
//!
//! Pure data and pure functions; the store keeps it, the workstation answers.
//!
//! Invariants: a node's parent comes before it in `nodes`; the active message
//! is a node of the tree, or `None`, which begins anew; ids are unique among
//! all processes, so that two that write to one chat only add branches.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::{
    parts::{AnswerFacts, Changes, ConversationHead, Node, NodeId, TreeError},
    title::title_from,
};
use crate::text::conversation::{Message, Role};

/// A conversation with all its branches.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Unique among all conversations, for ever.
    pub id: String,
    /// Given by hand; `None` takes the first words of the user.
    pub custom_title: Option<String>,
    pub system_prompt: String,
    pub created: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    nodes: Vec<Node>,
    active: Option<NodeId>,
    /// The id of the next message.
    next: NodeId,
    /// What no store has yet.
    unsaved: HashSet<NodeId>,
    removed: Vec<NodeId>,
}

impl Conversation {
    /// An empty conversation with a fresh id.
    pub fn new(system_prompt: impl Into<String>) -> Self {
        let now = Utc::now();
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            custom_title: None,
            system_prompt: system_prompt.into(),
            created: now,
            updated: now,
            nodes: Vec::new(),
            active: None,
            next: NodeId::fresh(),
            unsaved: HashSet::new(),
            removed: Vec::new(),
        }
    }

    /// Puts together what a store has kept. Fails when the invariants do not
    /// hold; an unknown `active` is replaced by the newest message.
    pub fn from_parts(
        head: ConversationHead,
        nodes: Vec<Node>,
        active: Option<NodeId>,
    ) -> Result<Self, TreeError> {
        let mut seen = HashSet::new();
        for node in &nodes {
            if node.parent.is_some_and(|parent| !seen.contains(&parent)) {
                let reason = format!("message {} has no parent", node.id.0);
                return Err(TreeError::Damaged(reason));
            }
            if !seen.insert(node.id) {
                let reason = format!("message {} is there twice", node.id.0);
                return Err(TreeError::Damaged(reason));
            }
        }
        let last = nodes.last().map(|node| node.id);
        Ok(Self {
            id: head.id,
            custom_title: head.custom_title,
            system_prompt: head.system_prompt,
            created: head.created,
            updated: head.updated,
            active: active.filter(|id| seen.contains(id)).or(last),
            nodes,
            next: NodeId::fresh(),
            unsaved: HashSet::new(),
            removed: Vec::new(),
        })
    }

    /// Every message, parents before children.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The message that the next one will follow.
    pub fn active(&self) -> Option<NodeId> {
        self.active
    }

    /// The id that the next message will get, for what stands in its place
    /// until then.
    pub fn next_id(&self) -> u64 {
        self.next.0
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// For a message that is being streamed. Its place cannot be changed.
    pub fn message_mut(&mut self, id: NodeId) -> Option<&mut Message> {
        let node = self.nodes.iter_mut().find(|node| node.id == id)?;
        self.unsaved.insert(id);
        Some(&mut node.message)
    }

    /// Notes how an answer was made.
    pub fn set_answer(&mut self, id: NodeId, facts: AnswerFacts) -> Result<(), TreeError> {
        let node = self.nodes.iter_mut().find(|node| node.id == id);
        node.ok_or(TreeError::NoNode(id))?.answer = Some(facts);
        self.unsaved.insert(id);
        self.updated = Utc::now();
        Ok(())
    }

    /// Pins a message, or lets it go.
    pub fn set_pinned(&mut self, id: NodeId, pinned: bool) -> Result<(), TreeError> {
        let node = self.nodes.iter_mut().find(|node| node.id == id);
        node.ok_or(TreeError::NoNode(id))?.pinned = pinned;
        self.unsaved.insert(id);
        self.updated = Utc::now();
        Ok(())
    }

    /// From the first message to the active one: what is shown and sent.
    pub fn path(&self) -> Vec<&Node> {
        self.path_to(self.active)
    }

    fn path_to(&self, leaf: Option<NodeId>) -> Vec<&Node> {
        let mut path = Vec::new();
        let mut next = leaf;
        // A parent lies before its child, so this ends.
        for node in self.nodes.iter().rev() {
            if Some(node.id) == next {
                path.push(node);
                next = node.parent;
            }
        }
        path.reverse();
        path
    }

    /// The messages to send: the system prompt, if there is one, and the path.
    pub fn messages(&self) -> Vec<Message> {
        let system = Some(&self.system_prompt).filter(|prompt| !prompt.trim().is_empty());
        system
            .map(|prompt| Message::new(Role::System, prompt.clone()))
            .into_iter()
            .chain(self.path().into_iter().map(|node| node.message.clone()))
            .collect()
    }

    /// Adds a message after the active one and makes it the active one.
    pub fn push(&mut self, message: Message) -> NodeId {
        self.add(self.active, message)
    }

    /// Adds `message` beside `id`, as another version of it, and makes it the
    /// active one. Nothing is lost: the old version stays a branch.
    pub fn edit(&mut self, id: NodeId, message: Message) -> Result<NodeId, TreeError> {
        let parent = self.node(id).ok_or(TreeError::NoNode(id))?.parent;
        Ok(self.add(parent, message))
    }

    /// Makes the message before the answer `id` the active one, so that the
    /// next push is a further answer beside it.
    pub fn regenerate(&mut self, id: NodeId) -> Result<(), TreeError> {
        let node = self.node(id).ok_or(TreeError::NoNode(id))?;
        match (node.message.role, node.parent) {
            (Role::Assistant, Some(parent)) => {
                self.active = Some(parent);
                self.updated = Utc::now();
                Ok(())
            }
            _ => Err(TreeError::NotAnAnswer(id)),
        }
    }

    /// Goes on from `id`: it becomes the active message.
    pub fn branch(&mut self, id: NodeId) -> Result<(), TreeError> {
        self.node(id).ok_or(TreeError::NoNode(id))?;
        self.active = Some(id);
        self.updated = Utc::now();
        Ok(())
    }

    /// The versions of a message, itself among them, oldest first.
    pub fn siblings(&self, id: NodeId) -> Vec<NodeId> {
        let Some(node) = self.node(id) else {
            return Vec::new();
        };
        let same = self.nodes.iter().filter(|it| it.parent == node.parent);
        same.map(|it| it.id).collect()
    }

    /// Which of how many versions a message is, both from 1: the `2/3` beside it.
    pub fn version(&self, id: NodeId) -> Option<(usize, usize)> {
        let siblings = self.siblings(id);
        let place = siblings.iter().position(|it| *it == id)?;
        Some((place + 1, siblings.len()))
    }

    /// Shows the version `step` further (negative: before), and the newest
    /// branch below it. Stays within the versions there are.
    pub fn switch(&mut self, id: NodeId, step: isize) -> Result<NodeId, TreeError> {
        let siblings = self.siblings(id);
        let place = siblings.iter().position(|it| *it == id);
        let place = place.ok_or(TreeError::NoNode(id))?;
        let place = place.saturating_add_signed(step).min(siblings.len() - 1);
        self.active = Some(self.newest_leaf(siblings[place]));
        self.updated = Utc::now();
        Ok(siblings[place])
    }

    /// Removes a message and everything that followed it. If the active one
    /// was among them, the newest branch beside it, or else its parent,
    /// becomes active.
    pub fn delete(&mut self, id: NodeId) -> Result<(), TreeError> {
        let parent = self.node(id).ok_or(TreeError::NoNode(id))?.parent;
        let mut gone = HashSet::from([id]);
        for node in &self.nodes {
            if node.parent.is_some_and(|parent| gone.contains(&parent)) {
                gone.insert(node.id);
            }
        }
        self.nodes.retain(|node| !gone.contains(&node.id));
        self.unsaved.retain(|id| !gone.contains(id));
        self.removed.push(id);
        if self.active.is_some_and(|active| gone.contains(&active)) {
            let sibling = self.nodes.iter().rev().find(|node| node.parent == parent);
            self.active = sibling.map(|node| self.newest_leaf(node.id)).or(parent);
        }
        self.updated = Utc::now();
        Ok(())
    }

    /// Follows the newest child from `id` down to a leaf.
    fn newest_leaf(&self, id: NodeId) -> NodeId {
        let mut leaf = id;
        while let Some(child) = self.nodes.iter().rev().find(|it| it.parent == Some(leaf)) {
            leaf = child.id;
        }
        leaf
    }

    fn add(&mut self, parent: Option<NodeId>, message: Message) -> NodeId {
        let id = std::mem::replace(&mut self.next, NodeId::fresh());
        self.unsaved.insert(id);
        let created = Utc::now();
        self.nodes.push(Node {
            id,
            parent,
            message,
            created,
            answer: None,
            pinned: false,
        });
        self.active = Some(id);
        self.updated = created;
        id
    }

    /// Hands over what has changed since the last call, to be stored.
    pub fn take_changes(&mut self) -> Changes {
        let unsaved = std::mem::take(&mut self.unsaved);
        let mut changes = self.everything();
        changes.nodes.retain(|node| unsaved.contains(&node.id));
        changes.removed = std::mem::take(&mut self.removed);
        changes
    }

    /// All of it, as if nothing had been stored yet.
    pub(super) fn everything(&self) -> Changes {
        Changes {
            head: ConversationHead {
                id: self.id.clone(),
                custom_title: self.custom_title.clone(),
                system_prompt: self.system_prompt.clone(),
                created: self.created,
                updated: self.updated,
            },
            title: self.title(),
            active: self.active,
            nodes: self.nodes.clone(),
            removed: Vec::new(),
        }
    }

    /// Takes back changes that could not be stored, for the next attempt.
    pub fn put_back(&mut self, changes: &Changes) {
        let kept = changes.nodes.iter().map(|node| node.id);
        let kept = kept.filter(|id| self.nodes.iter().any(|node| node.id == *id));
        self.unsaved.extend(kept);
        self.removed.extend(&changes.removed);
    }

    /// The title by hand, or the user's first words.
    pub fn title(&self) -> String {
        if let Some(title) = &self.custom_title {
            return title.clone();
        }
        let first = self.path();
        let first = first.iter().find(|node| node.message.role == Role::User);
        title_from(first.map_or("", |node| &node.message.content))
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
