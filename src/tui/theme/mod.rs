//! Roles to styles. Panes name roles, never colours.
//!
//! A [`Theme`] is ready to draw: its colours are already reduced to what the
//! terminal shows. Reading theme files is the work of `theme::file`.

pub mod depth;
pub mod file;

use ratatui::style::{Modifier, Style};

pub use depth::Depth;
pub use file::Loaded;

macro_rules! roles {
    ($( $field:ident $name:literal $doc:literal; )*) => {
        /// A style for each role.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Theme {
            pub name: String,
            /// The syntect theme for code blocks; empty for none.
            pub syntax: String,
            /// The colours the terminal shows; syntax colours are to be reduced to it.
            pub depth: Depth,
            $( #[doc = $doc] pub $field: Style, )*
        }

        /// Role names as in theme files, with what they colour.
        pub const ROLES: &[(&str, &str)] = &[$( ($name, $doc) ),*];

        impl Theme {
            /// A theme in which every role looks the same.
            pub fn plain(name: &str) -> Self {
                Self { name: name.into(), syntax: String::new(), depth: Depth::True, $( $field: Style::new(), )* }
            }

            /// The style of a role by its name in theme files.
            pub fn role_mut(&mut self, name: &str) -> Option<&mut Style> {
                match name {
                    $( $name => Some(&mut self.$field), )*
                    _ => None,
                }
            }

            /// Changes every style.
            pub fn for_each(&mut self, mut change: impl FnMut(&'static str, &mut Style)) {
                $( change($name, &mut self.$field); )*
            }

            pub fn role(&self, name: &str) -> Option<Style> {
                match name {
                    $( $name => Some(self.$field), )*
                    _ => None,
                }
            }
        }
    };
}

roles! {
    text "text" "Ordinary text, and the background of the screen.";
    muted "muted" "What may be overlooked: times, units, hints.";
    accent "accent" "The one colour that draws the eye.";
    bar "bar" "The header and the footer.";
    key "key" "Keys in the footer and the help.";
    heading "heading" "Headings of panes, tables and Markdown.";
    user "user" "The name of the one who asks.";
    model "model" "The name of the model that answers.";
    thought "thought" "What a model thinks.";
    tool "tool" "Tool calls and their results.";
    code "code" "Code in running text.";
    code_block "code_block" "Code blocks, where no syntax colours apply.";
    quote "quote" "Quotations.";
    link "link" "Links.";
    ok "ok" "What went well.";
    warn "warn" "What needs attention.";
    error "error" "What went wrong.";
    selection "selection" "The selected line of a list that has the focus.";
    selection_dim "selection_dim" "The selected line of a list without the focus.";
    focus "focus" "Borders and titles of what has the focus.";
    border "border" "All other borders.";
    gauge "gauge" "The filled part of gauges.";
    chart1 "chart1" "The first line of a chart.";
    chart2 "chart2" "The second line of a chart.";
    chart3 "chart3" "The third line of a chart.";
    chart4 "chart4" "The fourth line of a chart.";
    chart5 "chart5" "The fifth line of a chart.";
    chart6 "chart6" "The sixth line of a chart.";
}

impl Theme {
    /// Reduces all colours to what the terminal shows. Where a background is
    /// lost that way, the selected line is shown reversed.
    pub fn reduce(mut self, depth: Depth) -> Self {
        let ground = self.text.bg.map(|color| depth.reduce(color));
        self.depth = depth;
        self.for_each(|name, style| {
            style.fg = style.fg.map(|color| depth.reduce(color));
            style.bg = style.bg.map(|color| depth.reduce(color));
            if name == "selection" && style.bg.is_some() && style.bg == ground {
                *style = style.add_modifier(Modifier::REVERSED);
            }
        });
        self
    }
}
