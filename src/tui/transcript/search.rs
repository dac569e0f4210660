//! Finding text in the messages, as it is written in their source.

use super::view::Transcript;

impl Transcript {
    /// Selects the next message (or the previous one, going `back`) whose text
    /// holds `needle`, whatever the case, and shows the line. Starts beside the
    /// selected message and goes round. False when there is none.
    pub fn find(&mut self, needle: &str, back: bool) -> bool {
        let needle = needle.to_lowercase();
        let count = self.cells().len();
        if needle.is_empty() || count == 0 {
            return false;
        }
        let start = self.selected().and_then(|cell| self.index(cell.id));
        let order = (0..count).map(|step| match (start, back) {
            (Some(at), false) => (at + 1 + step) % count,
            (Some(at), true) => (at + 2 * count - 1 - step) % count,
            (None, false) => step,
            (None, true) => count - 1 - step,
        });
        let holds = |&index: &usize| {
            self.cells()[index]
                .source()
                .to_lowercase()
                .contains(&needle)
        };
        let Some(index) = order.into_iter().find(holds) else {
            return false;
        };
        self.layout(index);
        let cell = &self.cells()[index];
        let id = cell.id;
        let line = cell.lines(0).position(|line| {
            let text: String = line
                .spans
                .iter()
                .map(|span| span.content.as_ref())
                .collect();
            text.to_lowercase().contains(&needle)
        });
        self.select(Some(id));
        self.show(id, line.unwrap_or(0));
        true
    }
}
