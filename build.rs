//! Lets the built executable find libmlx from any folder, without cargo.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // mlx-sys publishes the folder of the MLX library it linked.
    if let Ok(lib) = std::env::var("DEP_MLX_LIB") {
        // First beside the executable, for packaged installs.
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", origin());
        println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo::rustc-env=MAQUETTE_MLX_LIB={lib}");
    }
}

/// The loader's name for the folder of the executable.
fn origin() -> &'static str {
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("macos") => "@executable_path/lib",
        _ => "$ORIGIN/lib",
    }
}
