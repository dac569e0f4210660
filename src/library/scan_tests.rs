//! Finding models in made-up folders.

use super::*;

const ROOM: Room = Room {
    available: 4 << 30,
    kv_number: 2,
};

/// A folder with the guide's files.
fn model(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/guide");
    for entry in fs::read_dir(guide).unwrap().filter_map(Result::ok) {
        if entry.path().is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
}

fn entries(find: impl FnOnce(&mut Vec<Found>)) -> Vec<ModelEntry> {
    let mut found = Vec::new();
    find(&mut found);
    let mut entries: Vec<_> = found.into_iter().map(|it| it.inspect(ROOM)).collect();
    make_unique(&mut entries);
    entries
}

fn ids(entries: &[ModelEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.id.as_str()).collect()
}

#[test]
fn a_models_folder_has_names_and_organisations() {
    let dir = tempfile::tempdir().unwrap();
    model(&dir.path().join("own"));
    model(&dir.path().join("org/name"));
    model(&dir.path().join("too/deep/down"));
    fs::create_dir_all(dir.path().join("empty")).unwrap();
    let entries = entries(|found| models_below(dir.path(), Origin::Models, found));
    assert_eq!(ids(&entries), ["org/name", "own"]);
    let entry = &entries[0];
    assert_eq!((entry.problem.as_deref(), entry.supported), (None, true));
    assert_eq!(entry.family, "qwen3");
    assert!(entry.parameters > 1_000_000 && entry.weight_bytes > 1_000_000);
    assert!(entry.template.present && entry.template.tools && entry.template.thinking);
    assert!(entry.fit.fits());
    let fit = entry.fit;
    assert_eq!(fit.needed, fit.weights + fit.kv + fit.work);
    assert!(fit.kv > 0 && fit.work >= WORK_AT_LEAST && fit.context <= FIT_CONTEXT);
}

#[test]
fn the_cache_gives_the_revision_of_main() {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("models--org--a--b");
    model(&repository.join("snapshots/aaa"));
    model(&repository.join("snapshots/bbb"));
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), "aaa\n").unwrap();
    fs::create_dir_all(dir.path().join("datasets--org--data/snapshots/x")).unwrap();
    let found = entries(|found| huggingface_models(dir.path(), found));
    assert_eq!(ids(&found), ["org/a--b"]);
    assert!(found[0].path.ends_with("snapshots/aaa"));
    fs::write(repository.join("refs/main"), "gone").unwrap();
    let found = entries(|found| huggingface_models(dir.path(), found));
    assert_eq!(found.len(), 1, "some revision is better than none");
}

#[test]
fn broken_models_are_listed_with_their_problem() {
    let dir = tempfile::tempdir().unwrap();
    let broken = |name: &str, breaking: &dyn Fn(&Path)| {
        let folder = dir.path().join(name);
        model(&folder);
        breaking(&folder);
    };
    broken("a-cut", &|folder| {
        let file = folder.join("model.safetensors");
        let bytes = fs::read(&file).unwrap();
        fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    });
    broken("b-json", &|folder| {
        fs::write(folder.join("config.json"), "{").unwrap()
    });
    broken("c-family", &|folder| {
        fs::write(folder.join("config.json"), r#"{"model_type": "mystery"}"#).unwrap();
    });
    broken("d-tokenizer", &|folder| {
        fs::remove_file(folder.join("tokenizer.json")).unwrap()
    });
    broken("e-link", &|folder| {
        fs::remove_file(folder.join("config.json")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("config.json")).unwrap();
    });
    let entries = entries(|found| models_below(dir.path(), Origin::Models, found));
    let expected = [
        "truncated",
        "JSON",
        "mystery",
        "tokenizer.json",
        "config.json",
    ];
    assert_eq!(entries.len(), expected.len());
    for (entry, expected) in entries.iter().zip(expected) {
        let problem = entry.problem.as_deref().unwrap_or_default();
        assert!(problem.contains(expected), "{}: {problem}", entry.id);
    }
}

#[test]
fn an_unfinished_download_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("models--org--half");
    let snapshot = repository.join("snapshots/aaa");
    model(&snapshot);
    fs::remove_file(snapshot.join("model.safetensors")).unwrap();
    fs::create_dir_all(repository.join("blobs")).unwrap();
    fs::write(repository.join("blobs/abc.incomplete"), "").unwrap();
    let entries = entries(|found| huggingface_models(dir.path(), found));
    let problem = entries[0].problem.as_deref().unwrap();
    assert!(problem.contains("maquette pull org/half"), "{problem}");
}

#[test]
fn the_same_name_twice_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one/m"), dir.path().join("two/m"));
    model(&one);
    model(&two);
    let entries = entries(|found| {
        extra_folder(&one, found);
        extra_folder(&two, found);
        extra_folder(&two, found);
        extra_folder(&dir.path().join("missing"), found);
    });
    assert_eq!(ids(&entries), ["m", "m#2"]);
    assert_eq!(entries[1].path, two);
}

#[test]
fn a_scan_puts_the_guide_first_and_broken_models_last() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::under(dir.path());
    model(&paths.models.join("good"));
    model(&paths.models.join("bad"));
    fs::remove_file(paths.models.join("bad/tokenizer.json")).unwrap();
    let entries = scan(&paths, &[], ROOM);
    let own: Vec<_> = entries
        .iter()
        .filter(|it| it.origin != Origin::HuggingFace)
        .collect();
    let ids: Vec<_> = own.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["guide", "good", "bad"]);
    assert_eq!(own[0].origin, Origin::Guide);
    assert_eq!(own[0].problem, None);
    let outside = describe_folder(&paths.models.join("good"), ROOM);
    assert_eq!(outside.problem, None);
    assert!(Path::new(&outside.id).is_absolute());
}

#[test]
fn too_little_memory_shows_in_the_fit() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/guide");
    let small = Room {
        available: 1 << 20,
        kv_number: 4,
    };
    let entry = describe_folder(&guide, small);
    assert!(!entry.fit.fits() && entry.fit.share() > 1.0);
    let roomy = describe_folder(&guide, ROOM);
    assert_eq!(entry.fit.kv, 2 * roomy.fit.kv);
}
