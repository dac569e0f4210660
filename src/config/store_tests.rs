//! Settings from real files: layers, problems, writing back.

use super::*;

fn with_file(text: &str) -> (tempfile::TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::under(dir.path());
    write_atomically(&paths.settings_toml, text.as_bytes()).unwrap();
    (dir, paths)
}

/// The settings and problems of a file, without the file's own path.
fn loaded(text: &str) -> (Settings, Vec<String>) {
    let (dir, paths) = with_file(text);
    let (settings, problems) = Settings::load(&paths);
    let folder = format!("{}/config/", dir.path().display());
    let problems = problems
        .iter()
        .map(|it| it.to_string().replace(&folder, ""));
    (settings, problems.collect())
}

#[test]
fn no_file_is_all_built_in() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, problems) = Settings::load(&Paths::under(dir.path()));
    assert_eq!((settings, problems), (Settings::default(), vec![]));
}

#[test]
fn every_setting_can_be_set() {
    let (settings, problems) = loaded(
        r#"
        theme = "nord"
        keymap = "vim"
        api = { host = "0.0.0.0", port = 9000, api_key = "secret" }
        log.level = "debug"
        [chat]
        system_prompt = "Be brief."
        temperature = 1
        top_p = 0.9
        max_tokens = 100
        thinking = false
        [engine]
        prefill_chunk = 256
        context_limit = 4096
        memory_limit = "8 GB"
        [library]
        folders = ["~/models", "/srv"]
        "#,
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!(
        (settings.theme.as_str(), settings.keymap.as_str()),
        ("nord", "vim")
    );
    assert_eq!(
        (settings.api.host.as_str(), settings.api.port),
        ("0.0.0.0", 9000)
    );
    assert_eq!(settings.api.api_key.as_deref(), Some("secret"));
    assert_eq!(settings.chat.temperature, Some(1.0));
    assert_eq!(settings.chat.thinking, Some(false));
    assert_eq!(settings.engine.memory_limit, Some(8_000_000_000));
    assert_eq!(settings.engine.context_limit, Some(4096));
    assert_eq!(settings.library.folders.len(), 2);
    assert_eq!(
        tracing::Level::from(settings.log.level),
        tracing::Level::DEBUG
    );
}

#[test]
fn a_bad_line_costs_one_setting_and_is_explained() {
    let (settings, problems) = loaded(
        "theme = 7\nkeymap = \"vim\"\ncolour = 1\n[api]\nport = 70000\nprot = 1\n[log]\nlevel = \"loud\"\n",
    );
    assert_eq!(
        (settings.theme.as_str(), settings.keymap.as_str()),
        ("default", "vim")
    );
    assert_eq!(settings.api.port, 8421);
    let expected = [
        "settings.toml:1:9: theme: 7 was found where a text in quotes is expected. The built-in value (default) is used.",
        "settings.toml:3:1: colour: there is no such setting. There are: theme, keymap, api.host,",
        "settings.toml:5:8: api.port: 70000 was found where a whole number from 0 to 65535 is expected.",
        "settings.toml:6:1: api.prot: there is no such setting. Did you mean `api.port`?",
        "settings.toml:8:9: log.level: \"loud\" was found where one of error, warn, info, debug, trace is expected.",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(
            problem.starts_with(expected),
            "{problem}\n  lacks {expected}"
        );
    }
}

#[test]
fn sections_and_values_in_each_others_place() {
    let (_, problems) = loaded("api = 3\n[theme]\nname = 1\n[port]\n");
    assert!(
        problems[0].contains("api: 3 was found where a section `[api]`"),
        "{problems:?}"
    );
    assert!(
        problems[1].contains("theme: a section was found where a text"),
        "{problems:?}"
    );
    assert!(
        problems[2].contains("Did you mean `api.port`?"),
        "{problems:?}"
    );
}

#[test]
fn what_is_not_toml_is_one_problem_with_its_line() {
    let (settings, problems) = loaded("theme = \"nord\"\nport = = 3\n");
    assert_eq!(settings, Settings::default());
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("settings.toml:2:8: this is not TOML"),
        "{problems:?}"
    );
}

#[test]
fn the_session_lies_above_the_file() {
    let (_dir, paths) = with_file("theme = \"nord\"\n");
    let (mut store, _) = SettingsStore::load(&paths);
    store.set_for_session("theme", "mono").unwrap();
    store.set_for_session("api.port", 0).unwrap();
    assert_eq!(
        (store.settings().theme.as_str(), store.settings().api.port),
        ("mono", 0)
    );
    let (again, _) = SettingsStore::load(&paths);
    assert_eq!(again.settings().theme, "nord");
    store.save("theme", "ansi").unwrap();
    assert_eq!(
        store.settings().theme,
        "ansi",
        "saving ends the session's own value"
    );
    assert_eq!(store.settings().api.port, 0);
}

