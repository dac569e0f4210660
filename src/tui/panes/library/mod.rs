//! The library pane: the models on this machine and those on their way here.
//!
//! Keeps only what is chosen, sought and sorted by; the models themselves are in
//! `Shared`. `rows` makes the table's lines, `draw` the picture.

mod columns;
mod draw;
mod rows;

#[cfg(test)]
mod tests;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::{Frame, layout::Rect};

use crate::tui::{
    action::{Action, Context},
    field::Field,
    message::{Effect, Message, Notice},
    overlay::{Confirm, Overlay, Prompt},
    pane::{Pane, PaneId},
    state::Shared,
    theme::Theme,
    types::*,
    units::bytes,
    widgets::Cursor,
};
use rows::{Row, Sort};

#[derive(Debug, Default)]
pub struct LibraryPane {
    cursor: Cursor,
    filter: Field,
    filtering: bool,
    sort: Sort,
}

impl LibraryPane {
    fn rows<'s>(&self, shared: &'s Shared) -> Vec<Row<'s>> {
        rows::rows(shared, self.filter.text(), self.sort)
    }

    fn selected<'s>(&self, shared: &'s Shared) -> Option<Row<'s>> {
        self.rows(shared).into_iter().nth(self.cursor.selected)
    }

    fn load(&self, shared: &Shared) -> Vec<Effect> {
        match self.selected(shared) {
            Some(Row::Model(model)) => load(model, shared),
            Some(Row::Download(download)) => match &download.status {
                DownloadStatus::Paused | DownloadStatus::Failed(_) => {
                    vec![Effect::ResumeDownload(download.id.clone())]
                }
                _ => notify(Notice::info("This model is still on its way here.")),
            },
            None => Vec::new(),
        }
    }

    fn pause(&self, shared: &Shared) -> Vec<Effect> {
        let Some(download) = self.selected(shared).and_then(|row| row.download(shared)) else {
            return Vec::new();
        };
        let id = download.id.clone();
        match download.status {
            DownloadStatus::Queued | DownloadStatus::Running => vec![Effect::PauseDownload(id)],
            DownloadStatus::Paused | DownloadStatus::Failed(_) => vec![Effect::ResumeDownload(id)],
            DownloadStatus::Done(_) => Vec::new(),
        }
    }

    fn cancel(&self, shared: &Shared) -> Vec<Effect> {
        let Some(download) = self.selected(shared).and_then(|row| row.download(shared)) else {
            return Vec::new();
        };
        if matches!(download.status, DownloadStatus::Done(_)) {
            return Vec::new();
        }
        vec![Effect::Open(Overlay::Confirm(Confirm {
            title: "Cancel the download".into(),
            question: format!("Cancel the download of {}?", download.id),
            yes: vec![Effect::CancelDownload(download.id.clone())],
        }))]
    }

    fn clear(&mut self, shared: &Shared) {
        let id = self.selected(shared).map(|row| row.id().to_owned());
        self.filter.clear();
        self.filtering = false;
        self.keep(id.as_deref(), shared);
    }

    /// Keeps the same model selected when the lines change.
    fn keep(&mut self, id: Option<&str>, shared: &Shared) {
        let rows = self.rows(shared);
        if let Some(at) = rows.iter().position(|row| Some(row.id()) == id) {
            self.cursor.selected = at;
        }
        self.cursor.clamp(rows.len());
    }
}

fn load(model: &ModelEntry, shared: &Shared) -> Vec<Effect> {
    if let Some(problem) = &model.problem {
        return notify(Notice::error(format!(
            "{} cannot be loaded: {problem}",
            model.id
        )));
    }
    if shared
        .model
        .as_ref()
        .is_some_and(|loaded| loaded.id == model.id)
    {
        return notify(Notice::info(format!("{} is in use already.", model.id)));
    }
    let effect = Effect::Load(model.id.clone());
    if model.fit.fits() {
        return vec![effect];
    }
    vec![Effect::Open(Overlay::Confirm(Confirm {
        title: "Not enough memory".into(),
        question: format!(
            "{} needs {} and {} are free. Load it all the same?",
            model.id,
            bytes(model.fit.needed),
            bytes(model.fit.available)
        ),
        yes: vec![effect],
    }))]
}

