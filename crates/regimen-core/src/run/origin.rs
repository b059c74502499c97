//! Where a model comes from: a folder in Hugging Face's layout, a run, a GGUF file, or a name in the hub's local cache.
//!
//! A folder is read as it lies: a file that leads out of it by a link is refused. The cache's own links, from
//! `snapshots/…` to `blobs/…`, are what they should be.

use std::fs;
use std::path::{Component, Path, PathBuf};

use regimen_base::{Error, Result};
use regimen_nn::hf::Hold;
use regimen_nn::{Device, Half};
use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::directory::RunDir;
use super::trouble::Told;
use crate::model::{ADAPTER_CONFIG, Folder, Model, Outline};

/// Where a model comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A folder with `config.json`, or a PEFT folder with `adapter_config.json`.
    Folder(PathBuf),
    /// A checkpoint of a run: every file is compared with its digest when it is read.
    Checkpoint(Checkpoint),
    /// A GGUF file.
    Gguf(PathBuf),
}

/// Fetches a model of the hub, by its organisation, name and revision, into the first of the caches, if it can.
type Download = dyn Fn(&[PathBuf], (&str, &str, &str)) -> Result<Option<PathBuf>>;

/// How often a PEFT folder may lead to another one.
const DEEPEST: usize = 4;

impl Origin {
    /// Finds what a recipe or a user names: a path that exists, or `org/name` (`org/name@revision`) in the hub's cache.
    ///
    /// # Errors
    /// When there is neither: says where was looked.
    pub fn find(name: &str) -> Result<Self> {
        Self::find_in(name, &hub_caches(&|key| std::env::var_os(key)), &download)
    }

    fn find_in(name: &str, caches: &[PathBuf], download: &Download) -> Result<Self> {
        let path = Path::new(name);
        if path.is_dir() {
            return Self::folder(path);
        }
        if path.is_file() {
            return Self::file(path);
        }
        let Some((org, model, revision)) = hub_name(name) else {
            return Err(Error::data(format!("there is no file or folder {name}")).remedy(
                "check the path; a relative one starts at the directory where `regimen` was started",
            ));
        };
        let found = caches.iter().find_map(|cache| snapshot(cache, org, model, revision));
        if let Some(folder) = found {
            return Ok(Self::Folder(folder));
        }
        if let Some(folder) = download(caches, (org, model, revision))? {
            return Ok(Self::Folder(folder));
        }
        let looked: Vec<String> = caches.iter().map(|c| c.display().to_string()).collect();
        let what = format!(
            "{name} is neither a folder nor in the hub's local cache ({}); nothing is downloaded here",
            looked.join(", ")
        );
        Err(Error::data(what).remedy(format!(
            "download it with `hf download {org}/{model}`, set HF_HOME or HF_HUB_CACHE to where it lies, or name a folder"
        )))
    }

    /// A folder as it lies, a checkpoint of a run, or a run's newest one.
    fn folder(path: &Path) -> Result<Self> {
        if Checkpoint::is_committed(path) {
            return Checkpoint::of_record(path).map(Self::Checkpoint);
        }
        if !path.join("stages").is_dir() || path.join("config.json").exists() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let newest = RunDir::view(path)?.newest()?;
        newest.map(|(_, checkpoint)| Self::Checkpoint(checkpoint)).ok_or_else(|| {
            let what = format!("the run {} has no checkpoint yet", path.display());
            Error::data(what).remedy("wait for its first one, or name another model")
        })
    }

