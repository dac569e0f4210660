//! Templates in the styles of the large families.

use super::*;
use crate::text::conversation::ToolCall;

/// Qwen3's manner: ChatML, tools in the system turn, tool results in user
/// turns, thinking kept only after the last question.
const CHATML: &str = r##"
{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}{%- endif %}
    {{- "# Tools\n<tools>" }}
    {%- for tool in tools %}{{- "\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.last == messages|length - 1 and message.role == "user" and message.content is string %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.index0 > ns.last and reasoning %}
            {{- '<think>\n' + reasoning.strip('\n') + '\n</think>\n\n' }}
        {%- endif %}
        {{- content }}
        {%- if message.tool_calls %}
            {%- for call in message.tool_calls %}
                {%- if call.function %}{%- set call = call.function %}{%- endif %}
                {{- '\n<tool_call>\n{"name": "' + call.name + '", "arguments": ' }}
                {%- if call.arguments is string %}{{- call.arguments }}
                {%- else %}{{- call.arguments | tojson }}{%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"##;

/// Llama 3's manner: header tokens, a date, tools as indented JSON.
const HEADERS: &str = r##"{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{%- if tools is not none %}
    {%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\n\n" }}{%- endfor %}
{%- endif %}
{{- system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}{{- tool_call.arguments | tojson }}{{- "}" }}
        {{- "<|eot_id|>" }}
    {%- else %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}{{- message.content }}{{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}
"##;

/// Mistral's manner: strict alternation, refused with an exception.
const INSTRUCT: &str = r##"{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}
                    {%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}
"##;

fn template(source: &str) -> ChatTemplate {
    let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    ChatTemplate::from_source(source, tokens.into()).unwrap()
}

fn weather() -> ToolSpec {
    ToolSpec {
        name: "weather".into(),
        description: "Weather <now>".into(),
        parameters: json!({"type": "object", "properties": {"city": {"type": "string"}}}),
    }
}

fn called() -> Vec<Message> {
    let mut call = Message::new(Role::Assistant, "");
    call.reasoning = Some("look it up".into());
    call.tool_calls = vec![ToolCall {
        id: "call_1".into(),
        name: "weather".into(),
        arguments: json!({"city": "Zürich", "days": 2}),
    }];
    let mut result = Message::new(Role::Tool, "12°");
    result.tool_call_id = Some("call_1".into());
    vec![Message::new(Role::User, "Weather?"), call, result]
}

fn ask(messages: &[Message]) -> TemplateInput<'_> {
    TemplateInput {
        messages,
        generation_prompt: true,
        ..TemplateInput::default()
    }
}

#[test]
fn chatml_plain_and_thinking_off() {
    let template = template(CHATML);
    let messages = [
        Message::new(Role::System, "Be brief."),
        Message::new(Role::User, "Hi"),
    ];
    let head = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(template.render(ask(&messages)).unwrap(), head);
    let off = TemplateInput {
        thinking: Some(false),
        ..ask(&messages)
    };
    assert_eq!(
        template.render(off).unwrap(),
        format!("{head}<think>\n\n</think>\n\n")
    );
    let on = TemplateInput {
        thinking: Some(true),
        ..ask(&messages)
    };
    assert_eq!(template.render(on).unwrap(), head);
    assert!(template.has_thinking_switch());
}

#[test]
fn chatml_tools_calls_and_results() {
    let tools = [weather()];
    let messages = called();
    let text = template(CHATML)
        .render(TemplateInput {
            tools: &tools,
            ..ask(&messages)
        })
        .unwrap();
    assert_eq!(
        text,
        "<|im_start|>system\n# Tools\n<tools>\n{\"type\": \"function\", \"function\": {\"name\": \"weather\", \
         \"description\": \"Weather <now>\", \"parameters\": {\"type\": \"object\", \"properties\": \
         {\"city\": {\"type\": \"string\"}}}}}\n</tools><|im_end|>\n<|im_start|>user\nWeather?<|im_end|>\n\
         <|im_start|>assistant\n<think>\nlook it up\n</think>\n\n\n<tool_call>\n{\"name\": \"weather\", \
         \"arguments\": {\"city\": \"Zürich\", \"days\": 2}}\n</tool_call><|im_end|>\n<|im_start|>user\n\
         <tool_response>\n12°\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn headers_with_date_and_indented_tools() {
    let template = template(HEADERS);
    let messages = [
        Message::new(Role::System, " Be brief. "),
        Message::new(Role::User, "Hi"),
    ];
    let text = template.render(ask(&messages)).unwrap();
    let date = chrono::Local::now().format("%d %b %Y");
    assert!(
        text.contains(&format!("Today Date: {date}\n\nBe brief.<|eot_id|>")),
        "{text}"
    );
    assert!(text.ends_with("assistant<|end_header_id|>\n\n"), "{text}");

    let kwargs = Map::from_iter([("date_string".to_owned(), json!("1 Jan 2000"))]);
    let tools = [weather()];
    let messages = called();
    let input = TemplateInput {
        tools: &tools,
        kwargs: Some(&kwargs),
        ..ask(&messages)
    };
    let text = template.render(input).unwrap();
    assert!(
        text.contains("Today Date: 1 Jan 2000\n\n{\n    \"type\": \"function\",\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "{\"name\": \"weather\", \"parameters\": {\"city\": \"Zürich\", \"days\": 2}}"
        )
    );
    assert!(text.contains("<|start_header_id|>ipython<|end_header_id|>\n\n12°<|eot_id|>"));
}

#[test]
fn instruct_alternation_is_refused_in_the_templates_words() {
    let template = template(INSTRUCT);
    let good = [
        Message::new(Role::System, "Be brief."),
        Message::new(Role::User, "Hi"),
        Message::new(Role::Assistant, "Yes? "),
        Message::new(Role::User, "Bye"),
    ];
    assert_eq!(
        template.render(ask(&good)).unwrap(),
        "<s>[INST] Hi[/INST] Yes?</s>[INST] Be brief.\n\nBye[/INST]"
    );
    let tools = [weather()];
    let text = template
        .render(TemplateInput {
            tools: &tools,
            ..ask(&good)
        })
        .unwrap();
    assert!(text.contains(
        "[AVAILABLE_TOOLS] [{\"type\": \"function\", \"function\": {\"name\": \"weather\""
    ));
    let bad = [Message::new(Role::User, "a"), Message::new(Role::User, "b")];
    match template.render(ask(&bad)).unwrap_err() {
        TextError::Refused(reason) => assert!(reason.contains("must alternate"), "{reason}"),
        other => panic!("{other}"),
    }
}

#[test]
fn python_spellings_loop_controls_and_generation_blocks() {
    let template = template(
        "{{ none }} {{ true }} {{ 1.5 }}\n{% for i in [1,2,3] %}\n  {% if i == 2 %}{% continue %}{% endif %}\n{{ i }}\n  {% if i == 3 %}{% break %}{% endif %}\n{% endfor %}{%- generation -%} answer {%- endgeneration -%}",
    );
    let text = template.render(TemplateInput::default()).unwrap();
    assert_eq!(text, "None True 1.5\n1\n3\nanswer");
}

#[test]
fn json_is_pythons() {
    let template = template(
        "{{ messages[0].content | tojson }}{{ x | tojson(indent=2) }}{{ [] | tojson(indent=2) }}{{ y | tojson }}",
    );
    let messages = [Message::new(Role::User, "<é \"q\"> & 'a'\n")];
    let kwargs = Map::from_iter([
        ("x".to_owned(), json!({"b": [1, 2], "a": {}})),
        ("y".to_owned(), json!([1.0, 1e-7, true, null])),
    ]);
    let input = TemplateInput {
        kwargs: Some(&kwargs),
        ..ask(&messages)
    };
    assert_eq!(
        template.render(input).unwrap(),
        "\"<é \\\"q\\\"> & 'a'\\n\"{\n  \"b\": [\n    1,\n    2\n  ],\n  \"a\": {}\n}[][1.0, 1e-7, true, null]"
    );
}

#[test]
fn sources_in_order_of_preference() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let render = |tools: &[ToolSpec]| {
        let template = ChatTemplate::load(folder.path()).unwrap().unwrap();
        template
            .render(TemplateInput {
                tools,
                ..TemplateInput::default()
            })
            .unwrap()
    };
    assert!(ChatTemplate::load(folder.path()).unwrap().is_none());
    write(
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<b>"}, "chat_template":
        [{"name": "default", "template": "{{ bos_token }}plain"}, {"name": "tool_use", "template": "tools"}]}"#,
    );
    assert_eq!(render(&[]), "<b>plain");
    assert_eq!(render(&[weather()]), "tools");
    write("chat_template.json", r#"{"chat_template": "json"}"#);
    assert_eq!(render(&[]), "json");
    write("chat_template.jinja", "file{{ eos_token }}");
    write("special_tokens_map.json", r#"{"eos_token": "<e>"}"#);
    assert_eq!(render(&[]), "file<e>");
    write("chat_template.jinja", "{% if %}");
    let error = ChatTemplate::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("chat_template.jinja") && error.contains("line 1"),
        "{error}"
    );
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    let template = template(
        "{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}",
    );
    let error = template.render(TemplateInput::default()).unwrap_err();
    assert!(error.to_string().contains("fuel"), "{error}");
}
