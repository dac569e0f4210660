//! Downloads against a hub on this machine, with everything a hub and a
//! network can do to them.

use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path as UrlPath, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use maquette::{
    config::Paths,
    library::{Download, DownloadStatus, Downloads, LibraryError},
};
use serde_json::json;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a hub serves and how badly.
#[derive(Clone, Default)]
struct Hub {
    files: Arc<HashMap<&'static str, Vec<u8>>>,
    /// Transfers of weights break off after half of what is left, so often.
    breaks: Arc<AtomicUsize>,
    /// Weights come a little at a time, until told otherwise.
    slow: Arc<AtomicBool>,
    no_ranges: bool,
    /// The first byte asked for, of each transfer of weights.
    asked: Arc<std::sync::Mutex<Vec<u64>>>,
}

impl Hub {
    fn with(files: &[(&'static str, Vec<u8>)]) -> Self {
        Self {
            files: Arc::new(files.iter().cloned().collect()),
            ..Self::default()
        }
    }

    async fn serve(&self) -> String {
        let app = Router::new()
            .route("/api/models/{org}/{name}/revision/{revision}", get(info))
            .route("/api/models/{org}/{name}/tree/{revision}", get(tree))
            .route(
                "/{org}/{name}/resolve/{revision}/{file}",
                get(file).head(file),
            )
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }
}

async fn info(UrlPath((org, name, _)): UrlPath<(String, String, String)>) -> Response {
    match (org.as_str(), name.as_str()) {
        ("gated", _) => (StatusCode::FORBIDDEN, Json(json!({"error": "gated"}))).into_response(),
        ("private", _) => StatusCode::UNAUTHORIZED.into_response(),
        ("busy", _) => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")]).into_response(),
        ("org", "model") => Json(json!({"id": "org/model", "sha": SHA})).into_response(),
        ("org", "gguf") => Json(json!({"id": "org/gguf", "sha": SHA})).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn tree(
    State(hub): State<Hub>,
    UrlPath((_, name, _)): UrlPath<(String, String, String)>,
) -> Response {
    if name == "gguf" {
        return Json(json!([{"type": "file", "oid": "1", "size": 3, "path": "model.gguf"}]))
            .into_response();
    }
    let mut files: Vec<_> = hub
        .files
        .iter()
        .map(|(path, bytes)| {
            let mut file = json!({
                "type": "file", "oid": oid(path), "size": bytes.len(), "path": path,
            });
            if path.ends_with(".safetensors") {
                file["lfs"] = json!({"oid": "x", "size": bytes.len(), "pointerSize": 134});
            }
            file
        })
        .collect();
    files.push(json!({"type": "directory", "oid": "d", "path": "onnx"}));
    Json(files).into_response()
}

fn oid(path: &str) -> String {
    format!(
        "{:040x}",
        path.bytes()
            .fold(7u128, |hash, byte| hash * 31 + u128::from(byte))
    )
}

async fn file(
    State(hub): State<Hub>,
    UrlPath((_, _, _, file)): UrlPath<(String, String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(bytes) = hub.files.get(file.as_str()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = headers.get(header::RANGE).filter(|_| !hub.no_ranges);
    let start: usize = range
        .and_then(|range| {
            range
                .to_str()
                .ok()?
                .strip_prefix("bytes=")?
                .split('-')
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let status = match range {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    let rest = Bytes::copy_from_slice(&bytes[start..]);
    let about = [
        (header::CONTENT_LENGTH, rest.len().to_string()),
        (header::ETAG, format!("\"{}\"", oid(&file))),
    ];
    if method == Method::HEAD {
        return (status, about).into_response();
    }
    let weights = file.ends_with(".safetensors");
    if weights {
        hub.asked.lock().unwrap().push(start as u64);
    }
    let broken = weights
        && hub
            .breaks
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok();
    let body = match (weights, broken) {
        (_, true) => {
            let half = rest.slice(..rest.len() / 2);
            Body::from_stream(async_stream::stream! {
                yield Ok(half);
                tokio::time::sleep(Duration::from_millis(50)).await;
                yield Err(std::io::Error::other("the line is cut"));
            })
        }
        (true, _) => Body::from_stream(async_stream::stream! {
            for chunk in rest.chunks(1000) {
                if hub.slow.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                yield Ok::<_, Infallible>(Bytes::copy_from_slice(chunk));
            }
        }),
        _ => Body::from(rest),
    };
    (status, about, body).into_response()
}

fn weights() -> Vec<u8> {
    (0..100_000u32).map(|n| (n * 7 % 251) as u8).collect()
}

fn model() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", vec![b' '; 5000]),
        ("chat_template.jinja", b"x".to_vec()),
        ("model.safetensors", weights()),
        ("consolidated.safetensors", vec![0; 10]),
        ("README.md", b"# x".to_vec()),
        ("pytorch_model.bin", vec![0; 10]),
    ]
}

struct World {
    hub: Hub,
    downloads: Downloads,
    cache: PathBuf,
    home: tempfile::TempDir,
}

impl World {
    async fn new(hub: Hub) -> Self {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("hub");
        let endpoint = hub.serve().await;
        Self {
            downloads: Downloads::start_at(&endpoint, &cache),
            hub,
            cache,
            home,
        }
    }

    async fn until(&self, id: &str, wanted: impl Fn(&Download) -> bool) -> Download {
        until(&self.downloads, id, wanted).await
    }

    async fn done(&self, id: &str) -> PathBuf {
        let ended =
            |it: &Download| !matches!(it.status, DownloadStatus::Queued | DownloadStatus::Running);
        match self.until(id, ended).await.status {
            DownloadStatus::Done(folder) => folder,
            other => panic!("{other:?}"),
        }
    }

    async fn failure(&self, id: &str) -> String {
        self.downloads.add(id).unwrap();
        failure(&self.downloads, id).await
    }
}

async fn until(downloads: &Downloads, id: &str, wanted: impl Fn(&Download) -> bool) -> Download {
    let mut watch = downloads.watch();
    let found = |list: &Arc<Vec<Download>>| list.iter().any(|it| it.id == id && wanted(it));
    let list = tokio::time::timeout(Duration::from_secs(60), watch.wait_for(found)).await;
    let list = list.expect("in time").expect("watched").clone();
    list.iter().find(|it| it.id == id).expect("found").clone()
}

async fn failure(downloads: &Downloads, id: &str) -> String {
    let failed = |it: &Download| matches!(it.status, DownloadStatus::Failed(_));
    match until(downloads, id, failed).await.status {
        DownloadStatus::Failed(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().filter_map(Result::ok);
    let mut names: Vec<_> = entries
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_lands_in_the_layout_that_all_programs_share() {
    let world = World::new(Hub::with(&model())).await;
    world.downloads.add("org/model").unwrap();
    let folder = world.done("org/model").await;
    let repository = world.cache.join("models--org--model");
    assert_eq!(folder, repository.join("snapshots").join(SHA));
    let expected = [
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ];
    assert_eq!(names(&folder), expected);
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(
        fs::read_to_string(repository.join("refs/main")).unwrap(),
        SHA
    );
    let link = fs::read_link(folder.join("model.safetensors")).unwrap();
    assert!(link.starts_with("../../blobs"), "{}", link.display());
    assert_eq!(link.file_name().unwrap().len(), 64, "named by its SHA-256");
    let small = fs::read_link(folder.join("config.json")).unwrap();
    assert!(small.ends_with(oid("config.json")), "named by its git hash");
    assert!(
        names(&repository.join("blobs"))
            .iter()
            .all(|name| !name.ends_with(".incomplete"))
    );

    let shown = world.until("org/model", |_| true).await;
    let total = model()[..4]
        .iter()
        .map(|(_, bytes)| bytes.len() as u64)
        .sum::<u64>();
    assert_eq!((shown.done, shown.total), (total, total));
    assert_eq!((shown.files_done, shown.files, shown.file), (4, 4, None));
    // Once more finds everything here.
    world.downloads.add("org/model").unwrap();
    world.done("org/model").await;
    assert_eq!(*world.hub.asked.lock().unwrap(), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_is_taken_up_where_it_broke() {
    let hub = Hub::with(&model());
    hub.breaks.store(2, Ordering::SeqCst);
    let world = World::new(hub).await;
    world.downloads.add("org/model").unwrap();
    let folder = world.done("org/model").await;
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(*world.hub.asked.lock().unwrap(), [0, 50_000, 75_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_ranges_sends_it_all_again() {
    let hub = Hub {
        no_ranges: true,
        ..Hub::with(&model())
    };
    hub.breaks.store(1, Ordering::SeqCst);
    let world = World::new(hub).await;
    world.downloads.add("org/model").unwrap();
    let folder = world.done("org/model").await;
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    let shown = world.until("org/model", |_| true).await;
    assert_eq!(shown.done, shown.total);
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_keeps_what_came_and_resuming_goes_on() {
    let hub = Hub::with(&model());
    hub.slow.store(true, Ordering::SeqCst);
    let world = World::new(hub).await;
    world.downloads.add("org/model").unwrap();
    world.downloads.add("org/gguf").unwrap();
    let running = world
        .until("org/model", |it| it.done > 15_000 && it.speed > 0.0)
        .await;
    assert_eq!(running.status, DownloadStatus::Running);
    assert_eq!(running.file.as_deref(), Some("model.safetensors"));
    world.downloads.pause("org/model").unwrap();
    // The next in the queue has its turn.
    failure(&world.downloads, "org/gguf").await;
    let paused = world.until("org/model", |_| true).await;
    assert_eq!((paused.status, paused.speed), (DownloadStatus::Paused, 0.0));
    world.hub.slow.store(false, Ordering::SeqCst);
    world.downloads.resume("org/model").unwrap();
    let folder = world.done("org/model").await;
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    let asked = world.hub.asked.lock().unwrap().clone();
    assert!(asked.len() == 2 && asked[1] > 5_000, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_takes_it_off_the_list() {
    let hub = Hub::with(&model());
    hub.slow.store(true, Ordering::SeqCst);
    let world = World::new(hub).await;
    world.downloads.add("org/model").unwrap();
    world.until("org/model", |it| it.done > 8_000).await;
    world.downloads.cancel("org/model").unwrap();
    assert!(world.downloads.watch().borrow().is_empty());
    let error = world.downloads.cancel("org/model").unwrap_err();
    assert!(matches!(error, LibraryError::NoDownload { .. }));
    assert!(world.downloads.resume("org/model").is_err());
    // An unfinished model is listed with the way to go on.
    let blobs = names(&world.cache.join("models--org--model/blobs"));
    assert!(
        blobs.iter().any(|name| name.ends_with(".incomplete")),
        "{blobs:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_says_what_to_do() {
    let world = World::new(Hub::with(&model())).await;
    let cases = [
        ("org/missing", "there is no model `org/missing`"),
        ("private/x", "HF_TOKEN"),
        ("gated/x", "Accept its terms"),
        ("busy/x", "wait 7 seconds"),
        ("org/gguf", "no safetensors"),
    ];
    for (id, expected) in cases {
        let reason = world.failure(id).await;
        assert!(reason.contains(expected), "{id}: {reason}");
    }
    for id in ["", "a/b/c", "https://hub.example/org/model", "../x"] {
        let error = world.downloads.add(id).unwrap_err();
        assert!(error.to_string().contains("organisation/name"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_network_and_no_space_to_write() {
    let world = World::new(Hub::with(&model())).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let downloads = Downloads::start_at(&endpoint, &world.cache);
    downloads.add("org/model").unwrap();
    let reason = failure(&downloads, "org/model").await;
    assert!(
        reason.contains("could not be reached") && reason.contains("HF_ENDPOINT"),
        "{reason}"
    );

    let file = Paths::under(world.home.path()).cache;
    fs::write(&file, "in the way").unwrap();
    let hub = world.hub.serve().await;
    let downloads = Downloads::start_at(&hub, &file.join("hub"));
    downloads.add("org/model").unwrap();
    let reason = failure(&downloads, "org/model").await;
    assert!(reason.contains("could not be written"), "{reason}");
    let odd = Downloads::start_at("not a url", &world.cache);
    assert!(
        odd.add("org/model")
            .unwrap_err()
            .to_string()
            .contains("HF_ENDPOINT")
    );
}
