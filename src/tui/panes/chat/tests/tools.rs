//! Tools in a conversation: offered, allowed, answered.

use serde_json::json;

use super::*;

#[test]
fn thinking_and_tools_reach_the_request() {
    let mut screen = screen();
    screen.send(Message::Servers(servers()));
    screen.keys("ctrl-t alt-t").typed("x").keys("enter");
    let (_, request) = asked(&mut screen);
    assert_eq!(request.thinking, Some(true));
    let names: Vec<_> = request
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert_eq!(names, ["one_look", "add", "two_look"]);
}

fn servers() -> Arc<Vec<ServerState>> {
    let tool = |name: &str| ToolInfo {
        name: name.into(),
        title: None,
        description: "does it".into(),
        schema: json!({"type": "object"}),
    };
    let server = |name: &str, tools: Vec<ToolInfo>| ServerState {
        name: name.into(),
        command: "run".into(),
        state: ServerStatus::Ready,
        tools,
    };
    Arc::new(vec![
        server("one", vec![tool("look"), tool("add")]),
        server("two", vec![tool("look")]),
    ])
}

#[test]
fn a_tool_runs_only_when_it_is_allowed_and_its_result_goes_back() {
    let mut screen = screen();
    screen.send(Message::Servers(servers()));
    screen.keys("alt-t").typed("use them").keys("enter");
    let (turn, _) = asked(&mut screen);
    let calls = [
        tool_call("c1", "two_look"),
        tool_call("c2", "add"),
        tool_call("c3", "nothing"),
    ];
    let parts = calls
        .map(delta)
        .into_iter()
        .chain([finished(AnswerFinish::ToolCalls)]);
    events(&mut screen, turn, parts.collect());
    let called = |screen: &mut Screen| -> Vec<(CallId, String, String)> {
        let effects = screen.take().into_iter();
        effects
            .filter_map(|effect| match effect {
                Effect::CallTool {
                    call, server, tool, ..
                } => Some((call, server, tool)),
                Effect::Ask { .. } => panic!("the model is asked too early"),
                _ => None,
            })
            .collect()
    };
    screen.keys("enter");
    assert!(called(&mut screen).is_empty());
    insta::assert_snapshot!("tool_asks_80x22", screen.picture(80, 22));
    screen.keys("alt-y");
    let first = called(&mut screen);
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].1.as_str(), first[0].2.as_str()), ("two", "look"));
    screen.keys("alt-x");
    assert!(called(&mut screen).is_empty());
    let outcome = ToolOutcome {
        text: "found".into(),
        raw: json!({}),
        is_error: false,
        elapsed: Duration::from_millis(312),
    };
    screen.send(Message::ToolCalled {
        call: first[0].0,
        result: Ok(outcome),
    });
    let (_, request) = asked(&mut screen);
    let results: Vec<_> = texts(&request)
        .into_iter()
        .filter(|(role, _)| *role == Role::Tool)
        .map(|(_, text)| text)
        .collect();
    assert_eq!(
        results,
        [
            "found",
            "The user refused this call.",
            "There is no tool `nothing`."
        ]
    );
}

#[test]
fn asking_something_else_closes_the_calls_that_wait() {
    let mut screen = screen();
    screen.send(Message::Servers(servers()));
    screen.keys("alt-t").typed("use it").keys("enter");
    let (turn, _) = asked(&mut screen);
    events(
        &mut screen,
        turn,
        vec![
            delta(tool_call("c1", "add")),
            finished(AnswerFinish::ToolCalls),
        ],
    );
    screen.take();
    screen.typed("never mind").keys("enter");
    let (_, request) = asked(&mut screen);
    let roles: Vec<_> = request
        .messages
        .iter()
        .map(|message| message.role)
        .collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::User]);
}
