//! Takes a picture of the real program: runs it in a pseudo-terminal, types,
//! waits for text, and writes the screen as SVG.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example screenshot -- docs/chat.svg 120x36 \
//!     'type:How do I download a larger model?' key:enter wait:tok/s
//! ```
//!
//! Steps: `type:TEXT`, `key:NAME` (enter, esc, tab, alt-1, ctrl-p, f1…),
//! `wait:TEXT` until the screen shows it, `pause:MILLISECONDS`.

use std::{
    fmt::Write as _,
    io::{Read, Write as _},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portable_pty::{CommandBuilder, NativePtySystem, PtySize, PtySystem};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (Some(output), Some(size)) = (args.next(), args.next()) else {
        return Err("usage: screenshot OUTPUT.svg COLUMNSxROWS [STEP…]".into());
    };
    let (cols, rows) = size.split_once('x').ok_or("the size is COLUMNSxROWS")?;
    let size = PtySize {
        rows: rows.parse()?,
        cols: cols.parse()?,
        ..PtySize::default()
    };
    let home = tempfile::tempdir()?;
    let mut session = Session::start(size, home.path())?;
    session.wait("maquette")?;
    for step in args {
        session.step(&step)?;
    }
    session.settle();
    std::fs::write(&output, svg(&session.parser().screen().clone()))?;
    Ok(())
}

struct Session {
    parser: Arc<Mutex<vt100::Parser>>,
    input: Box<dyn std::io::Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _pty: Box<dyn portable_pty::MasterPty + Send>,
}

