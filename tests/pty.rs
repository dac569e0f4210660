//! The real program in a real pseudo-terminal: start, panes, resize, and the
//! terminal given back in every way of ending. Nothing answers the terminal's
//! questions here, and everything is waited for by what the screen shows.

use std::{
    io::{Read, Write},
    num::NonZeroU16,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Long enough for a loaded machine; waits end as soon as they may.
const PATIENCE: Duration = Duration::from_secs(60);

struct Pty {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// One message for every piece of output.
    news: mpsc::Receiver<()>,
    started: Instant,
    _home: tempfile::TempDir,
}

fn nonzero(value: u16) -> NonZeroU16 {
    NonZeroU16::new(value).expect("a size that is not zero")
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

impl Pty {
    /// Starts the program alone in a terminal of 100×30.
    fn start() -> Self {
        Self::run(env!("CARGO_BIN_EXE_maquette"), &[])
    }

    fn run(program: &str, arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let pair = native_pty_system()
            .openpty(size(100, 30))
            .expect("a terminal");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("MAQUETTE_HOME", home.path());
        // Only folders of the test are searched for models.
        command.env("HF_HOME", home.path().join("hf"));
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        for name in [
            "NO_COLOR",
            "TMUX",
            "HF_HUB_CACHE",
            "RUST_LOG",
            "PROMPT_COMMAND",
        ] {
            command.env_remove(name);
        }
        command.cwd(home.path());
        let started = Instant::now();
        let child = pair
            .slave
            .spawn_command(command)
            .expect("the program starts");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(nonzero(30), nonzero(100), 0)));
        let mut output = pair
            .master
            .try_clone_reader()
            .expect("the terminal's output");
        let (tell, news) = mpsc::channel();
        let parser = screen.clone();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                parser.lock().expect("the screen").process(&buffer[..count]);
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard: pair.master.take_writer().expect("the keyboard"),
            master: pair.master,
            child,
            screen,
            news,
            started,
            _home: home,
        }
    }

    fn press(&mut self, bytes: &str) {
        self.keyboard.write_all(bytes.as_bytes()).expect("a key");
        self.keyboard.flush().expect("a key");
    }

    fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self.screen.lock().expect("the screen").screen())
    }

    /// Waits until the screen is as asked for.
    fn wait(&self, what: &str, until: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !self.look(&until) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                panic!(
                    "waited in vain for {what}:\n{}",
                    self.look(|s| s.contents())
                );
            }
            // An end of the output is looked at once more, then waited out.
            if let Err(mpsc::RecvTimeoutError::Disconnected) = self.news.recv_timeout(left) {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn wait_for(&self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    fn signal(&self, name: &str) {
        let id = self.child.process_id().expect("a process").to_string();
        let status = std::process::Command::new("kill")
            .args([name, &id])
            .status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the end and looks whether the terminal was given back.
    fn given_back(&mut self) -> u32 {
        self.wait("the main screen", |screen| !screen.alternate_screen());
        let status = self.child.wait().expect("an exit status");
        self.look(|screen| {
            assert!(
                !screen.alternate_screen(),
                "the alternate screen is still on"
            );
            assert!(!screen.hide_cursor(), "the cursor is still hidden");
            assert!(!screen.bracketed_paste(), "bracketed paste is still on");
        });
        status.exit_code()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Ends what a failed test left behind; a program that ended is no error.
        let _ = self.child.kill();
    }
}

#[test]
fn the_first_frame_waits_for_nothing() {
    let pty = Pty::start();
    pty.wait_for("1 Chat");
    let elapsed = pty.started.elapsed();
    // The bound on an idle machine is far below; this one holds on a busy one
    // and still proves that no probe was waited for (crossterm waits 2 s).
    assert!(elapsed < Duration::from_millis(1500), "{elapsed:?}");
    pty.wait("the alternate screen", |screen| {
        screen.alternate_screen() && screen.bracketed_paste()
    });
}

#[test]
fn panes_help_palette_resize_and_quit() {
    let mut pty = Pty::start();
    pty.wait_for("1 Chat");
    // Something that only the pane shows: its own keys in the footer, or rows.
    for (key, text) in [
        ("\x1b3", "following"),
        ("\x1b4", "tokens a second"),
        ("\x1b5", "5 Tools"),
        ("\x1b2", "2 Library"),
        ("\x1b1", "Enter send"),
    ] {
        pty.press(key);
        pty.wait_for(text);
    }
    // F1, as xterm sends it.
    pty.press("\x1bOP");
    pty.wait_for("Type to search · key map: default");
    pty.press("\x1b");
    pty.wait("no help", |screen| {
        !screen.contents().contains("key map: default")
    });
    pty.press("\x10");
    pty.wait_for("Type to search actions and models");
    pty.press("\x1b");
    pty.wait("no palette", |screen| {
        !screen.contents().contains("Type to search")
    });

    pty.screen
        .lock()
        .expect("the screen")
        .screen_mut()
        .set_size(nonzero(12), nonzero(50));
    pty.master.resize(size(50, 12)).expect("a new size");
    pty.press("\x1b3");
    pty.wait("the log pane in the new size", |screen| {
        let (_, columns) = screen.size();
        let rows: Vec<String> = screen.rows(0, columns.get()).collect();
        rows[0].contains("3 Logs") && rows[11].contains("filter")
    });

    pty.press("\x11");
    pty.wait_for("Quit Maquette?");
    pty.press("y");
    assert_eq!(pty.given_back(), 0);
}

#[test]
fn control_c_asks_before_it_quits() {
    let mut pty = Pty::start();
    pty.wait_for("1 Chat");
    // The log pane, so that an answer or a draft in the chat cannot matter.
    pty.press("\x1b3");
    pty.wait_for("following");
    pty.press("\x03");
    pty.wait_for("Quit Maquette?");
    pty.press("n");
    pty.wait("no question", |screen| {
        !screen.contents().contains("Quit Maquette?")
    });
    pty.press("\x03");
    pty.wait_for("Quit Maquette?");
    pty.press("\x03");
    assert_eq!(pty.given_back(), 0);
}

#[test]
fn signals_give_the_terminal_back() {
    for name in ["-TERM", "-HUP", "-INT"] {
        let mut pty = Pty::start();
        pty.wait_for("1 Chat");
        pty.signal(name);
        pty.given_back();
    }
}

#[test]
fn a_shell_gets_the_terminal_and_gives_it_again() {
    let script = format!(
        "PS1='shell-prompt> '; stty -a > before; {}; echo ended=$?",
        env!("CARGO_BIN_EXE_maquette")
    );
    let mut pty = Pty::run("bash", &["--norc", "--noprofile", "-i"]);
    pty.press(&format!("{script}\n"));
    pty.wait("the screen", |screen| {
        screen.alternate_screen() && screen.contents().contains("1 Chat")
    });
    pty.press("\x1a");
    pty.wait("the shell", |screen| {
        !screen.alternate_screen() && !screen.hide_cursor() && screen.contents().contains("Stopped")
    });
    // The terminal's modes are those from before the program.
    pty.press("stty -a > while; cmp before while && echo modes-are-equal\n");
    pty.wait("equal modes", |screen| {
        screen
            .rows(0, 100)
            .any(|row| row.trim() == "modes-are-equal")
    });
    pty.press("fg\n");
    pty.wait("the screen again", |screen| {
        screen.alternate_screen() && screen.contents().contains("1 Chat")
    });
    // And it is alive.
    pty.press("\x1b3");
    pty.wait_for("following");
    pty.press("\x11");
    pty.wait_for("Quit Maquette?");
    pty.press("y");
    pty.wait("the shell at the end", |screen| {
        !screen.alternate_screen() && !screen.hide_cursor()
    });
    pty.press("exit\n");
}

#[test]
fn problems_in_files_are_shown_and_nothing_else_breaks() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let config = home.path().join("config");
    std::fs::create_dir_all(config.join("keymaps")).expect("a folder");
    std::fs::create_dir_all(config.join("themes")).expect("a folder");
    std::fs::write(
        config.join("keymaps/default.toml"),
        "[global]\n\"f2\" = \"app.hlep\"\n\"f9\" = \"app.help\"\n",
    )
    .expect("a key map");
    std::fs::write(
        config.join("themes/dark.toml"),
        "[roles]\nacent = \"red\"\n",
    )
    .expect("a theme");
    let home_setting = format!("MAQUETTE_HOME={}", home.path().display());
    let mut pty = Pty::run("env", &[&home_setting, env!("CARGO_BIN_EXE_maquette")]);
    // A long path wraps the sentence, but not a word of it.
    pty.wait_for("app.hlep");
    // The log keeps them all.
    pty.press("\x1b3");
    pty.wait_for("themes/dark.toml:2");
    // F9, which the same file binds.
    pty.press("\x1b[20~");
    pty.wait_for("Type to search · key map: default");
    pty.press("\x1b");
    pty.wait("no help", |screen| {
        !screen.contents().contains("key map: default")
    });
    pty.press("\x11");
    pty.wait_for("Quit Maquette?");
    pty.press("y");
    assert_eq!(pty.given_back(), 0);
}
