//! Fetches one model from the hub into the Hugging Face cache.
//!
//! The cache's layout is the one that all programs share: contents in
//! `blobs/`, named by their hash, and links to them in
//! `snapshots/<revision>/`. An unfinished file ends in `.incomplete` and is
//! continued by a later attempt; `refs/main` moves only when all is there.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt, pin_mut};
use hf_hub::{HFClient, HFError, HFRepository, RepoTypeModel, repository::RepoTreeEntry, split_id};
use sha2::{Digest, Sha256};
use tokio::time::{sleep, timeout};

use super::explain::{Failure, disk, explain, is_passing};

/// How long the hub may stay silent.
const SILENCE: Duration = Duration::from_secs(30);

/// How often a file is continued after the connection broke.
const ATTEMPTS: u32 = 4;

/// What a fetch tells on its way.
pub(super) enum Progress<'a> {
    /// The files are known; `done` bytes of `total` are here already.
    Plan {
        files: usize,
        total: u64,
        done: u64,
    },
    File(&'a str),
    /// So many bytes more, or fewer when a file had to begin again.
    Bytes(i64),
    FileDone,
}

/// Where to fetch from and to.
#[derive(Clone)]
pub(super) struct Hub {
    pub client: HFClient,
    pub cache: PathBuf,
}

struct RemoteFile {
    path: String,
    size: u64,
    /// The git object's hash; the blob's name unless it is a large file.
    oid: String,
    /// Large files are named by the SHA-256 of their contents.
    large: bool,
}

