//! Files as a source.

use std::path::{Path, PathBuf};

use regimen_base::{Error, Result, ResultExt, Split};

use super::{Source, holdout};
use crate::read::{Place, ReadOptions, TextSplit, is_plain_text, read_rows};
use crate::{Body, Detected, Example, ExampleId, Files};

/// From so many plain-text files on, each of them is a document of its own.
const MANY_FILES: usize = 32;

/// The rows of a file, or of all data files of a folder.
pub struct FileSource {
    number: u32,
    name: String,
    schema: Detected,
    files: usize,
    train: Vec<(Place, Example)>,
    eval: Vec<(Place, Example)>,
}

impl FileSource {
    /// Reads everything at `path`, as source `number` of a catalogue. Every row is looked at, so that what is wrong
    /// with any of them is said now.
    ///
    /// # Errors
    /// Nothing there, nothing in it, a file or a row that cannot be read (with file and line), no schema that fits.
    pub fn open(number: u32, path: &Path, files: &dyn Files, options: &ReadOptions) -> Result<Self> {
        if !(0.0..=1.0).contains(&options.eval) {
            return Err(Error::usage(format!("{} of the rows cannot be held out", options.eval))
                .remedy("`eval` is a fraction, from 0 to below 1; 0.05 is usual"));
        }
        let name = path.display().to_string();
        let paths = files.list(path)?;
        let (schema, examples) = read_all(number, &paths, files, options)?;
        let Some(schema) = schema.filter(|_| !examples.is_empty()) else {
            return Err(
                Error::data(format!("{name}: there are no rows")).remedy("check the path and the files")
            );
        };
        let sides = holdout::sides(examples.iter().map(|(_, example)| example), options.eval);
        let mut source =
            Self { number, name, schema, files: paths.len(), train: Vec::new(), eval: Vec::new() };
        for (row, side) in examples.into_iter().zip(sides) {
            source.side_mut(side).push(row);
        }
        for side in [Split::Train, Split::Eval] {
            for (index, (_, example)) in source.side_mut(side).iter_mut().enumerate() {
                example.id.index = index as u64;
            }
        }
        if source.train.is_empty() && options.eval < 1.0 {
            return Err(Error::data(format!("{}: all rows are held out for evaluation", source.name))
                .remedy("lower `eval`, or give more rows"));
        }
        Ok(source)
    }

    /// What the rows were taken for.
    pub fn schema(&self) -> &Detected {
        &self.schema
    }

    /// All that the training rows say, for training a tokenizer.
    pub fn texts(&self) -> impl Iterator<Item = &str> + Send {
        self.train.iter().flat_map(|(_, e)| -> Box<dyn Iterator<Item = &str> + Send> {
            match &e.body {
                Body::Text(text) => Box::new(std::iter::once(text.as_str())),
                Body::Messages(said) => Box::new(said.iter().map(|m| m.content.as_str())),
                Body::Preference { prompt, chosen, rejected } => {
                    Box::new(prompt.iter().chain(chosen).chain(rejected).map(|m| m.content.as_str()))
                }
                Body::Tokens(_) | Body::Pair { .. } => Box::new(std::iter::empty()),
            }
        })
    }

    fn side(&self, split: Split) -> &[(Place, Example)] {
        match split {
            Split::Train => &self.train,
            Split::Eval => &self.eval,
        }
    }

    fn side_mut(&mut self, split: Split) -> &mut Vec<(Place, Example)> {
        match split {
            Split::Train => &mut self.train,
            Split::Eval => &mut self.eval,
        }
    }
}

type Rows = Vec<(Place, Example)>;

fn read_all(
    number: u32,
    paths: &[PathBuf],
    files: &dyn Files,
    options: &ReadOptions,
) -> Result<(Option<Detected>, Rows)> {
    let many = paths.iter().filter(|p| is_plain_text(p)).count() >= MANY_FILES;
    let split = if many && options.text == TextSplit::Auto { TextSplit::Files } else { options.text };
    let id = ExampleId { source: number, index: 0 };
    let mut schema: Option<Detected> = None;
    let mut examples = Vec::new();
    for path in paths {
        for row in read_rows(path, files.read(path)?, options, split)? {
            let detected = match &schema {
                Some(detected) => detected,
                None => schema.insert(Detected::from_row(&row, options.schema, &options.columns)?),
            };
            let place = row.place.clone();
            examples.push((place, detected.example(row, id)?));
        }
    }
    Ok((schema, examples))
}

impl Source for FileSource {
    fn number(&self) -> u32 {
        self.number
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self, split: Split) -> Option<u64> {
        Some(self.side(split).len() as u64)
    }

