//! Theme files, good and bad.

use super::*;

fn merged(text: &str) -> (Theme, Vec<String>) {
    let mut problems = Vec::new();
    let base = fallback(&mut problems);
    let theme = merge(base, "my.toml", text, &mut problems);
    (theme, problems.iter().map(Problem::to_string).collect())
}

#[test]
fn built_in_themes_are_whole() {
    for (name, _) in BUILT_IN {
        let loaded = load(name, Path::new("/nonexistent"), Depth::True);
        assert_eq!(loaded.problems, [], "{name}");
        for (role, _) in ROLES {
            let set = loaded.theme.role(role) != Some(Style::new());
            assert!(set || *name == "mono" || *name == "ansi", "{name}: {role}");
        }
    }
}

#[test]
fn selection_and_focus_differ_by_form_too() {
    for (name, _) in BUILT_IN {
        let theme = load(name, Path::new("/nonexistent"), Depth::True).theme;
        for style in [theme.selection, theme.focus] {
            let form = Modifier::BOLD | Modifier::REVERSED;
            assert!(style.add_modifier.intersects(form), "{name}");
        }
    }
}

/// WCAG's relative luminance.
fn luminance(color: Color) -> f64 {
    let Color::Rgb(r, g, b) = color else {
        panic!("{color:?} is not a hex colour")
    };
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.03928 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_can_be_read() {
    for (name, least) in [("dark", 4.5), ("light", 4.5), ("high-contrast", 7.0)] {
        let theme = load(name, Path::new("/nonexistent"), Depth::True).theme;
        let ground = theme.text.bg.unwrap();
        for (role, _) in ROLES {
            let style = theme.role(role).unwrap();
            let decoration = matches!(*role, "border" | "gauge") || role.starts_with("chart");
            let Some(fg) = style.fg.filter(|_| !decoration) else {
                continue;
            };
            let found = contrast(fg, style.bg.unwrap_or(ground));
            assert!(
                found >= least,
                "{name}: {role} has a contrast of {found:.1}"
            );
        }
    }
}

#[test]
fn a_file_changes_what_it_names() {
    let (theme, problems) = merged(
        "[palette]\nclay = \"#d7a06b\"\n[roles]\naccent = \"clay\"\nok = { fg = \"green\", mods = [\"bold\"] }\n",
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!(theme.accent.fg, Some(Color::Rgb(0xd7, 0xa0, 0x6b)));
    assert_eq!(
        theme.ok,
        Style::new().fg(Color::Green).add_modifier(Modifier::BOLD)
    );
    assert!(theme.error.fg.is_some());
}

#[test]
fn every_problem_has_its_line_and_the_rest_works() {
    let (theme, problems) = merged(
        "colour = 1\n[roles]\nacent = \"red\"\nok = \"greeen\"\nwarn = { fg = \"yellow\", mods = [\"bald\"] }\n\
         error = { foreground = \"red\" }\nlink = \"blue\"\n",
    );
    insta::assert_snapshot!(problems.join("\n"));
    assert_eq!(theme.link.fg, Some(Color::Blue));
}

#[test]
fn broken_toml_keeps_the_default() {
    let (theme, problems) = merged("[roles\naccent = ");
    assert!(problems[0].starts_with("my.toml:1: "), "{problems:?}");
    assert!(theme.accent.fg.is_some());
}

#[test]
fn an_unknown_theme_is_named_and_replaced() {
    let loaded = load("drak", Path::new("/nonexistent"), Depth::True);
    let message = loaded.problems[0].to_string();
    assert!(message.contains("Did you mean `dark`?"), "{message}");
    assert!(loaded.theme.text.fg.is_some());
}

#[test]
fn no_color_means_no_colour() {
    let mut theme = load("light", Path::new("/nonexistent"), Depth::Mono).theme;
    theme.for_each(|role, style| {
        assert!(style.fg.is_none_or(|c| c == Color::Reset), "{role}");
        assert!(style.bg.is_none_or(|c| c == Color::Reset), "{role}");
    });
}

#[test]
fn a_selection_survives_sixteen_colours() {
    for (name, _) in BUILT_IN {
        let theme = load(name, Path::new("/nonexistent"), Depth::Ansi).theme;
        let reversed = theme.selection.add_modifier.contains(Modifier::REVERSED);
        assert!(reversed || theme.selection.bg != theme.text.bg, "{name}");
    }
}
