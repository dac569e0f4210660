//! The folders and files that belong to Maquette, and the Hugging Face cache.
//!
//! Finds them; creates none except on request ([`Paths::create`]).

use std::{
    env,
    path::{Path, PathBuf},
};

use directories::{BaseDirs, ProjectDirs};

use super::ConfigError;

/// Every path that Maquette reads or writes on its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The user's own files: settings, themes, key maps, `mcp.json`.
    pub config: PathBuf,
    /// What must survive: chats, models, logs.
    pub data: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
    /// Keys and values of earlier requests.
    pub kv_pages: PathBuf,
    pub models: PathBuf,
    pub themes: PathBuf,
    pub keymaps: PathBuf,
    pub logs: PathBuf,
    pub chats_db: PathBuf,
    pub mcp_json: PathBuf,
    pub settings_toml: PathBuf,
}

impl Paths {
    /// `$MAQUETTE_HOME/{config,data,cache}` where that variable is set, else
    /// the platform's folders. Fails when there is no home folder either.
    pub fn discover() -> Result<Self, ConfigError> {
        if let Some(home) = env_path("MAQUETTE_HOME") {
            let home = std::path::absolute(&home).unwrap_or(home);
            return Ok(Self::under(&home));
        }
        let dirs = ProjectDirs::from("", "", "maquette").ok_or(ConfigError::NoHome)?;
        Ok(Self::new(
            dirs.config_dir().to_owned(),
            dirs.data_dir().to_owned(),
            dirs.cache_dir().to_owned(),
        ))
    }

    /// All of Maquette's files below one folder.
    pub fn under(home: &Path) -> Self {
        Self::new(home.join("config"), home.join("data"), home.join("cache"))
    }

    fn new(config: PathBuf, data: PathBuf, cache: PathBuf) -> Self {
        Self {
            kv_pages: cache.join("kv"),
            models: data.join("models"),
            themes: config.join("themes"),
            keymaps: config.join("keymaps"),
            logs: data.join("logs"),
            chats_db: data.join("chats.db"),
            mcp_json: config.join("mcp.json"),
            settings_toml: config.join("settings.toml"),
            config,
            data,
            cache,
        }
    }

    /// Creates the folders that do not exist yet.
    pub fn create(&self) -> Result<(), ConfigError> {
        let folders = [
            &self.config,
            &self.data,
            &self.cache,
            &self.models,
            &self.logs,
        ];
        for folder in folders {
            std::fs::create_dir_all(folder).map_err(|source| ConfigError::Write {
                path: folder.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

/// The Hugging Face cache that every program of this machine shares:
/// `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME/hub`,
/// `XDG_CACHE_HOME/huggingface/hub`, `~/.cache/huggingface/hub`.
pub fn huggingface_cache() -> PathBuf {
    env_path("HF_HUB_CACHE")
        .or_else(|| env_path("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| env_path("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| env_path("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/hub")))
        .unwrap_or_else(|| {
            let home = BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
            home.unwrap_or_default().join(".cache/huggingface/hub")
        })
}

/// A path from the environment; an empty variable counts as unset.
fn env_path(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_lies_under_one_home() {
        let home = Path::new("/somewhere");
        let paths = Paths::under(home);
        for path in [
            &paths.config,
            &paths.data,
            &paths.cache,
            &paths.models,
            &paths.themes,
            &paths.keymaps,
            &paths.logs,
            &paths.chats_db,
            &paths.mcp_json,
            &paths.settings_toml,
        ] {
            assert!(path.starts_with(home), "{}", path.display());
        }
        assert_eq!(paths.settings_toml, home.join("config/settings.toml"));
    }

    #[test]
    fn create_makes_the_folders_and_is_repeatable() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        paths.create().unwrap();
        paths.create().unwrap();
        assert!(paths.models.is_dir() && paths.logs.is_dir() && paths.config.is_dir());
    }

    #[test]
    fn create_names_the_folder_that_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data"), "a file").unwrap();
        let error = Paths::under(dir.path()).create().unwrap_err();
        assert!(error.to_string().contains("data"), "{error}");
    }
}
