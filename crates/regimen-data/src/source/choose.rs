//! Which files of a folder are the data: a data set's folder also holds a README, metadata, and other parts than the one
//! to train on.

use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};

use crate::read::is_plain_text;

/// The parts that data sets are published in, by the first word of a file or folder name.
const PARTS: [&str; 8] = ["train", "test", "validation", "valid", "val", "eval", "dev", "unsupervised"];
/// Metadata of data-set folders, which are no rows.
const METADATA: [&str; 6] = [
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
    "package.json",
    "tokenizer_config.json",
];

/// The data files among `all`, which were found below `root`. Rows count for more than text beside them. Of a data set
/// in parts it is the part `wanted`, and `train` where nobody says: a test set is not trained on by accident.
pub(super) fn choose(root: &Path, all: &[PathBuf], wanted: Option<&str>) -> Result<Vec<PathBuf>> {
    if let [one] = all
        && one == root
    {
        return Ok(all.to_vec());
    }
    let is_row = |p: &&PathBuf| {
        let kind = p.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        ["jsonl", "ndjson", "json", "parquet", "csv", "arrow"].contains(&kind.as_str())
            && !p.file_name().and_then(|n| n.to_str()).is_some_and(|n| METADATA.contains(&n))
    };
    let rows: Vec<PathBuf> = all.iter().filter(is_row).cloned().collect();
    let texts = || all.iter().filter(|p| is_plain_text(p)).cloned().collect::<Vec<_>>();
    let found = if rows.is_empty() { texts() } else { rows };
    // without anything known, the reader says what it does not know
    let found = if found.is_empty() { all.to_vec() } else { found };
    let of =
        |part: &str| found.iter().filter(|p| part_of(root, p) == Some(part)).cloned().collect::<Vec<_>>();
    match wanted {
        None => {
            let train = of("train");
            Ok(if train.is_empty() { found } else { train })
        }
        Some(part) => {
            let files = of(part);
            if files.is_empty() {
                let mut known: Vec<&str> = found.iter().filter_map(|p| part_of(root, p)).collect();
                known.sort_unstable();
                known.dedup();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Error::data(format!("{}: no file belongs to the part `{part}`", root.display()))
                    .remedy(format!("its parts are: {known}")));
            }
            Ok(files)
        }
    }
}

/// The part that a file belongs to: `train-00000-of-00002.parquet`, `data/test.jsonl`, `validation/0.parquet`.
fn part_of<'a>(root: &Path, path: &'a Path) -> Option<&'a str> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let names = below.iter().filter_map(|n| n.to_str());
    names.rev().find_map(|name| {
        let word = name.split(['-', '_', '.']).next().unwrap_or_default();
        PARTS.contains(&word).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], wanted: Option<&str>) -> Result<Vec<String>> {
        let all: Vec<PathBuf> = names.iter().map(|n| Path::new("d").join(n)).collect();
        let found = choose(Path::new("d"), &all, wanted)?;
        Ok(found.iter().map(|p| p.strip_prefix("d").unwrap().display().to_string()).collect())
    }

    #[test]
    fn a_published_data_set_gives_its_training_part() {
        let hub = [
            "README.md",
            "dataset_infos.json",
            "data/test-00000-of-00001.parquet",
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
        ];
        assert_eq!(
            chosen(&hub, None).unwrap(),
            ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]
        );
        assert_eq!(chosen(&hub, Some("test")).unwrap(), ["data/test-00000-of-00001.parquet"]);
        let e = chosen(&hub, Some("dev")).unwrap_err().to_string();
        assert!(e.contains("no file belongs to the part `dev`") && e.contains("test, train"), "{e}");
        assert_eq!(chosen(&["train/a.jsonl", "validation/a.jsonl"], None).unwrap(), ["train/a.jsonl"]);
    }

    #[test]
    fn a_folder_of_ones_own_is_taken_whole() {
        assert_eq!(chosen(&["a.txt", "b.md"], None).unwrap(), ["a.txt", "b.md"]);
        assert_eq!(chosen(&["a.jsonl", "README.md"], None).unwrap(), ["a.jsonl"]);
        assert_eq!(chosen(&["trains.jsonl", "tests.csv"], None).unwrap(), ["trains.jsonl", "tests.csv"]);
        assert_eq!(chosen(&["a.pkl"], None).unwrap(), ["a.pkl"]);
    }
}