/// Fetches what is missing of a model and gives its folder. Dropping the
/// future stops the transfer; what came stays for the next attempt.
pub(super) async fn fetch(
    hub: &Hub,
    id: &str,
    report: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<PathBuf, Failure> {
    let (owner, name) = split_id(id);
    let repository = hub.client.model(owner, name);
    let explain = |error| explain(&error, id, hub.client.endpoint());
    let info = within(repository.info().revision("main").send()).await;
    let info = info.map_err(explain)?;
    let revision = info
        .sha
        .ok_or("the hub's answer names no revision. Try again later.")?;
    let files = within(list(&repository, &revision))
        .await
        .map_err(explain)?;
    let files = wanted(files, id)?;
    let place = Place::new(&hub.cache, id, &revision);
    let here = files.iter().map(|file| place.bytes_here(file)).sum();
    report(Progress::Plan {
        files: files.len(),
        total: files.iter().map(|file| file.size).sum(),
        done: here,
    });
    for file in &files {
        report(Progress::File(&file.path));
        if !place.is_complete(file) {
            let result = fetch_file(&repository, &place, file, report).await;
            result.map_err(|error| match error {
                Trouble::Hub(error) => explain(error),
                Trouble::Disk(error) => disk(&error, &hub.cache),
                Trouble::Other(message) => message,
            })?;
        }
        report(Progress::FileDone);
    }
    place
        .name_main()
        .map_err(|error| disk(&error, &hub.cache))?;
    Ok(place.snapshot)
}

enum Trouble {
    Hub(HFError),
    Disk(io::Error),
    Other(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// An answer within the time the hub may stay silent.
async fn within<T>(answer: impl Future<Output = Result<T, HFError>>) -> Result<T, HFError> {
    timeout(SILENCE, answer)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

fn silent() -> HFError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

async fn list(
    repository: &HFRepository<RepoTypeModel>,
    revision: &str,
) -> Result<Vec<RemoteFile>, HFError> {
    let tree = repository.list_tree().revision(revision).send()?;
    pin_mut!(tree);
    let mut files = Vec::new();
    while let Some(entry) = tree.next().await {
        if let RepoTreeEntry::File {
            path,
            size,
            oid,
            lfs,
            ..
        } = entry?
        {
            files.push(RemoteFile {
                large: lfs.is_some(),
                path,
                size,
                oid,
            });
        }
    }
    Ok(files)
}

/// Weights, configuration, tokenizer and templates; the small files first, so
/// that the library can show early what is coming.
fn wanted(files: Vec<RemoteFile>, id: &str) -> Result<Vec<RemoteFile>, Failure> {
    let is_weights = |path: &str| path.ends_with(".safetensors");
    let named = |start: &str| {
        files
            .iter()
            .any(|file| is_weights(&file.path) && file.path.starts_with(start))
    };
    if !files.iter().any(|file| is_weights(&file.path)) {
        return Err(format!(
            "`{id}` has no safetensors weights, so Maquette cannot run it. Look for the same model in safetensors or MLX form."
        ));
    }
    // The same weights once more, in their maker's own form.
    let twice = named("model") && named("consolidated");
    let mut files: Vec<_> = files
        .into_iter()
        .filter(|file| {
            let path = file.path.as_str();
            let kind = path.ends_with(".json") || path.ends_with(".jinja") || is_weights(path);
            let safe = !path.contains(['/', '\\']) && !path.starts_with('.');
            (kind || path == "merges.txt") && safe && !(twice && path.starts_with("consolidated"))
        })
        .collect();
    files.sort_by(|a, b| (is_weights(&a.path), &a.path).cmp(&(is_weights(&b.path), &b.path)));
    Ok(files)
}

/// Where a model's files lie.
struct Place {
    repository: PathBuf,
    snapshot: PathBuf,
    revision: String,
}

impl Place {
    fn new(cache: &Path, id: &str, revision: &str) -> Self {
        let repository = cache.join(format!("models--{}", id.replace('/', "--")));
        Self {
            snapshot: repository.join("snapshots").join(revision),
            repository,
            revision: revision.to_owned(),
        }
    }

    fn is_complete(&self, file: &RemoteFile) -> bool {
        let here = fs::metadata(self.snapshot.join(&file.path));
        here.is_ok_and(|here| here.len() == file.size)
    }

    fn unfinished(&self, file: &RemoteFile) -> PathBuf {
        let name = format!("{}.incomplete", file.oid);
        self.repository.join("blobs").join(name)
    }

    fn bytes_here(&self, file: &RemoteFile) -> u64 {
        if self.is_complete(file) {
            return file.size;
        }
        let part = fs::metadata(self.unfinished(file));
        part.map_or(0, |part| part.len()).min(file.size)
    }

    /// Moves a finished file to its name and links it into the snapshot.
    fn keep(&self, file: &RemoteFile, blob: &str) -> io::Result<()> {
        fs::rename(
            self.unfinished(file),
            self.repository.join("blobs").join(blob),
        )?;
        fs::create_dir_all(&self.snapshot)?;
        let link = self.snapshot.join(&file.path);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(Path::new("../../blobs").join(blob), link)
    }

    fn name_main(&self) -> io::Result<()> {
        let main = self.repository.join("refs/main");
        crate::config::write_atomically(&main, self.revision.as_bytes())
    }
}

/// Fetches one file, continuing after a broken connection.
async fn fetch_file(
    repository: &HFRepository<RepoTypeModel>,
    place: &Place,
    file: &RemoteFile,
    report: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<(), Trouble> {
    let path = place.unfinished(file);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let options = File::options().create(true).append(true).open(&path);
    let mut part = options?;
    lock(&part, &file.path)?;
    let mut attempt = 1;
    loop {
        match continue_file(repository, place, file, &mut part, report).await {
            Ok(()) => break,
            Err(Trouble::Hub(error)) if attempt < ATTEMPTS && is_passing(&error) => {
                tracing::warn!(file = file.path, %error, attempt, "the transfer broke off and goes on");
                sleep(Duration::from_millis(300) * attempt).await;
                attempt += 1;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    part.sync_all()?;
    let blob = match file.large {
        true => hash(path).await?,
        false => file.oid.clone(),
    };
    Ok(place.keep(file, &blob)?)
}

fn lock(part: &File, name: &str) -> Result<(), Trouble> {
    match part.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Trouble::Other(format!(
            "another Maquette is downloading {name} now. Wait for it, or stop it first."
        ))),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Appends what is missing.
async fn continue_file(
    repository: &HFRepository<RepoTypeModel>,
    place: &Place,
    file: &RemoteFile,
    part: &mut File,
    report: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<(), Trouble> {
    let mut here = part.metadata()?.len();
    if here > file.size {
        report(Progress::Bytes(-(file.size as i64)));
        part.set_len(0)?;
        here = 0;
    }
    if here == file.size {
        return Ok(());
    }
    let request = repository
        .download_file_stream()
        .filename(file.path.as_str())
        .revision(place.revision.as_str());
    let (length, mut stream) = match here {
        0 => within(request.send()).await,
        _ => within(request.range(here..file.size).send()).await,
    }
    .map_err(Trouble::Hub)?;
    if here > 0 && length.is_some_and(|length| length == file.size) {
        // A server that knows no ranges sends the whole file again.
        report(Progress::Bytes(-(here as i64)));
        part.set_len(0)?;
        here = 0;
    }
    while let Some(chunk) = timeout(SILENCE, stream.next())
        .await
        .map_err(|_| Trouble::Hub(silent()))?
    {
        let chunk = chunk.map_err(Trouble::Hub)?;
        part.write_all(&chunk)?;
        here += chunk.len() as u64;
        report(Progress::Bytes(chunk.len() as i64));
    }
    if here == file.size {
        return Ok(());
    }
    if here > file.size {
        part.set_len(0)?;
        report(Progress::Bytes(-(here as i64)));
    }
    let expected = file.size;
    let message = format!("{here} bytes of {expected} came");
    Err(Trouble::Hub(
        io::Error::new(io::ErrorKind::UnexpectedEof, message).into(),
    ))
}

/// The SHA-256 of a file, which may be large.
async fn hash(path: PathBuf) -> io::Result<String> {
    let work = move || {
        let mut hash = Sha256::new();
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match io::Read::read(&mut file, &mut buffer)? {
                0 => break,
                count => hash.update(&buffer[..count]),
            }
        }
        let digest = hash.finalize();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
