//! A paper, or a folder of the user's own with the same files: `recipe.toml`, `claim.toml`, `README.md`.

pub mod children;
pub mod commit;
pub mod jobs;
pub mod page;
pub mod seeds;
pub mod show;
pub mod table;
pub mod told;

use std::fs;
use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};
use regimen_kernels::NUMERICS;
use regimen_papers::{Claims, Digests, PAPERS, Paper, Standing};

use crate::failure::Outcome;
use crate::recipes::{self, nearest};

/// What there is of it.
pub struct Study {
    /// What `regimen run` finds its recipe by.
    pub given: String,
    /// Its folder's name.
    pub name: String,
    /// Where the folder is; none for a paper that only the program carries.
    pub folder: Option<PathBuf>,
    /// The claims.
    pub claims: Claims,
    /// Digests of what is there.
    pub digests: Digests,
    /// README.md; may be empty.
    pub readme: String,
    /// How it stands.
    pub standing: Standing,
}

impl Study {
    /// Opens `p021`, `p021_cot_mechanism`, or the path of a folder.
    pub fn open(name: &str) -> Outcome<Self> {
        let path = Path::new(name);
        if path.join("claim.toml").is_file() {
            return Self::in_folder(path);
        }
        match Paper::find(name) {
            Some(paper) => Self::carried(paper),
            None => Err(missing(name).into()),
        }
    }

    /// A paper of the program.
    pub fn carried(paper: &Paper) -> Outcome<Self> {
        let claim = format!("{}/claim.toml", paper.folder);
        let recipe = recipes::read(paper.folder)?;
        let catalogue = regimen_papers::registry().catalogue();
        let claims = Claims::read(&claim, paper.claim, &recipe, &catalogue)?;
        let digests = Digests::of(&recipe, &claims, paper.sources.iter().copied());
        Ok(Self {
            given: paper.folder.to_owned(),
            name: paper.folder.to_owned(),
            folder: commit::folder_of(paper),
            standing: Standing::of(paper.result, &digests, NUMERICS),
            readme: paper.readme.to_owned(),
            claims,
            digests,
        })
    }

    fn in_folder(folder: &Path) -> Outcome<Self> {
        let file = |name: &str| folder.join(name).display().to_string();
        let recipe = recipes::read(&file("recipe.toml"))?;
        let text = read(&folder.join("claim.toml"))?;
        let claims =
            Claims::read(&file("claim.toml"), &text, &recipe, &regimen_papers::registry().catalogue())?;
        let sources = sources(folder)?;
        let sources = sources.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let digests = Digests::of(&recipe, &claims, sources);
        let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = full.file_name().map_or_else(|| "study".to_owned(), |n| n.to_string_lossy().into_owned());
        let result = fs::read_to_string(folder.join("result.json")).ok();
        Ok(Self {
            given: file("recipe.toml"),
            name,
            standing: Standing::of(result.as_deref(), &digests, NUMERICS),
            readme: fs::read_to_string(folder.join("README.md")).unwrap_or_default(),
            folder: Some(full),
            claims,
            digests,
        })
    }

    /// `p021`, or the folder's name.
    pub fn short(&self) -> &str {
        short(&self.name)
    }
}

/// `p021` of `p021_cot_mechanism`; any other name as it is.
pub fn short(name: &str) -> &str {
    let is_paper = PAPERS.iter().any(|paper| paper.folder == name);
    if is_paper { &name[..4] } else { name }
}

/// The code in a folder, as the program would carry it.
pub fn sources(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    collect(folder, folder, &mut all)?;
    all.sort();
    Ok(all)
}

fn collect(root: &Path, folder: &Path, all: &mut Vec<(String, String)>) -> Result<()> {
    let cannot = |e: std::io::Error| Error::failed(format!("cannot read {}: {e}", folder.display()));
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.is_dir() {
            collect(root, &path, all)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let inside = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            all.push((inside, read(&path)?));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::usage(format!("cannot read {}: {e}", path.display())))
}

fn missing(name: &str) -> Error {
    let path = Path::new(name);
    if path.is_dir() {
        return Error::usage(format!("{name} has no claim.toml"))
            .remedy("a paper's folder holds recipe.toml and claim.toml; see docs/add-a-paper.md");
    }
    let known: Vec<&str> = PAPERS.iter().flat_map(|p| [p.folder, p.number(), &p.folder[5..]]).collect();
    let near = nearest(name, &known).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Error::usage(format!("there is no paper `{name}`"))
        .remedy(format!("{near}`regimen papers` lists them; or give the path of a folder with a claim.toml"))
}
