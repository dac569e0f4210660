//! Theme files: TOML with a palette and a style for each role.
//!
//! ```toml
//! inherits = "dark"          # roles not named here come from that theme
//! syntax = "base16-ocean.dark"
//! [palette]
//! clay = "#d7a06b"
//! [roles]
//! accent = "clay"            # a palette name, an ANSI name, 0 to 255 or hex
//! focus = { fg = "clay", bg = "#16181d", mods = ["bold"] }
//! ```
//!
//! Nothing in a file can keep the program from starting: what cannot be used
//! is left out and reported with file and line.

use std::{collections::BTreeMap, ops::Range, path::Path, str::FromStr};

use ratatui::style::{Color, Modifier, Style};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Depth, ROLES, Theme};
use crate::tui::{nearest::did_you_mean, problem::Problem};

const BUILT_IN: &[(&str, &str)] = &[
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../../themes/high-contrast.toml"),
    ),
    ("ansi", include_str!("../../../themes/ansi.toml")),
    ("mono", include_str!("../../../themes/mono.toml")),
];

/// The name that the settings begin with.
const DEFAULT: &str = "default";

/// A theme and what was wrong with its file.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub theme: Theme,
    pub problems: Vec<Problem>,
}

/// The built-in themes and those of the user's folder.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).into()).collect();
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut own: Vec<String> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| !names.contains(name))
        .collect();
    own.sort();
    names.extend(own);
    names
}

/// Loads the theme called `name` (`default` is the dark one): the built-in one
/// with the user's `NAME.toml` laid over it, reduced to the terminal's colours.
/// Without colours it is always `mono`, whose roles differ by form alone.
pub fn load(name: &str, folder: &Path, depth: Depth) -> Loaded {
    let name = match (depth, name) {
        (Depth::Mono, _) => "mono",
        (_, DEFAULT) => "dark",
        (_, name) => name,
    };
    let mut problems = Vec::new();
    let path = folder.join(format!("{name}.toml"));
    let file = path.display().to_string();
    let base = built_in(name, &mut problems);
    let theme = match (std::fs::read_to_string(&path), base) {
        (Ok(text), base) => {
            let base = base.unwrap_or_else(|| fallback(&mut problems));
            merge(base, &file, &text, &mut problems)
        }
        (Err(error), base) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                let message = format!("the file cannot be read, so it is left out: {error}");
                problems.push(Problem::new(file, message));
            } else if base.is_none() {
                let known = names(folder);
                let hint = did_you_mean(name, known.iter().map(String::as_str));
                let message = format!("there is no such theme, so the default one is used.{hint}");
                problems.push(Problem::new(file, message));
            }
            base.unwrap_or_else(|| fallback(&mut problems))
        }
    };
    let mut theme = theme.reduce(depth);
    theme.name = name.into();
    Loaded { theme, problems }
}

fn fallback(problems: &mut Vec<Problem>) -> Theme {
    built_in("dark", problems).unwrap_or_else(|| Theme::plain("dark"))
}

fn built_in(name: &str, problems: &mut Vec<Problem>) -> Option<Theme> {
    let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    let file = format!("{name}.toml");
    Some(merge(Theme::plain(name), &file, text, problems))
}

/// Lays a file over a theme.
fn merge(base: Theme, file: &str, text: &str, problems: &mut Vec<Problem>) -> Theme {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        theme: base,
        palette: BTreeMap::new(),
        file,
        text,
        problems,
    };
    for error in errors {
        reader.problem(error.span(), error.message().into());
    }
    reader.read(table.get_ref());
    let theme = reader.theme;
    problems.sort_by(Problem::by_place);
    theme
}