    fn file(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if extension.eq_ignore_ascii_case("gguf") {
            return Ok(Self::Gguf(path.to_owned()));
        }
        Err(Error::data(format!("{} is a file, but no GGUF file", path.display()))
            .remedy("name the folder that holds config.json and model.safetensors, or a .gguf file"))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Gguf(path) => path,
            Self::Checkpoint(checkpoint) => checkpoint.folder(),
        }
    }

    /// Where all of it lies: itself, and the model that its adapters belong to.
    ///
    /// # Errors
    /// When that model cannot be found.
    pub fn paths(&self) -> Result<Vec<PathBuf>> {
        let bases = self.bases()?;
        Ok(std::iter::once(self).chain(&bases).map(|origin| origin.path().to_owned()).collect())
    }

    /// The model that its adapters belong to, and so on.
    fn bases(&self) -> Result<Vec<Self>> {
        let mut bases = Vec::new();
        let mut base = self.base()?;
        while let Some(origin) = base.filter(|_| bases.len() < DEEPEST) {
            base = origin.base()?;
            bases.push(origin);
        }
        Ok(bases)
    }

    /// Architecture and tokenizer.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn outline(&self) -> Result<Outline> {
        match self.bases()?.last().unwrap_or(self) {
            Self::Gguf(path) => fs::read(path).told("read", path).and_then(|bytes| Outline::of_gguf(&bytes)),
            folder => Outline::read(folder),
        }
        .map_err(|e| e.within(self.path().display().to_string()))
    }

    /// The whole model, its matrices in f32 or in 16 bits.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn model(&self, device: &Device, half: Option<Half>) -> Result<Model> {
        let within = self.path().display().to_string();
        let mut model = self.model_below(device, half, DEEPEST).map_err(|e| e.within(within.clone()))?;
        if let Some(language) = &mut model.language {
            language.base.get_or_insert(within);
        }
        Ok(model)
    }

    fn model_below(&self, device: &Device, half: Option<Half>, depth: usize) -> Result<Model> {
        match self {
            Self::Gguf(path) => Model::read_gguf(&fs::read(path).told("read", path)?, device, half),
            _ => match self.base()? {
                Some(_) if depth == 0 => {
                    Err(Error::data("adapters of adapters of adapters lead in a circle"))
                }
                Some(base) => {
                    base.model_below(device, half, depth - 1)?.adapted(&self.read(ADAPTER_CONFIG)?, self)
                }
                None => Model::read(self, device, half.map_or(Hold::Full, Hold::Half)),
            },
        }
    }

    /// The model that a PEFT folder belongs to; `None` for a folder that has its own.
    fn base(&self) -> Result<Option<Self>> {
        if self.has("config.json") || !self.has(ADAPTER_CONFIG) {
            return Ok(None);
        }
        let config: Value = serde_json::from_slice(&self.read(ADAPTER_CONFIG)?)
            .map_err(|e| Error::data(format!("adapter_config.json is not valid: {e}")))?;
        let base =
            config.get("base_model_name_or_path").and_then(Value::as_str).filter(|base| !base.is_empty());
        let base = base.ok_or_else(|| {
            Error::data("adapter_config.json does not say what the adapters belong to")
                .remedy("write the model's folder into `base_model_name_or_path`")
        })?;
        Self::find(base).map(Some)
    }
}