    fn get(&self, index: u64, split: Split) -> Result<Example> {
        let side = self.side(split);
        let found = usize::try_from(index).ok().and_then(|i| side.get(i));
        found
            .map(|(_, example)| example.clone())
            .ok_or_else(|| {
                Error::failed(format!("there is no row {index} among {} of {}", side.len(), split.name()))
            })
            .within(|| self.name.clone())
    }

    fn place(&self, index: u64, split: Split) -> String {
        let found = usize::try_from(index).ok().and_then(|i| self.side(split).get(i));
        found.map_or_else(|| format!("{}, no row {index}", self.name), |(place, _)| place.to_string())
    }

    fn describe(&self) -> String {
        let held =
            if self.eval.is_empty() { String::new() } else { format!(", {} held out", self.eval.len()) };
        let files = if self.files == 1 { String::new() } else { format!(" in {} files", self.files) };
        format!("{}: {}, {} rows{files}{held}", self.name, self.schema, self.train.len() + self.eval.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InMemory;

    fn open(files: &InMemory, eval: f64) -> Result<FileSource> {
        let options = ReadOptions { eval, ..ReadOptions::default() };
        FileSource::open(0, Path::new("d"), files, &options)
    }

    fn all(source: &FileSource, split: Split) -> Vec<String> {
        let n = source.len(split).unwrap();
        (0..n).map(|i| format!("{:?}", source.get(i, split).unwrap().body)).collect()
    }

    fn numbered(rows: impl Iterator<Item = u32>) -> String {
        rows.fold(String::new(), |all, i| all + &format!("{{\"text\":\"row {i}\"}}\n"))
    }

    #[test]
    fn the_held_out_rows_are_disjoint_stable_and_about_as_many_as_asked() {
        let files = InMemory::new().with("d/a.jsonl", numbered(0..2000)).with("d/b.jsonl", numbered(0..100));
        let source = open(&files, 0.05).unwrap();
        let (train, eval) = (all(&source, Split::Train), all(&source, Split::Eval));
        assert_eq!(train.len() + eval.len(), 2100);
        assert!((60..160).contains(&eval.len()), "{}", eval.len());
        assert!(eval.iter().all(|e| !train.contains(e)), "the same row on both sides");
        let turned = InMemory::new().with("d/a.jsonl", numbered((0..2000).rev()));
        let mut again = all(&open(&turned, 0.05).unwrap(), Split::Eval);
        let mut before = eval;
        before.sort();
        before.dedup();
        again.sort();
        assert_eq!(before, again);
    }

    #[test]
    fn a_few_rows_still_give_one_to_evaluate_on() {
        let source = open(&InMemory::new().with("d/a.jsonl", numbered(0..3)), 0.05).unwrap();
        assert_eq!((source.len(Split::Train), source.len(Split::Eval)), (Some(2), Some(1)));
        let one = open(&InMemory::new().with("d/a.jsonl", numbered(0..1)), 0.05).unwrap();
        assert_eq!((one.len(Split::Train), one.len(Split::Eval)), (Some(1), Some(0)));
        let all = open(&InMemory::new().with("d/a.jsonl", numbered(0..3)), 1.0).unwrap();
        assert_eq!((all.len(Split::Train), all.len(Split::Eval)), (Some(0), Some(3)));
    }

    #[test]
    fn nothing_is_an_error_and_so_is_a_later_row_without_the_column() {
        for files in [InMemory::new().with("d/a.jsonl", ""), InMemory::new().with("d/a.txt", "\n \n")] {
            assert!(open(&files, 0.0).err().unwrap().to_string().contains("there are no rows"));
        }
        assert!(open(&InMemory::new(), 0.0).err().unwrap().to_string().contains("no file or folder `d`"));
        let files = InMemory::new().with("d/a.jsonl", "{\"text\":\"a\"}\n{\"test\":\"b\"}\n");
        let e = open(&files, 0.0).err().unwrap().to_string();
        assert!(e.starts_with("d/a.jsonl:2: the row has no column `text`"), "{e}");
    }

    #[test]
    fn a_single_text_is_cut_and_many_are_not() {
        let text = (0..1000).fold(String::new(), |all, i| all + &format!("line {i} of some words\n"));
        let source = open(&InMemory::new().with("d/a.txt", text.clone()), 0.05).unwrap();
        assert!(source.len(Split::Train).unwrap() > 10 && source.len(Split::Eval).unwrap() > 0);
        let files = (0..40).fold(InMemory::new(), |f, i| f.with(format!("d/{i}.txt"), format!("{i} {text}")));
        let source = open(&files, 0.0).unwrap();
        assert_eq!(source.len(Split::Train), Some(40));
        assert_eq!(source.describe(), "d: text (`text`), 40 rows in 40 files");
        assert_eq!(source.place(0, Split::Train), "d/0.txt:1");
        assert_eq!(source.texts().count(), 40);
    }
}