struct Reader<'a> {
    theme: Theme,
    palette: BTreeMap<String, Color>,
    file: &'a str,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, span: Option<Range<usize>>, message: String) {
        let problem = Problem::new(self.file.into(), message).at(self.text, span);
        self.problems.push(problem);
    }

    fn read(&mut self, table: &DeTable<'_>) {
        if let Some(base) = table.get("inherits") {
            self.inherit(base);
        }
        if let Some(DeValue::Table(palette)) = table.get("palette").map(Spanned::get_ref) {
            self.palette(palette);
        }
        for (key, value) in table.iter() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("inherits", _) | ("palette", DeValue::Table(_)) => {}
                ("syntax", DeValue::String(name)) => self.theme.syntax = name.to_string(),
                ("roles", DeValue::Table(roles)) => self.roles(roles),
                (known @ ("syntax" | "roles" | "palette"), _) => {
                    let what = if known == "syntax" {
                        "a name"
                    } else {
                        "a table"
                    };
                    self.problem(Some(value.span()), format!("`{known}` must be {what}"));
                }
                (name, _) => {
                    let hint = did_you_mean(name, ["inherits", "syntax", "palette", "roles"]);
                    self.problem(
                        Some(key.span()),
                        format!("there is no `{name}` in themes.{hint}"),
                    );
                }
            }
        }
    }

    fn inherit(&mut self, base: &Spanned<DeValue<'_>>) {
        let name = match base.get_ref() {
            DeValue::String(name) => name.as_ref(),
            _ => "",
        };
        match built_in(name, self.problems) {
            Some(theme) => self.theme = theme,
            None => {
                let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                let message = format!("`inherits` is one of {}", known.join(", "));
                self.problem(Some(base.span()), message);
            }
        }
    }

    fn palette(&mut self, palette: &DeTable<'_>) {
        for (name, value) in palette.iter() {
            if let Some(color) = self.color(value) {
                self.palette.insert(name.get_ref().to_string(), color);
            }
        }
    }

    fn roles(&mut self, roles: &DeTable<'_>) {
        for (name, value) in roles.iter() {
            let Some(style) = self.style(value) else {
                continue;
            };
            match self.theme.role_mut(name.get_ref()) {
                Some(role) => *role = style,
                None => {
                    let hint = did_you_mean(name.get_ref(), ROLES.iter().map(|(name, _)| *name));
                    let message = format!("there is no role `{}`.{hint}", name.get_ref());
                    self.problem(Some(name.span()), message);
                }
            }
        }
    }

    fn style(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Style> {
        let DeValue::Table(table) = value.get_ref() else {
            return Some(Style::new().fg(self.color(value)?));
        };
        let mut style = Style::new();
        for (key, value) in table.iter() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("fg", _) => style.fg = self.color(value),
                ("bg", _) => style.bg = self.color(value),
                ("mods", DeValue::Array(mods)) => {
                    for word in mods.iter() {
                        style = style.add_modifier(self.modifier(word));
                    }
                }
                _ => self.problem(
                    Some(key.span()),
                    "a style has fg and bg, which are colours, and mods, a list".into(),
                ),
            }
        }
        Some(style)
    }

    fn modifier(&mut self, word: &Spanned<DeValue<'_>>) -> Modifier {
        let name = match word.get_ref() {
            DeValue::String(name) => name.as_ref(),
            _ => "",
        };
        match name {
            "bold" => Modifier::BOLD,
            "dim" => Modifier::DIM,
            "italic" => Modifier::ITALIC,
            "underlined" => Modifier::UNDERLINED,
            "reversed" => Modifier::REVERSED,
            "crossed_out" => Modifier::CROSSED_OUT,
            _ => {
                self.problem(
                    Some(word.span()),
                    format!(
                        "there is no modifier `{name}`: bold, dim, italic, underlined, reversed and crossed_out are known"
                    ),
                );
                Modifier::empty()
            }
        }
    }

    fn color(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Color> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            _ => String::new(),
        };
        let known = self.palette.get(&text).copied();
        let color = known.or_else(|| Color::from_str(&text).ok());
        if color.is_none() {
            let hint = did_you_mean(&text, self.palette.keys().map(String::as_str));
            let message = format!(
                "`{text}` is no colour: write #rrggbb, an ANSI name such as lightblue, 0 to 255, or a name from [palette].{hint}"
            );
            self.problem(Some(value.span()), message);
        }
        color
    }
}

#[cfg(test)]
mod tests;
