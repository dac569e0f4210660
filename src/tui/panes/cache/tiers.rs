//! What prompts found in each tier, and how the lower ones are doing.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::tui::{
    theme::Theme,
    types::{CacheStats, DiskCounters, PrefixCounters},
    units,
};

/// Rows for a pane of this height.
pub fn height(pane: u16, stats: &CacheStats) -> u16 {
    match pane {
        0..14 => 0,
        _ => 2 + u16::from(stats.ram.on),
    }
}

pub fn draw(frame: &mut Frame, area: Rect, stats: &CacheStats, theme: &Theme) {
    let width = usize::from(area.width);
    let mut lines = vec![line("memory", memory(&stats.prefix), width, theme)];
    if stats.ram.on {
        lines.push(line("RAM", ram(stats), width, theme));
    }
    lines.push(line("disk", disk(stats), width, theme));
    frame.render_widget(Paragraph::new(lines), area);
}

/// A name and what is said of it.
struct Part {
    name: &'static str,
    value: String,
    bad: bool,
}

fn part(name: &'static str, value: String) -> Part {
    Part {
        name,
        value,
        bad: false,
    }
}

fn memory(prefix: &PrefixCounters) -> Vec<Part> {
    let count = |name, number| (number > 0).then(|| part(name, units::count(number)));
    let mut parts = vec![
        part("hits", units::count(prefix.memory_hits)),
        part("tokens", units::count(prefix.memory_tokens)),
        part("misses", units::count(prefix.misses)),
    ];
    parts.extend(count("ended at other tokens", prefix.ended_other_tokens));
    parts.extend(count("at evicted pages", prefix.ended_evicted));
    parts
}

fn ram(stats: &CacheStats) -> Vec<Part> {
    let (prefix, ram) = (&stats.prefix, &stats.ram);
    let holds = format!("{} of {}", units::bytes(ram.bytes), units::bytes(ram.limit));
    let mut parts = vec![
        part("hits", units::count(prefix.ram_hits)),
        part("tokens", units::count(prefix.ram_tokens)),
        part("pages", units::count(ram.pages)),
        part("holds", holds),
    ];
    if ram.evicted_pages > 0 {
        parts.push(part("evicted", units::count(ram.evicted_pages)));
    }
    parts
}

fn disk(stats: &CacheStats) -> Vec<Part> {
    let (prefix, disk) = (&stats.prefix, &stats.disk);
    if !disk.on {
        return vec![part("off", String::new())];
    }
    let mut parts = vec![
        part("hits", units::count(prefix.disk_hits)),
        part("tokens", units::count(prefix.disk_tokens)),
        part("pages written", units::count(disk.written_pages)),
        part(
            "stored",
            format!(
                "{} of {}",
                units::bytes(disk.stored_bytes),
                units::bytes(disk.limit)
            ),
        ),
    ];
    if disk.queued > 0 {
        parts.push(part("waiting", units::count(disk.queued)));
    }
    if disk.evicted_pages > 0 {
        parts.push(part("evicted", units::count(disk.evicted_pages)));
    }
    parts.extend(troubles(disk));
    parts
}

fn troubles(disk: &DiskCounters) -> Vec<Part> {
    let rejects = &disk.rejects;
    let reasons = [
        ("checksum", rejects.checksum),
        ("foreign", rejects.foreign),
        ("cut short", rejects.truncated),
        ("version", rejects.version),
        ("unreadable", rejects.io),
    ];
    let reasons = reasons.iter().filter(|(_, count)| *count > 0);
    let reasons: Vec<String> = reasons
        .map(|(name, count)| format!("{} {name}", units::count(*count)))
        .collect();
    let mut parts = Vec::new();
    if !reasons.is_empty() {
        parts.push(("rejected", reasons.join(", ")));
    }
    if !disk.writing {
        parts.push(("not written to any more", String::new()));
    }
    let bad = |(name, value)| Part {
        name,
        value,
        bad: true,
    };
    parts.into_iter().map(bad).collect()
}

/// As many parts as fit.
fn line(tier: &'static str, parts: Vec<Part>, width: usize, theme: &Theme) -> Line<'static> {
    let mut line = Line::from(vec![
        Span::raw(" "),
        Span::styled(format!("{tier:<6}"), theme.heading),
    ]);
    for Part { name, value, bad } in parts {
        let (name_style, value_style) = match bad {
            true => (theme.error, theme.error),
            false => (theme.muted, Style::default()),
        };
        let mut new = vec![Span::raw("   "), Span::styled(name, name_style)];
        if !value.is_empty() {
            new.extend([Span::raw(" "), Span::styled(value, value_style)]);
        }
        let needed: usize = new.iter().map(Span::width).sum();
        if line.width() + needed > width {
            break;
        }
        line.extend(new);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::types::RejectCounters;

    fn text(parts: Vec<Part>) -> String {
        let words = parts
            .into_iter()
            .map(|part| format!("{} {}", part.name, part.value));
        words.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn the_hosts_memory_has_a_line_where_it_is_used() {
        let mut stats = CacheStats::default();
        assert_eq!((height(20, &stats), height(10, &stats)), (2, 0));
        stats.ram.on = true;
        stats.ram.limit = 2_000_000_000;
        stats.ram.pages = 12;
        stats.prefix.ram_tokens = 640;
        assert_eq!(height(20, &stats), 3);
        let told = text(ram(&stats));
        assert!(told.contains("tokens 640; pages 12"), "{told}");
        assert!(!told.contains("evicted"), "{told}");
    }

    #[test]
    fn troubles_are_told_by_reason() {
        let mut stats = CacheStats::default();
        assert_eq!(text(disk(&stats)), "off ");
        stats.disk.on = true;
        stats.disk.writing = true;
        assert!(!text(disk(&stats)).contains("rejected"));
        stats.disk.rejects = RejectCounters {
            checksum: 2,
            io: 1,
            ..RejectCounters::default()
        };
        stats.disk.writing = false;
        let told = text(disk(&stats));
        assert!(told.contains("rejected 2 checksum, 1 unreadable"), "{told}");
        assert!(told.contains("not written to"), "{told}");
    }
}
