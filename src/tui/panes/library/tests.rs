//! Keys to effects, and the picture with fixed models.

use std::{path::PathBuf, sync::Arc};

use crate::tui::{
    message::{Effect, Message},
    pane::PaneId,
    panes::testing::Screen,
    types::*,
};

const GB: u64 = 1_000_000_000;

fn model(id: &str, parameters: u64, weights: u64, quantisation: &str) -> ModelEntry {
    let (kv, work) = (weights / 4, weights / 10);
    ModelEntry {
        id: id.into(),
        path: PathBuf::from("/models").join(id),
        origin: Origin::HuggingFace,
        family: "qwen3".into(),
        supported: true,
        parameters,
        quantisation: quantisation.into(),
        weight_bytes: weights,
        context_length: 40_960,
        template: TemplateFacts {
            present: true,
            tools: true,
            thinking: true,
        },
        fit: Fit {
            needed: weights + kv + work,
            available: 22 * GB,
            weights,
            kv,
            work,
            context: 8192,
        },
        problem: None,
    }
}

fn models() -> Vec<ModelEntry> {
    let mut guide = model("guide", 7_300_000, 7_800_000, "8-bit g64");
    guide.origin = Origin::Guide;
    let mut broken = model("acme/Mamba-2.8B", 2_800_000_000, 5 * GB + GB / 2, "bf16");
    broken.family = "mamba".into();
    broken.supported = false;
    broken.problem = Some(
        "Maquette does not know the family `mamba`. It runs llama, mistral, qwen2 and qwen3."
            .into(),
    );
    vec![
        model(
            "mlx-community/Qwen3-235B-A22B-4bit",
            235 * GB,
            132 * GB,
            "4-bit g64",
        ),
        broken,
        model(
            "mlx-community/Qwen3-4B-4bit",
            4 * GB,
            2_300_000_000,
            "4-bit g64",
        ),
        guide,
        model(
            "mlx-community/Qwen3-0.6B-8bit",
            600_000_000,
            600_000_000,
            "8-bit g64",
        ),
    ]
}

fn download(status: DownloadStatus) -> DownloadState {
    DownloadState {
        id: "mlx-community/Qwen3-8B-4bit".into(),
        status,
        done: 2_806_000_000,
        total: 4_600_000_000,
        speed: 48_000_000.0,
        file: Some("model.safetensors".into()),
        files_done: 5,
        files: 8,
    }
}

fn screen() -> Screen {
    let mut screen = Screen::new(PaneId::Library);
    screen.send(Message::Models(Arc::new(models())));
    screen
}

fn loads(screen: &mut Screen) -> Option<String> {
    screen.take().into_iter().find_map(|effect| match effect {
        Effect::Load(id) => Some(id),
        _ => None,
    })
}

#[test]
fn the_table_shows_what_there_is() {
    let mut screen = screen();
    screen.send(Message::Downloads(Arc::new(vec![download(
        DownloadStatus::Running,
    )])));
    let stats = EngineStats {
        loading: Some(("guide".into(), 0.45)),
        ..EngineStats::default()
    };
    screen.send(Message::Stats(Arc::new(stats)));
    insta::assert_snapshot!("library_80x22", screen.picture(80, 22));
    screen.keys("down down");
    insta::assert_snapshot!("library_120x38", screen.picture(120, 38));
    screen.keys("end");
    insta::assert_snapshot!("library_broken_80x22", screen.picture(80, 22));
}

#[test]
fn enter_loads_what_can_be_loaded() {
    let mut screen = screen();
    screen.keys("enter");
    assert_eq!(loads(&mut screen).as_deref(), Some("guide"));
    // One that is too large is loaded only after a question.
    screen.keys("end up enter");
    assert_eq!(loads(&mut screen), None);
    assert_eq!(screen.state.overlays.len(), 1);
    screen.keys("enter");
    assert_eq!(
        loads(&mut screen).as_deref(),
        Some("mlx-community/Qwen3-235B-A22B-4bit")
    );
    // A broken one says why.
    screen.keys("end enter");
    assert_eq!(loads(&mut screen), None);
    let said = screen
        .state
        .toasts
        .back()
        .map(|toast| toast.notice.text.clone());
    assert!(said.is_some_and(|text| text.contains("family `mamba`")));
}

#[test]
fn the_filter_narrows_and_keeps_the_choice() {
    let mut screen = screen();
    screen.keys("/").typed("QWEN3-4").keys("enter enter");
    assert_eq!(
        loads(&mut screen).as_deref(),
        Some("mlx-community/Qwen3-4B-4bit")
    );
    assert!(screen.picture(80, 22).contains("1 of 5 models"));
    screen.keys("esc enter");
    assert_eq!(
        loads(&mut screen).as_deref(),
        Some("mlx-community/Qwen3-4B-4bit")
    );
    screen.keys("/").typed("nothing");
    assert!(screen.picture(80, 22).contains("No model matches"));
    screen.keys("esc");
    assert!(screen.picture(80, 22).contains("5 models"));
}

#[test]
fn sorting_goes_round_and_keeps_the_choice() {
    let mut screen = screen();
    for label in ["name", "size", "family", "fits, then name"] {
        screen.keys("s");
        assert!(screen.picture(80, 22).contains(&format!("sort: {label}")));
        screen.keys("enter");
        assert_eq!(loads(&mut screen).as_deref(), Some("guide"));
    }
}

#[test]
fn downloads_are_asked_for_paused_and_cancelled() {
    let mut screen = screen();
    screen.keys("d").typed("Qwen3").keys("enter");
    assert!(
        !screen
            .take()
            .iter()
            .any(|effect| matches!(effect, Effect::Download(_)))
    );
    screen
        .keys("d")
        .typed("https://huggingface.co/mlx-community/Qwen3-8B-4bit/")
        .keys("enter");
    assert!(
        screen
            .take()
            .iter()
            .any(|e| matches!(e, Effect::Download(id) if id == "mlx-community/Qwen3-8B-4bit"))
    );
    screen.send(Message::Downloads(Arc::new(vec![download(
        DownloadStatus::Running,
    )])));
    screen.keys("home space");
    assert!(
        screen
            .take()
            .iter()
            .any(|e| matches!(e, Effect::PauseDownload(_)))
    );
    screen.send(Message::Downloads(Arc::new(vec![download(
        DownloadStatus::Paused,
    )])));
    assert!(screen.picture(80, 22).contains("paused 61 %"));
    screen.keys("space");
    assert!(
        screen
            .take()
            .iter()
            .any(|e| matches!(e, Effect::ResumeDownload(_)))
    );
    screen.keys("x enter");
    assert!(
        screen
            .take()
            .iter()
            .any(|e| matches!(e, Effect::CancelDownload(_)))
    );
    let failed =
        DownloadStatus::Failed("The hub does not know this name. Check the spelling.".into());
    screen.send(Message::Downloads(Arc::new(vec![download(failed)])));
    assert!(screen.picture(80, 22).contains("Check the spelling"));
}

#[test]
fn an_empty_library_says_what_to_do() {
    let mut screen = Screen::new(PaneId::Library);
    assert!(screen.picture(80, 22).contains("Press d to download"));
    for keys in ["enter", "space", "x", "y", "down", "pagedown"] {
        screen.keys(keys);
    }
    assert!(screen.take().is_empty());
}
