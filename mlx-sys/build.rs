//! Makes mlx-c available on every platform from package registries alone.
//!
//! 1. MLX itself comes prebuilt from the PyPI wheel of the chosen backend.
//! 2. mlx-c's sources come from the published `mlx-sys` crate in cargo's cache.
//! 3. Both are compiled and bound here with `cc` and `bindgen`.
//!
//! Invariant: nothing third-party is stored in the repository, and the wheel's
//! folder layout stays as pip left it, because libmlx finds its neighbours by
//! relative paths.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The MLX release that mlx-c 0.7.0 is written against.
const MLX_VERSION: &str = "0.32.2";
const MLX_C_CRATE: &str = "0.7.0";
const LIBCLANG_VERSION: &str = "18.1.1";

fn main() {
    for name in ["PYTHON", "CXX", "LIBCLANG_PATH", "MAQUETTE_MLX_DIR"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=native");
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(message) = build() {
        eprintln!("\n{message}\n");
        println!("cargo::error={}", message.replace('\n', " "));
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|e| e.to_string())?);
    require_compiler()?;
    let mlx = match env::var_os("MAQUETTE_MLX_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => fetch_wheel(&out, backend_wheel()?, MLX_VERSION, true)?.join("mlx"),
    };
    let mlx_c = mlx_c_sources(&out)?;
    compile(&mlx, &mlx_c)?;
    bind(&out, &mlx_c)?;
    link(&mlx)
}

/// The wheel that carries libmlx for the target and the cargo features.
fn backend_wheel() -> Result<&'static str, String> {
    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let cuda = env::var_os("CARGO_FEATURE_CUDA").is_some();
    match (os.as_str(), cuda) {
        ("macos", false) => Ok("mlx-metal"),
        ("macos", true) => Err(
            "The feature `cuda` is for Linux. On macOS build without it: \
             MLX uses Metal there."
                .into(),
        ),
        ("linux", false) => Ok("mlx-cpu"),
        ("linux", true) => Ok("mlx-cuda-13"),
        (other, _) => Err(format!(
            "MLX has no build for `{other}`. Maquette runs on Linux and macOS."
        )),
    }
}

fn require_compiler() -> Result<(), String> {
    let compiler = cc::Build::new().cpp(true).try_get_compiler();
    let works = compiler
        .ok()
        .and_then(|compiler| {
            let mut command = compiler.to_command();
            command.arg("--version").stdout(Stdio::null()).status().ok()
        })
        .is_some_and(|status| status.success());
    if works {
        return Ok(());
    }
    Err(
        "Maquette needs a C++20 compiler to build the bindings of MLX, and none was found.\n\
         Install one: `apt install g++` (Debian, Ubuntu), `dnf install gcc-c++` (Fedora), \
         `xcode-select --install` (macOS). CXX may name another."
            .into(),
    )
}