/// The question for the model to download.
fn ask_for_download() -> Vec<Effect> {
    vec![Effect::Open(Overlay::Prompt(Prompt {
        title: "Download a model".into(),
        question: "Name on the Hugging Face Hub, such as mlx-community/Qwen3-0.6B-4bit".into(),
        field: Field::default(),
        subject: String::new(),
        then: |_, text| {
            let id = text
                .trim()
                .trim_start_matches("https://huggingface.co/")
                .trim_end_matches('/');
            let parts: Vec<_> = id.split('/').collect();
            match parts[..] {
                [owner, name] if !owner.is_empty() && !name.is_empty() => {
                    vec![Effect::Download(id.to_owned())]
                }
                _ => notify(Notice::error(format!(
                    "`{id}` is not a name on the hub: give owner/name."
                ))),
            }
        },
    }))]
}

fn notify(notice: Notice) -> Vec<Effect> {
    vec![Effect::Notify(notice)]
}

impl Pane for LibraryPane {
    fn id(&self) -> PaneId {
        PaneId::Library
    }

    fn contexts(&self) -> Vec<Context> {
        match self.filtering {
            true => vec![Context::Filter],
            false => vec![Context::Library, Context::List],
        }
    }

    fn typing(&self) -> bool {
        self.filtering
    }

    fn on_action(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::ListFilter => self.filtering = true,
            Action::FilterApply => self.filtering = false,
            Action::FilterClear | Action::Back => self.clear(shared),
            Action::LibraryLoad => return self.load(shared),
            Action::LibraryUnload if shared.model.is_some() => return vec![Effect::Unload],
            Action::LibraryDownload => return ask_for_download(),
            Action::LibraryPause => return self.pause(shared),
            Action::LibraryCancel => return self.cancel(shared),
            Action::LibraryRescan => {
                return vec![
                    Effect::Rescan,
                    Effect::Notify(Notice::info("Looking for models.")),
                ];
            }
            Action::LibrarySort => {
                let id = self.selected(shared).map(|row| row.id().to_owned());
                self.sort = self.sort.next();
                self.keep(id.as_deref(), shared);
            }
            Action::LibraryCopy => {
                if let Some(Row::Model(model)) = self.selected(shared) {
                    return vec![Effect::Copy(model.path.display().to_string())];
                }
            }
            action => {
                let count = self.rows(shared).len();
                self.cursor.step(action, count);
            }
        }
        Vec::new()
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Vec<Effect> {
        if !self.filtering {
            return Vec::new();
        }
        let count = self.rows(shared).len();
        match key.code {
            KeyCode::Up => drop(self.cursor.step(Action::ListUp, count)),
            KeyCode::Down => drop(self.cursor.step(Action::ListDown, count)),
            _ if self.filter.on_key(key) => self.cursor = Cursor::default(),
            _ => {}
        }
        Vec::new()
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if self.filtering {
            self.filter.insert(text);
        }
        Vec::new()
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        if let Message::Models(_) | Message::Downloads(_) = message {
            self.cursor.clamp(self.rows(shared).len());
        }
        Vec::new()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        self.draw_pane(frame, area, theme, shared);
    }

    fn hints(&self, shared: &Shared) -> Vec<Action> {
        if self.filtering {
            return vec![Action::FilterApply, Action::FilterClear];
        }
        let mut hints = vec![
            Action::LibraryLoad,
            Action::LibraryDownload,
            Action::ListFilter,
        ];
        if self
            .selected(shared)
            .and_then(|row| row.download(shared))
            .is_some()
        {
            hints.extend([Action::LibraryPause, Action::LibraryCancel]);
        }
        hints.extend([
            Action::LibrarySort,
            Action::LibraryRescan,
            Action::LibraryUnload,
            Action::LibraryCopy,
        ]);
        hints
    }
}
