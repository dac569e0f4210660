//! The one table of everything a key, the palette or a slash command can do.
//!
//! Key maps, palette, help, footer and documentation are all made from
//! [`ACTIONS`]; nothing else lists actions. What an action does is decided by
//! `update` and by the panes, never here. Names are `context.verb` and are
//! part of the key-map file format: renaming one breaks users' files.

/// Where a key binding applies. A key is looked up from the innermost context
/// of what has the focus outwards, [`Context::Global`] last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    Global,
    /// Anywhere in the chat pane.
    Chat,
    Composer,
    Transcript,
    /// The list of chats.
    Chats,
    /// Movement in every list.
    List,
    Library,
    Logs,
    Cache,
    Tools,
    /// A one-line field that narrows a list.
    Filter,
    /// A form of several fields.
    Form,
    /// Palette, help, pickers and questions.
    Overlay,
}

impl Context {
    pub const ALL: &[Self] = &[
        Self::Global,
        Self::Chat,
        Self::Composer,
        Self::Transcript,
        Self::Chats,
        Self::List,
        Self::Library,
        Self::Logs,
        Self::Cache,
        Self::Tools,
        Self::Filter,
        Self::Form,
        Self::Overlay,
    ];

    /// The table's name in a key-map file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Chat => "chat",
            Self::Composer => "composer",
            Self::Transcript => "transcript",
            Self::Chats => "chats",
            Self::List => "list",
            Self::Library => "library",
            Self::Logs => "logs",
            Self::Cache => "cache",
            Self::Tools => "tools",
            Self::Filter => "filter",
            Self::Form => "form",
            Self::Overlay => "overlay",
        }
    }

    /// The heading in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Chat => "Chat",
            Self::Composer => "Chat: writing",
            Self::Transcript => "Chat: reading",
            Self::Chats => "Chat: list of chats",
            Self::List => "Every list",
            Self::Library => "Library",
            Self::Logs => "Logs",
            Self::Cache => "Cache",
            Self::Tools => "Tools",
            Self::Filter => "Filter fields",
            Self::Form => "Forms",
            Self::Overlay => "Palette, help and questions",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.name() == name)
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct ActionDoc {
    pub action: Action,
    /// `context.verb`, as in key-map files.
    pub name: &'static str,
    /// One or two words for the footer.
    pub label: &'static str,
    /// One sentence for help, palette and documentation.
    pub doc: &'static str,
    /// Where its default keys apply.
    pub context: Context,
    /// Chords that every terminal sends.
    pub keys: &'static [&'static str],
}