#[test]
fn saving_keeps_comments_order_and_unknown_keys() {
    let text =
        "# mine\ntheme = \"nord\" # best\n\n[api] # the server\nfuture = 1\nhost = \"::1\"\n";
    let (_dir, paths) = with_file(text);
    let (mut store, _) = SettingsStore::load(&paths);
    store.save("theme", "mono").unwrap();
    store.save("api.port", 9000).unwrap();
    store.save("chat.temperature", 0.5).unwrap();
    let expected = "# mine\ntheme = \"mono\" # best\n\n[api] # the server\nfuture = 1\nhost = \"::1\"\nport = 9000\n\n[chat]\ntemperature = 0.5\n";
    assert_eq!(fs::read_to_string(&paths.settings_toml).unwrap(), expected);
}

#[test]
fn saving_begins_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::under(dir.path());
    let (mut store, _) = SettingsStore::load(&paths);
    store.save("log.level", "debug").unwrap();
    let (settings, problems) = Settings::load(&paths);
    assert_eq!(problems, []);
    assert_eq!(settings.log.level, super::super::LogLevel::Debug);
}

#[test]
fn what_cannot_be_saved_changes_nothing() {
    let (_dir, paths) = with_file("api = 3\n");
    let (mut store, _) = SettingsStore::load(&paths);
    let before = store.settings().clone();
    let message = |result: Result<(), ConfigError>| result.unwrap_err().to_string();
    assert!(message(store.save("thme", "x")).contains("Did you mean `theme`?"));
    assert!(message(store.save("api.port", -1)).contains("from 0 to 65535"));
    assert!(message(store.save("api.port", 1)).contains("not a section"));
    fs::write(&paths.settings_toml, "a = = 1").unwrap();
    assert!(message(store.save("theme", "x")).contains("not TOML"));
    assert_eq!(fs::read_to_string(&paths.settings_toml).unwrap(), "a = = 1");
    assert_eq!(*store.settings(), before);
}

#[test]
fn models_have_sections_of_their_own() {
    let (mut settings, problems) = loaded(
        r#"
        cache.ram_limit = 0
        cache.disk_kv_mode = "affine-8"
        [models."org/large-4bit"]
        kv_mode = "affine-4"
        [models]
        small = { kv_mode = "half" }
        "#,
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!(settings.cache.ram_limit, Some(0));
    assert_eq!(settings.cache.disk_kv_mode, "affine-8");
    let mode = |settings: &Settings, name: &str| settings.models[name].kv_mode.clone();
    assert_eq!(
        mode(&settings, "org/large-4bit").as_deref(),
        Some("affine-4")
    );
    assert_eq!(mode(&settings, "small").as_deref(), Some("half"));
    // What is said for all is said for these too.
    settings.override_kv_mode("turbo-3");
    assert_eq!(settings.cache.kv_mode, "turbo-3");
    assert_eq!(mode(&settings, "small"), None);
}

#[test]
fn what_is_wrong_with_a_model_costs_that_line() {
    let (settings, problems) = loaded(
        r#"
        [models."a.b"]
        kv_mode = "tiny"
        [models.c]
        kv_mod = "half"
        kv_mode = "half"
        [models]
        d = 3
        "#,
    );
    assert_eq!(settings.models.len(), 1);
    assert_eq!(settings.models["c"].kv_mode.as_deref(), Some("half"));
    assert_eq!(problems.len(), 3, "{problems:#?}");
    let told = |part: &str| problems.iter().any(|problem| problem.contains(part));
    assert!(
        told(r#"settings.toml:3:19: models."a.b".kv_mode: "tiny" was found"#),
        "{problems:#?}"
    );
    assert!(
        told(r#"models."c".kv_mod: models have no such setting"#),
        "{problems:#?}"
    );
    assert!(
        told(r#"models."d": 3 was found where sections"#),
        "{problems:#?}"
    );
    let (settings, problems) = loaded("models = 3");
    assert_eq!((settings.models.len(), problems.len()), (0, 1));
}

#[test]
fn saving_a_setting_leaves_models_as_they_are() {
    let text = "[models.\"a/b\"] # mine\nkv_mode = \"half\"\n";
    let (_dir, paths) = with_file(text);
    let (mut store, _) = SettingsStore::load(&paths);
    store.save("theme", "mono").unwrap();
    let written = fs::read_to_string(&paths.settings_toml).unwrap();
    assert!(written.contains(text), "{written}");
    assert_eq!(
        store.settings().models["a/b"].kv_mode.as_deref(),
        Some("half")
    );
    assert_eq!(store.settings().theme, "mono");
}
