//! Reads and keeps chats, one after the other, away from the screen's thread:
//! the order of saves is the order in which they were asked for.

use std::sync::Arc;

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    message::{Effect, Message, Notice},
    types::*,
};

/// The queue in front of the store.
pub struct Chats {
    queue: mpsc::UnboundedSender<Effect>,
    worker: JoinHandle<()>,
}

impl Chats {
    pub fn start(workstation: Workstation, messages: mpsc::Sender<Message>) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let worker = tokio::task::spawn_blocking(move || work(&workstation, waiting, &messages));
        Self { queue, worker }
    }

    /// Queues an effect that concerns chats.
    pub fn start_effect(&self, effect: Effect) {
        if self.queue.send(effect).is_err() {
            tracing::error!("the keeper of chats has ended: this chat is not saved");
        }
    }

    /// Waits until everything that was asked for is kept.
    pub async fn finish(self) {
        drop(self.queue);
        if let Err(error) = self.worker.await {
            tracing::error!(%error, "the keeper of chats failed");
        }
    }
}

fn work(
    workstation: &Workstation,
    mut waiting: mpsc::UnboundedReceiver<Effect>,
    messages: &mpsc::Sender<Message>,
) {
    while let Some(effect) = waiting.blocking_recv() {
        let outcome = carry_out(workstation.chats(), effect);
        let news = outcome.unwrap_or_else(|error| {
            let notice = Notice::error(error.to_string());
            vec![Message::Notice(notice)]
        });
        for message in news {
            // When the screen is gone, what is queued is still kept.
            let _ = messages.blocking_send(message);
        }
    }
}

/// Does one thing to the store; what changed the list is followed by it.
fn carry_out(store: &ChatStore, effect: Effect) -> Result<Vec<Message>, StoreError> {
    let list = || Ok::<_, StoreError>(Message::Chats(Arc::new(store.list()?)));
    Ok(match effect {
        Effect::ListChats => vec![list()?],
        Effect::OpenChat(id) => vec![Message::ChatOpened(Box::new(store.load(&id)?))],
        Effect::SaveChat(mut conversation) => {
            store.save(&mut conversation)?;
            vec![Message::ChatSaved(conversation.id.clone()), list()?]
        }
        Effect::RenameChat { id, title } => {
            let mut conversation = store.load(&id)?;
            conversation.custom_title = Some(title);
            store.save(&mut conversation)?;
            vec![list()?]
        }
        Effect::DeleteChat(id) => {
            store.delete(&id)?;
            vec![Message::ChatDeleted(id), list()?]
        }
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> ChatStore {
        ChatStore::in_memory(None).expect("a database in memory")
    }

    #[test]
    fn a_saved_chat_is_listed_opened_renamed_and_deleted() {
        let store = store();
        let mut chat = Conversation::new("be brief");
        chat.push(ChatMessage::new(Role::User, "How do I download a model?"));
        let id = chat.id.clone();
        let saved = carry_out(&store, Effect::SaveChat(Box::new(chat))).unwrap();
        assert!(
            matches!(&saved[..], [Message::ChatSaved(saved), Message::Chats(list)]
            if *saved == id && list.len() == 1)
        );
        let opened = carry_out(&store, Effect::OpenChat(id.clone())).unwrap();
        assert!(matches!(&opened[..], [Message::ChatOpened(chat)] if chat.path().len() == 1));
        let rename = Effect::RenameChat {
            id: id.clone(),
            title: "Models".into(),
        };
        let renamed = carry_out(&store, rename).unwrap();
        assert!(matches!(&renamed[..], [Message::Chats(list)] if list[0].title == "Models"));
        let deleted = carry_out(&store, Effect::DeleteChat(id.clone())).unwrap();
        assert!(
            matches!(&deleted[..], [Message::ChatDeleted(gone), Message::Chats(list)]
            if *gone == id && list.is_empty())
        );
    }

    #[test]
    fn a_chat_that_is_gone_is_an_error_in_words() {
        let error = carry_out(&store(), Effect::OpenChat("no-such".into())).unwrap_err();
        assert!(error.to_string().contains("no-such"), "{error}");
    }
}