macro_rules! actions {
    ($( $context:ident { $( $variant:ident $name:literal $label:literal [$($key:literal),*] $doc:literal; )* } )*) => {
        /// Everything that can be done by a key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action {
            $($( #[doc = $doc] $variant, )*)*
        }

        /// The table, grouped by context in the order of the help.
        pub const ACTIONS: &[ActionDoc] = &[
            $($( ActionDoc {
                action: Action::$variant,
                name: $name,
                label: $label,
                doc: $doc,
                context: Context::$context,
                keys: &[$($key),*],
            }, )*)*
        ];
    };
}

actions! {
    Global {
        PaneChat "app.pane.chat" "chat" ["alt-1", "1"] "Show the chat pane.";
        PaneLibrary "app.pane.library" "library" ["alt-2", "2"] "Show the model library.";
        PaneLogs "app.pane.logs" "logs" ["alt-3", "3"] "Show the live logs.";
        PaneCache "app.pane.cache" "cache" ["alt-4", "4"] "Show cache and speed statistics.";
        PaneTools "app.pane.tools" "tools" ["alt-5", "5"] "Show the MCP tool console.";
        FocusNext "app.focus.next" "next part" ["tab"] "Move the focus to the next part of the pane.";
        FocusPrevious "app.focus.previous" "previous part" ["shift-tab"] "Move the focus to the previous part of the pane.";
        Palette "app.palette" "palette" ["ctrl-p"] "Search all actions and models, and run one.";
        Help "app.help" "help" ["f1", "?"] "Show the keys that work here, and all others.";
        Back "app.back" "back" ["esc"] "Go one level back; never leaves the program.";
        Stop "app.stop" "stop" ["ctrl-c"] "Stop what is running; when nothing runs, ask whether to quit.";
        Quit "app.quit" "quit" ["ctrl-q"] "Quit, after asking.";
        Suspend "app.suspend" "suspend" ["ctrl-z"] "Suspend the program and return to the shell; `fg` brings it back.";
        Redraw "app.redraw" "redraw" ["ctrl-l"] "Draw the whole screen again.";
        ApiToggle "app.api.toggle" "API on/off" ["f5"] "Start or stop the HTTP API behind the screen.";
        ThemePicker "app.theme" "theme" ["f6"] "Choose a colour theme.";
        Split "app.split" "split" ["f4"] "Show the previous pane beside this one, or only one pane again.";
        SplitFocus "app.split.focus" "other side" ["f3", "alt-0"] "Move the focus to the other of two panes.";
        UnloadModel "app.unload" "unload" [] "Unload the model in use and free its memory.";
    }
    Chat {
        ChatNew "chat.new" "new chat" ["ctrl-n"] "Start a new chat.";
        ChatList "chat.list" "chats" ["ctrl-o"] "Show or hide the list of chats.";
        ChatThinking "chat.thinking" "thinking" ["ctrl-t"] "Let the model think before it answers, or not.";
        ChatTools "chat.tools" "tools on/off" ["alt-t"] "Offer the MCP tools to the model, or not.";
        ChatToolAllow "chat.tool.allow" "allow" ["alt-y"] "Allow the tool call that the model asks for, and run it.";
        ChatToolRefuse "chat.tool.refuse" "refuse" ["alt-x"] "Refuse the tool call that the model asks for.";
        ChatOverflowDrop "chat.overflow.drop" "drop oldest" [] "Do not send the oldest turns of a chat that outgrew the context, as few as possible.";
        ChatOverflowSlide "chat.overflow.slide" "slide" [] "Send only the newest turns of a chat that outgrew the context, so that a quarter of it is free.";
        ChatOverflowRefuse "chat.overflow.refuse" "send all" [] "Send the whole chat, and refuse it once it does not fit.";
        ChatScrollUp "chat.scroll.up" "scroll up" ["pageup"] "Scroll the conversation up by a page.";
        ChatScrollDown "chat.scroll.down" "scroll down" ["pagedown"] "Scroll the conversation down by a page.";
        ChatScrollEnd "chat.scroll.end" "to the end" ["alt-g"] "Jump to the end of the conversation and follow it.";
    }
    Composer {
        ChatSend "chat.send" "send" ["enter"] "Send the message.";
        ChatNewLine "chat.newline" "new line" ["alt-enter", "ctrl-j"] "Begin a new line in the message.";
        ChatHistoryPrevious "chat.history.previous" "earlier" ["alt-up"] "Put the previous message of yours into the composer.";
        ChatHistoryNext "chat.history.next" "later" ["alt-down"] "Put the next message of yours into the composer.";
        ChatEditor "chat.editor" "editor" ["ctrl-g"] "Write the message in $VISUAL or $EDITOR.";
    }
    Transcript {
        ChatCompose "chat.compose" "write" ["i"] "Go back to writing.";
        ChatCopy "chat.copy" "copy" ["y"] "Copy the selected message, or one of the code blocks in sight by its letter.";
        ChatFindNext "chat.find.next" "next" ["n"] "Go to the next message with the text searched for.";
        ChatFindPrevious "chat.find.previous" "previous" ["N"] "Go to the previous message with the text searched for.";
        ChatEdit "chat.edit" "edit" ["e"] "Edit the selected message and answer it anew, in a branch.";
        ChatRegenerate "chat.regenerate" "again" ["r"] "Answer anew, in a branch.";
        ChatBranchPrevious "chat.branch.previous" "previous branch" ["["] "Show the previous branch at the selected message.";
        ChatBranchNext "chat.branch.next" "next branch" ["]"] "Show the next branch at the selected message.";
        ChatFold "chat.fold" "fold" ["space", "enter"] "Fold or unfold the thoughts and tool calls of the selected message.";
        ChatPin "chat.pin" "pin" ["p"] "Pin the selected message: it stays, with its turn, when a long chat is shortened.";
        ChatDeleteMessage "chat.message.delete" "delete" ["x"] "Delete the selected message and what follows it.";
    }
    Chats {
        ChatsOpen "chats.open" "open" ["enter"] "Open the selected chat.";
        ChatsRename "chats.rename" "rename" ["r"] "Rename the selected chat.";
        ChatsDelete "chats.delete" "delete" ["x"] "Delete the selected chat, after asking.";
    }
    List {
        ListUp "list.up" "up" ["up", "k"] "Select the line above.";
        ListDown "list.down" "down" ["down", "j"] "Select the line below.";
        ListPageUp "list.page.up" "page up" ["pageup", "ctrl-b"] "Go up by a page.";
        ListPageDown "list.page.down" "page down" ["pagedown", "ctrl-f"] "Go down by a page.";
        ListFirst "list.first" "first" ["home", "g"] "Go to the first line.";
        ListLast "list.last" "last" ["end", "G"] "Go to the last line.";
        ListFilter "list.filter" "filter" ["/"] "Narrow the list by text.";
    }
    Library {
        LibraryLoad "library.load" "load" ["enter"] "Load the selected model.";
        LibraryUnload "library.unload" "unload" ["u"] "Unload the model in use.";
        LibraryDownload "library.download" "download" ["d"] "Download a model from the Hugging Face Hub by its name.";
        LibraryPause "library.pause" "pause" ["space"] "Pause or continue the selected download.";
        LibraryCancel "library.cancel" "cancel" ["x"] "Cancel the selected download.";
        LibraryRescan "library.rescan" "rescan" ["r"] "Look for models on the disk again.";
        LibrarySort "library.sort" "sort" ["s"] "Sort by the next column.";
        LibraryCopy "library.copy" "copy path" ["y"] "Copy the path of the selected model.";
    }
    Logs {
        LogsFollow "logs.follow" "follow" ["f"] "Follow the newest line, or stand still.";
        LogsLevelUp "logs.level.more" "more" ["+", "="] "Show one more level of detail.";
        LogsLevelDown "logs.level.less" "less" ["-"] "Show one level of detail less.";
        LogsRequest "logs.request" "request" ["enter"] "Show only the lines of the selected line's request.";
        LogsCopy "logs.copy" "copy" ["y"] "Copy the selected line.";
        LogsSave "logs.save" "save" ["s"] "Save the lines shown to a file.";
    }
    Cache {
        CacheSpan "cache.span" "time span" ["s"] "Show the last 2, 10 or 30 minutes.";
    }
    Tools {
        ToolsCall "tools.call" "call" ["enter"] "Fill in the arguments of the selected tool, or call it.";
        ToolsRaw "tools.raw" "raw" ["r"] "Show the result as text or as the raw JSON.";
        ToolsRestart "tools.restart" "restart" ["R"] "Restart the selected server.";
        ToolsReload "tools.reload" "reload" ["L"] "Read mcp.json again.";
        ToolsCopy "tools.copy" "copy" ["y"] "Copy the result.";
        ToolsOlder "tools.older" "older" ["["] "Show the result of the call before.";
        ToolsNewer "tools.newer" "newer" ["]"] "Show the result of the call after.";
        ToolsInsert "tools.insert" "to chat" ["i"] "Insert the result in the chat's message.";
    }
    Filter {
        FilterApply "filter.apply" "apply" ["enter"] "Keep the filter and go back to the list.";
        FilterClear "filter.clear" "clear" ["esc"] "Clear the filter and go back to the list.";
    }
    Form {
        FormSubmit "form.submit" "call" ["enter", "alt-enter"] "Submit the form.";
        FormNext "form.next" "next field" ["down", "tab"] "Go to the next field.";
        FormRaw "form.json" "as JSON" ["alt-j"] "Type all arguments as JSON, or field by field again.";
        FormPrevious "form.previous" "previous field" ["up", "shift-tab"] "Go to the previous field.";
    }
    Overlay {
        OverlayAccept "overlay.accept" "choose" ["enter"] "Choose the selected line, or answer yes.";
        OverlayUp "overlay.up" "up" ["up", "ctrl-p"] "Select the line above.";
        OverlayDown "overlay.down" "down" ["down", "ctrl-n"] "Select the line below.";
        OverlayPageUp "overlay.page.up" "page up" ["pageup"] "Go up by a page.";
        OverlayPageDown "overlay.page.down" "page down" ["pagedown"] "Go down by a page.";
    }
}

impl Action {
    /// The action's row of the table.
    pub fn doc(self) -> &'static ActionDoc {
        // The enum and the table come from the same rows in the same order.
        &ACTIONS[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.doc().name
    }

    pub fn parse(name: &str) -> Option<Self> {
        ACTIONS.iter().find(|d| d.name == name).map(|d| d.action)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_and_variants_agree() {
        for (index, row) in ACTIONS.iter().enumerate() {
            assert_eq!(row.action as usize, index);
            assert_eq!(Action::parse(row.name), Some(row.action));
        }
    }

    #[test]
    fn names_are_unique_and_documented() {
        let mut names = HashSet::new();
        for row in ACTIONS {
            assert!(names.insert(row.name), "{} twice", row.name);
            assert!(row.doc.ends_with('.'), "{}: {:?}", row.name, row.doc);
            assert!(row.name.contains('.') && !row.label.is_empty());
        }
    }

    #[test]
    fn context_names_parse() {
        for context in Context::ALL {
            assert_eq!(Context::parse(context.name()), Some(*context));
        }
    }
}