impl Folder for Origin {
    fn has(&self, name: &str) -> bool {
        match self {
            // a link that leads nowhere is there: reading it tells
            Self::Folder(folder) => folder.join(name).symlink_metadata().is_ok(),
            Self::Checkpoint(checkpoint) => checkpoint.has(name),
            Self::Gguf(_) => false,
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let folder = match self {
            Self::Folder(folder) => folder,
            Self::Checkpoint(checkpoint) => return checkpoint.read(name),
            Self::Gguf(path) => {
                return Err(Error::data(format!("{} is one file and holds no `{name}`", path.display())));
            }
        };
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let path = folder.join(name);
        if !path.exists() || !plain {
            return Err(Error::data(format!("there is no file {}", path.display())).remedy(
                "name a folder in Hugging Face's layout: config.json, model.safetensors, tokenizer.json",
            ));
        }
        inside(folder, &path)?;
        fs::read(&path).told("read", &path)
    }
}

/// Where the hub's own tools keep what they downloaded, in the order they look.
fn hub_caches(variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Vec<PathBuf> {
    let given = |key: &str| variable(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = given("HF_HUB_CACHE").or_else(|| given("HUGGINGFACE_HUB_CACHE")) {
        return vec![cache];
    }
    let home = given("HF_HOME").or_else(|| Some(given("XDG_CACHE_HOME")?.join("huggingface")));
    let home = home.or_else(|| Some(given("HOME")?.join(".cache/huggingface")));
    home.into_iter().map(|home| home.join("hub")).collect()
}

/// Fetches a model that is in no cache, where this build can and the environment lets it.
#[cfg(feature = "hub")]
fn download(caches: &[PathBuf], name: (&str, &str, &str)) -> Result<Option<PathBuf>> {
    let hub = super::hub::Hub::of_environment(&|key| std::env::var(key).ok());
    let (Some(hub), Some(cache)) = (hub, caches.first()) else { return Ok(None) };
    let mut tell = |line: &str| eprintln!("downloading {line}");
    hub.fetch(cache, name, &mut tell).map(Some)
}

#[cfg(not(feature = "hub"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
fn download(_: &[PathBuf], _: (&str, &str, &str)) -> Result<Option<PathBuf>> {
    Ok(None)
}

/// `org/name` or `org/name@revision`.
fn hub_name(name: &str) -> Option<(&str, &str, &str)> {
    let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
    let (org, model) = name.split_once('/')?;
    let word = |word: &str| {
        !word.is_empty()
            && !word.starts_with('.')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    (word(org) && word(model) && word(revision)).then_some((org, model, revision))
}

fn snapshot(cache: &Path, org: &str, model: &str, revision: &str) -> Option<PathBuf> {
    let repository = cache.join(format!("models--{org}--{model}"));
    let commit = fs::read_to_string(repository.join("refs").join(revision));
    let commit = commit.map_or_else(|_| revision.to_owned(), |commit| commit.trim().to_owned());
    let plain = !commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric());
    let folder = repository.join("snapshots").join(commit);
    (plain && folder.is_dir()).then_some(folder)
}

/// Errs when `path` leads out of `folder`, and not into the blobs of the same repository of the hub's cache.
fn inside(folder: &Path, path: &Path) -> Result<()> {
    let (root, real) = (folder.canonicalize().told("read", folder)?, path.canonicalize().told("read", path)?);
    let snapshots = root.parent().filter(|parent| parent.file_name().is_some_and(|name| name == "snapshots"));
    let blobs = snapshots.and_then(Path::parent).map(|repository| repository.join("blobs"));
    if real.starts_with(&root) || blobs.is_some_and(|blobs| real.starts_with(blobs)) {
        return Ok(());
    }
    Err(Error::data(format!(
        "{} is a link that leads out of the folder, to {}",
        path.display(),
        real.display()
    ))
    .remedy("do not use a checkpoint that does so, or copy the file into the folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[expect(clippy::unnecessary_wraps, reason = "what downloads can fail")]
    fn nothing(_: &[PathBuf], _: (&str, &str, &str)) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    #[test]
    fn the_cache_of_the_hub_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let repository = root.path().join("models--org--tiny.model-1");
        write(&repository.join("refs/main"), "abc123\n");
        write(&repository.join("blobs/0f"), "the config");
        let link = repository.join("snapshots/abc123/config.json");
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("../../blobs/0f", &link).unwrap();
        let caches = [root.path().to_owned()];
        for name in ["org/tiny.model-1", "org/tiny.model-1@main", "org/tiny.model-1@abc123"] {
            let origin = Origin::find_in(name, &caches, &nothing).unwrap();
            assert_eq!(origin.read("config.json").unwrap(), b"the config");
        }
        let told = Origin::find_in("org/other", &caches, &nothing).unwrap_err();
        assert!(
            told.what.contains("nothing is downloaded here")
                && told.what.contains(&*root.path().to_string_lossy())
        );
        assert!(told.remedy.unwrap().contains("hf download org/other"));
        assert!(
            Origin::find_in("./nowhere", &caches, &nothing).unwrap_err().what.contains("no file or folder")
        );
        assert!(Origin::find_in("org/tiny.model-1@..", &caches, &nothing).is_err());
    }

    #[test]
    fn variables_say_where_the_cache_is() {
        let with = |set: &'static [(&str, &str)]| {
            hub_caches(&|key| set.iter().find(|(name, _)| *name == key).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[("HOME", "/h")]), [Path::new("/h/.cache/huggingface/hub")]);
        assert_eq!(with(&[("HOME", "/h"), ("HF_HOME", "/f")]), [Path::new("/f/hub")]);
        assert_eq!(with(&[("HF_HOME", "/f"), ("HF_HUB_CACHE", "/c")]), [Path::new("/c")]);
        assert!(with(&[]).is_empty());
    }

    #[test]
    fn links_out_of_the_folder_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("model");
        write(&root.path().join("secret"), "secret");
        write(&folder.join("inner/config.json"), "{}");
        std::os::unix::fs::symlink("../secret", folder.join("model.safetensors")).unwrap();
        std::os::unix::fs::symlink("inner/config.json", folder.join("config.json")).unwrap();
        // a file that need not be there is not passed over when it may not be read
        std::os::unix::fs::symlink("../secret", folder.join("adapter_config.json")).unwrap();
        std::os::unix::fs::symlink("../nowhere", folder.join("chat_template.jinja")).unwrap();
        let origin = Origin::Folder(folder);
        assert!(origin.has("adapter_config.json") && origin.read("adapter_config.json").is_err());
        assert!(origin.has("chat_template.jinja") && origin.read("chat_template.jinja").is_err());
        assert!(origin.read("model.safetensors").unwrap_err().what.contains("leads out of the folder"));
        assert_eq!(origin.read("config.json").unwrap(), b"{}");
        for name in ["../secret", "/etc/hostname", "inner/../../secret"] {
            assert!(origin.read(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_file_that_is_no_gguf_is_told() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("model.bin");
        write(&path, "x");
        assert!(Origin::find(&path.to_string_lossy()).unwrap_err().what.contains("no GGUF file"));
    }
}
