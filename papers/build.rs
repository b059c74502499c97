//! Makes the list of papers from the folders beside this file, and puts their texts into the program: a paper is added by
//! adding its folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts"));
    println!("cargo::rerun-if-changed={}", root.display());
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)?.map(|e| Ok(e?.path())).collect::<io::Result<_>>()?;
    folders.retain(|path| path.is_dir() && is_paper(&name(path)));
    folders.sort();
    let mut modules = String::new();
    let mut list = String::from("/// Every paper, by its number.\npub static PAPERS: &[Paper] = &[\n");
    for folder in &folders {
        let name = name(folder);
        let files = files(folder)?;
        let has_module = files.iter().any(|file| file.ends_with("mod.rs"));
        if has_module {
            let path = folder.join("mod.rs").display().to_string();
            let _ = writeln!(modules, "#[path = {path:?}]\nmod {name};");
        }
        let _ = writeln!(list, "{}", entry(folder, &name, &files, has_module));
    }
    list.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it for build scripts"));
    fs::write(out.join("papers.rs"), modules + &list)
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// `p021_cot_mechanism`.
fn is_paper(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() > 5 && bytes[0] == b'p' && bytes[1..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'_'
}

/// All files of a folder, sorted.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

fn entry(folder: &Path, name: &str, files: &[PathBuf], has_module: bool) -> String {
    let text = |file: &str| format!("include_str!({:?})", folder.join(file).display().to_string());
    let result = if folder.join("result.json").exists() {
        format!("Some({})", text("result.json"))
    } else {
        "None".to_owned()
    };
    let sources = files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs")).map(|file| {
        let inside =
            file.strip_prefix(folder).expect("it was found there").to_string_lossy().replace('\\', "/");
        format!("({inside:?}, {})", text(&inside))
    });
    format!(
        "    Paper {{ folder: {name:?}, readme: {}, recipe: {}, claim: {}, result: {result}, sources: &[{}], pieces: {} }},",
        text("README.md"),
        text("recipe.toml"),
        text("claim.toml"),
        sources.collect::<Vec<_>>().join(", "),
        if has_module { format!("Some({name}::pieces)") } else { "None".to_owned() },
    )
}
