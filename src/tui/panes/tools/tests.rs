//! Keys to calls, and the picture with fixed servers.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::tui::{
    message::{CallId, Effect, Message},
    pane::PaneId,
    panes::testing::Screen,
    types::*,
};

fn servers() -> Vec<ServerState> {
    let tool = |name: &str, description: &str, schema: Value| ToolInfo {
        name: name.into(),
        title: None,
        description: description.into(),
        schema,
    };
    let search = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
            "order": {"enum": ["newest", "oldest"]},
            "exact": {"type": "boolean"},
            "tags": {"type": "array", "description": "Only notes with all of these"},
        },
        "required": ["query"],
    });
    let server = |name: &str, state, tools| ServerState {
        name: name.into(),
        command: format!("{name}-server --stdio"),
        state,
        tools,
    };
    vec![
        server(
            "notes",
            ServerStatus::Ready,
            vec![
                tool(
                    "search_notes",
                    "Searches the notes for a text and returns the best matches with their places.",
                    search,
                ),
                tool("now", "Says what time it is.", json!({"type": "object"})),
            ],
        ),
        server("weather", ServerStatus::Starting, Vec::new()),
        server(
            "files",
            ServerStatus::Failed("files ended with status 1: no such folder /data.".into()),
            Vec::new(),
        ),
        server("old", ServerStatus::Off, Vec::new()),
    ]
}

fn screen() -> Screen {
    let mut screen = Screen::new(PaneId::Tools);
    screen.send(Message::Servers(Arc::new(servers())));
    screen
}

fn called(screen: &mut Screen) -> Option<(CallId, String, Value)> {
    screen.take().into_iter().find_map(|effect| match effect {
        Effect::CallTool {
            call,
            tool,
            arguments,
            ..
        } => Some((call, tool, arguments)),
        _ => None,
    })
}

fn answer(screen: &mut Screen, call: CallId, text: &str) {
    let outcome = ToolOutcome {
        text: text.into(),
        raw: json!({"request": {"method": "tools/call"}, "result": {"content": [{"type": "text", "text": text}]}}),
        is_error: false,
        elapsed: Duration::from_millis(312),
    };
    screen.send(Message::ToolCalled {
        call,
        result: Ok(outcome),
    });
}

#[test]
fn a_form_becomes_a_call_and_the_result_is_shown() {
    let mut screen = screen();
    screen.keys("down");
    insta::assert_snapshot!("tool_80x22", screen.picture(80, 22));
    screen.keys("enter enter");
    assert_eq!(called(&mut screen), None, "a needed field is empty");
    screen.typed("milk").keys("down").typed("0");
    insta::assert_snapshot!("form_120x38", screen.picture(120, 38));
    // 100 is out of range.
    screen.keys("enter");
    assert_eq!(called(&mut screen), None);
    screen
        .keys("backspace down right down")
        .typed("f")
        .keys("down")
        .typed("[\"home\"]")
        .keys("enter");
    let (call, tool, arguments) = called(&mut screen).expect("a call");
    assert_eq!(tool, "search_notes");
    assert_eq!(
        arguments,
        json!({"query": "milk", "limit": 10, "order": "newest", "exact": false, "tags": ["home"]})
    );
    assert!(screen.picture(80, 22).contains("running"));
    answer(
        &mut screen,
        call,
        "2 notes:\n- buy milk\n- milk prices\x1b[31m",
    );
    insta::assert_snapshot!("result_80x22", screen.picture(80, 22));
    screen.keys("esc r");
    insta::assert_snapshot!("raw_120x38", screen.picture(120, 38));
    screen.keys("r y i");
    let effects = screen.take();
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::Copy(text) if text.contains("buy milk")))
    );
    assert_eq!(screen.state.shared.focus, PaneId::Chat);
}

#[test]
fn a_tool_without_arguments_is_called_at_once_and_can_be_stopped() {
    let mut screen = screen();
    screen.keys("down down enter");
    let (call, tool, arguments) = called(&mut screen).expect("a call");
    assert_eq!((tool.as_str(), arguments), ("now", json!({})));
    screen.keys("enter");
    assert_eq!(called(&mut screen), None, "one call at a time");
    screen.keys("ctrl-c");
    assert!(
        screen
            .take()
            .iter()
            .any(|e| matches!(e, Effect::CancelTool(id) if *id == call))
    );
    assert!(screen.picture(80, 22).contains("The call was stopped."));
}

#[test]
fn all_arguments_can_be_typed_as_json() {
    let mut screen = screen();
    screen.keys("down enter").typed("milk").keys("alt-j");
    assert!(screen.picture(80, 22).contains("\"query\": \"milk\""));
    screen.typed("x");
    assert!(screen.picture(80, 22).contains("This is not JSON"));
    screen.keys("enter alt-j");
    assert_eq!(called(&mut screen), None);
    screen.keys("backspace alt-j enter");
    let (_, _, arguments) = called(&mut screen).expect("a call");
    assert_eq!(arguments, json!({"query": "milk", "limit": 10}));
}

#[test]
fn servers_say_how_they_are_and_can_be_restarted() {
    let mut screen = screen();
    screen.keys("end up");
    assert!(screen.picture(80, 22).contains("no such folder /data"));
    screen.keys("R L");
    let effects = screen.take();
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::RestartServer(name) if name == "files"))
    );
    assert!(effects.iter().any(|e| matches!(e, Effect::ReloadTools)));
    // A server that goes away takes the form with it.
    screen.keys("home down enter");
    screen.send(Message::Servers(Arc::default()));
    screen.typed("x").keys("enter");
    assert_eq!(called(&mut screen), None);
}

#[test]
fn earlier_calls_can_be_looked_at() {
    let mut screen = screen();
    for text in ["one o'clock", "two o'clock"] {
        screen.keys("home down down enter");
        let (call, ..) = called(&mut screen).expect("a call");
        answer(&mut screen, call, text);
    }
    assert!(screen.picture(80, 22).contains("two o'clock"));
    screen.keys("[");
    assert!(screen.picture(80, 22).contains("one o'clock"));
    screen.keys("]");
    assert!(screen.picture(80, 22).contains("two o'clock"));
}

#[test]
fn without_servers_the_way_to_one_is_told() {
    let mut screen = Screen::new(PaneId::Tools);
    screen
        .state
        .panes
        .tools
        .set_config("/home/me/.config/maquette/mcp.json".into());
    insta::assert_snapshot!("no_servers_80x22", screen.picture(80, 22));
    for keys in ["enter", "down", "r", "y", "i", "R", "tab", "["] {
        screen.keys(keys);
    }
    assert!(
        screen
            .take()
            .iter()
            .all(|effect| matches!(effect, Effect::Notify(_)))
    );
}