impl Session {
    fn start(size: PtySize, home: &Path) -> Result<Self, Error> {
        let pty = NativePtySystem::default().openpty(size)?;
        let mut command =
            CommandBuilder::new(std::env::current_dir()?.join("target/release/maquette"));
        command.env("MAQUETTE_HOME", home);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.cwd(std::env::current_dir()?);
        let child = pty.slave.spawn_command(command)?;
        let parser = Arc::new(Mutex::new(parser(size)?));
        let (mut reader, screen) = (pty.master.try_clone_reader()?, Arc::clone(&parser));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                lock(&screen).process(&buffer[..read]);
            }
        });
        let input = pty.master.take_writer()?;
        Ok(Self {
            parser,
            input,
            child,
            _pty: pty.master,
        })
    }

    fn parser(&self) -> std::sync::MutexGuard<'_, vt100::Parser> {
        lock(&self.parser)
    }

    fn step(&mut self, step: &str) -> Result<(), Error> {
        match step.split_once(':') {
            Some(("type", text)) => Ok(self.input.write_all(text.as_bytes())?),
            Some(("key", name)) => {
                let bytes = key(name).ok_or_else(|| format!("unknown key {name}"))?;
                Ok(self.input.write_all(&bytes)?)
            }
            Some(("wait", text)) => self.wait(text),
            Some(("pause", time)) => {
                std::thread::sleep(Duration::from_millis(time.parse()?));
                Ok(())
            }
            _ => Err(format!("unknown step {step}").into()),
        }
    }

    fn wait(&self, text: &str) -> Result<(), Error> {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if self.parser().screen().contents().contains(text) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!(
            "the screen never showed {text:?}:\n{}",
            self.parser().screen().contents()
        )
        .into())
    }

    /// Waits until the screen has stopped changing for a moment.
    fn settle(&self) {
        let mut before = String::new();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.parser().screen().contents();
            if now == before {
                return;
            }
            before = now;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parser(size: PtySize) -> Result<vt100::Parser, Error> {
    let empty = "the size must not be zero";
    let rows = std::num::NonZero::new(size.rows).ok_or(empty)?;
    let cols = std::num::NonZero::new(size.cols).ok_or(empty)?;
    Ok(vt100::Parser::new(rows, cols, 0))
}

fn lock(parser: &Mutex<vt100::Parser>) -> std::sync::MutexGuard<'_, vt100::Parser> {
    parser
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn key(name: &str) -> Option<Vec<u8>> {
    if let Some(rest) = name.strip_prefix("alt-") {
        return Some([b"\x1b".as_slice(), &key(rest)?].concat());
    }
    if let Some(letter) = name.strip_prefix("ctrl-") {
        return Some(vec![letter.bytes().next()? & 0x1f]);
    }
    Some(match name {
        "enter" => b"\r".to_vec(),
        "esc" => b"\x1b".to_vec(),
        "tab" => b"\t".to_vec(),
        "up" => b"\x1b[A".to_vec(),
        "down" => b"\x1b[B".to_vec(),
        "f1" => b"\x1bOP".to_vec(),
        "f5" => b"\x1b[15~".to_vec(),
        "space" => b" ".to_vec(),
        single if single.chars().count() == 1 => single.as_bytes().to_vec(),
        _ => return None,
    })
}

const CELL: (f32, f32) = (8.4, 18.0);
const MARGIN: f32 = 12.0;
const FOREGROUND: &str = "#d8dee9";
const BACKGROUND: &str = "#14161b";

fn svg(screen: &vt100::Screen) -> String {
    let (rows, cols) = screen.size();
    let (rows, cols) = (rows.get(), cols.get());
    let (width, height) = (
        f32::from(cols) * CELL.0 + 2.0 * MARGIN,
        f32::from(rows) * CELL.1 + 2.0 * MARGIN,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" \
         font-size=\"14\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for row in 0..rows {
        draw_row(&mut svg, screen, row, cols);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Cells of equal looks become one `<text>` of fixed length, so that a viewer's
/// own font keeps the grid.
fn draw_row(svg: &mut String, screen: &vt100::Screen, row: u16, cols: u16) {
    let mut col = 0;
    while col < cols {
        let Some(first) = screen.cell(row, col) else {
            return;
        };
        let looks = Looks::of(first);
        let start = col;
        let mut text = String::new();
        while let Some(cell) = screen
            .cell(row, col)
            .filter(|cell| Looks::of(cell) == looks)
        {
            if !cell.is_wide_continuation() {
                text.push_str(if cell.has_contents() {
                    cell.contents()
                } else {
                    " "
                });
            }
            col += 1;
        }
        looks.draw(svg, &text, row, start, col - start);
    }
}

#[derive(PartialEq)]
struct Looks {
    foreground: String,
    background: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

impl Looks {
    fn of(cell: &vt100::Cell) -> Self {
        let (mut foreground, mut background) = (color(cell.fgcolor()), color(cell.bgcolor()));
        if cell.inverse() {
            (foreground, background) = (
                background.or_else(|| Some(BACKGROUND.into())),
                foreground.or_else(|| Some(FOREGROUND.into())),
            );
        }
        Self {
            foreground: foreground.unwrap_or_else(|| FOREGROUND.into()),
            background,
            bold: cell.bold(),
            dim: cell.dim(),
            italic: cell.italic(),
            underline: cell.underline(),
        }
    }

    fn draw(&self, svg: &mut String, text: &str, row: u16, col: u16, width: u16) {
        let (x, y) = (
            MARGIN + f32::from(col) * CELL.0,
            MARGIN + f32::from(row) * CELL.1,
        );
        let length = f32::from(width) * CELL.0;
        if let Some(background) = &self.background {
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{}\" fill=\"{background}\"/>",
                CELL.1
            );
        }
        if text.trim().is_empty() {
            return;
        }
        let escaped = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let mut style = String::new();
        for (on, css) in [
            (self.bold, " font-weight=\"bold\""),
            (self.dim, " opacity=\"0.6\""),
            (self.italic, " font-style=\"italic\""),
            (self.underline, " text-decoration=\"underline\""),
        ] {
            if on {
                style.push_str(css);
            }
        }
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
             fill=\"{}\"{style}>{escaped}</text>",
            y + 13.5,
            self.foreground
        );
    }
}

fn color(color: vt100::Color) -> Option<String> {
    const BASIC: [&str; 16] = [
        "#1d1f21", "#cc6666", "#b5bd68", "#f0c674", "#81a2be", "#b294bb", "#8abeb7", "#c5c8c6",
        "#666a70", "#d54e53", "#b9ca4a", "#e7c547", "#7aa6da", "#c397d8", "#70c0b1", "#eaeaea",
    ];
    match color {
        vt100::Color::Default => None,
        vt100::Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        vt100::Color::Idx(i @ 0..16) => Some(BASIC[usize::from(i)].into()),
        vt100::Color::Idx(i @ 16..232) => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let i = i - 16;
            Some(format!(
                "#{:02x}{:02x}{:02x}",
                level(i / 36),
                level(i / 6 % 6),
                level(i % 6)
            ))
        }
        vt100::Color::Idx(i) => {
            let gray = 8 + 10 * (i - 232);
            Some(format!("#{gray:02x}{gray:02x}{gray:02x}"))
        }
    }
}