fn python() -> Result<String, String> {
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let run = |args: &[&str]| {
        Command::new(&python)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !run(&["--version"]) {
        return Err(format!(
            "Maquette needs python3 while building, to fetch the MLX library, and `{python}` does not run.\n\
             Install it: `apt install python3 python3-pip` (Debian, Ubuntu), `dnf install python3-pip` \
             (Fedora), `brew install python` (macOS). PYTHON may name another."
        ));
    }
    if !run(&["-m", "pip", "--version"]) {
        return Err(format!(
            "Maquette needs pip while building, to fetch the MLX library, and `{python} -m pip` does not run.\n\
             Install it: `apt install python3-pip` (Debian, Ubuntu), `dnf install python3-pip` (Fedora), \
             `{python} -m ensurepip` (elsewhere)."
        ));
    }
    Ok(python)
}

/// Unpacks a wheel under the build folder once and returns the folder that
/// holds its packages. The NVIDIA wheel names the CUDA libraries it loads as
/// its dependencies; the others need none.
fn fetch_wheel(
    out: &Path,
    name: &str,
    version: &str,
    with_dependencies: bool,
) -> Result<PathBuf, String> {
    let folder = out.join(format!("{name}-{version}"));
    let complete = folder.join(".complete");
    if complete.exists() {
        return Ok(folder);
    }
    let python = python()?;
    let _ = fs::remove_dir_all(&folder);
    let output = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args((!with_dependencies).then_some("--no-deps"))
        .args(["--disable-pip-version-check", "--only-binary=:all:"])
        .arg("--target")
        .arg(&folder)
        .arg(format!("{name}=={version}"))
        .output()
        .map_err(|e| format!("`{python} -m pip` did not start: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "pip could not fetch {name} {version}. Check the network and that this platform has a wheel \
             (Linux x86-64 or arm64 with glibc 2.35 or later, macOS 14 or later on Apple Silicon).\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    fs::write(&complete, version).map_err(|e| format!("{}: {e}", complete.display()))?;
    Ok(folder)
}

/// Finds mlx-c inside the published `mlx-sys` crate: a throw-away manifest
/// depends on it and cargo names the folder it unpacked it to.
fn mlx_c_sources(out: &Path) -> Result<PathBuf, String> {
    let probe = out.join("mlx-c-probe");
    fs::create_dir_all(probe.join("src")).map_err(|e| e.to_string())?;
    let manifest = format!(
        "[package]\nname = \"mlx-c-probe\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         [workspace]\n[dependencies]\nmlx-sys = \"={MLX_C_CRATE}\"\n"
    );
    let manifest_path = probe.join("Cargo.toml");
    fs::write(&manifest_path, manifest).map_err(|e| e.to_string())?;
    fs::write(probe.join("src/lib.rs"), "").map_err(|e| e.to_string())?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--manifest-path"])
        .arg(&manifest_path)
        // The probe is a foreign package: neither the target folder of the
        // caller nor patches configured in the folders above may reach it.
        .current_dir(env::temp_dir())
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .map_err(|e| format!("cargo metadata did not start: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo could not fetch mlx-sys {MLX_C_CRATE}, whose sources of mlx-c are needed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|p| p["name"] == "mlx-sys" && p["source"].is_string())
        .and_then(|p| p["manifest_path"].as_str())
        .map(|path| Path::new(path).with_file_name("src").join("mlx-c"))
        .filter(|path| path.join("mlx/c").is_dir())
        .ok_or_else(|| format!("mlx-sys {MLX_C_CRATE} carries no mlx-c sources"))
}

fn compile(mlx: &Path, mlx_c: &Path) -> Result<(), String> {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++20")
        .warnings(false)
        .opt_level(2)
        .pic(true)
        .include(mlx_c)
        .flag("-isystem")
        .flag(mlx.join("include"))
        .flag("-include")
        .flag(manifest_dir().join("native/format.h"));
    for file in sources(&mlx_c.join("mlx/c"))? {
        build.file(file);
    }
    let native = manifest_dir().join("native");
    build.file(native.join("primitives.cpp"));
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("aarch64") {
        build.file(native.join("half.cpp"));
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        build.file(native.join("clock.cpp"));
    }
    build.try_compile("mlxc").map_err(|e| {
        format!(
            "mlx-c did not compile: {e}\nA C++20 compiler is needed (GCC 12, Clang 15 or later)."
        )
    })
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|e| format!("{}: {e}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension() == Some(OsStr::new("cpp")))
        .collect();
    files.sort();
    Ok(files)
}

fn bind(out: &Path, mlx_c: &Path) -> Result<(), String> {
    if env::var_os("LIBCLANG_PATH").is_none() {
        let wheel = fetch_wheel(out, "libclang", LIBCLANG_VERSION, false)?;
        // SAFETY: the build script has a single thread here.
        unsafe { env::set_var("LIBCLANG_PATH", wheel.join("clang/native")) };
    }
    let mut builder = bindgen::Builder::default()
        .header(mlx_c.join("mlx/c/mlx.h").to_string_lossy())
        .header(manifest_dir().join("native/primitives.h").to_string_lossy())
        .clang_arg(format!("-I{}", mlx_c.display()))
        // half.h needs Arm headers; its accessors are declared in lib.rs.
        .clang_arg("-DMLX_HALF_H")
        .allowlist_item("_?mlx_.*|MLX_.*|maquette_.*")
        .layout_tests(false);
    if let Some(include) = compiler_headers() {
        builder = builder.clang_arg(format!("-isystem{}", include.display()));
    }
    builder
        .generate()
        .map_err(|e| format!("the bindings of mlx-c could not be made: {e}"))?
        .write_to_file(out.join("bindings.rs"))
        .map_err(|e| e.to_string())
}

/// stddef.h and its like: the libclang wheel has none of its own.
fn compiler_headers() -> Option<PathBuf> {
    let output = cc::Build::new()
        .try_get_compiler()
        .ok()?
        .to_command()
        .arg("-print-file-name=include")
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_dir().then_some(path)
}

fn link(mlx: &Path) -> Result<(), String> {
    let lib = mlx.join("lib");
    if !lib.is_dir() {
        return Err(format!("{} holds no MLX library", lib.display()));
    }
    println!("cargo::rustc-link-search=native={}", lib.display());
    println!("cargo::rustc-link-lib=dylib=mlx");
    println!("cargo::metadata=lib={}", lib.display());
    println!("cargo::metadata=include={}", mlx.join("include").display());
    Ok(())
}

fn manifest_dir() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
}
