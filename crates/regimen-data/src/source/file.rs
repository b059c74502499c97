//! Files as a source. What is kept of a row is where it lies; it is read when it is wanted, so files may be larger
//! than memory, and any row is as near as any other: going on with a run skips nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use regimen_base::{Error, Result, ResultExt, Split};

use super::choose::choose;
use super::{Source, holdout};
use crate::read::{ReadOptions, Row, Rows, TextSplit, cut, is_plain_text};
use crate::{Body, Detected, Example, ExampleId, Files};

/// From so many plain-text files on, each of them is a document of its own.
const MANY_FILES: usize = 32;
/// A longer text of one row becomes several documents, cut where a paragraph, a line or a word ends. It bounds what one
/// draw costs.
const LONGEST_TEXT: usize = 1 << 20;

/// The rows of a file, or of the data files of a folder. Cheap to clone.
#[derive(Clone)]
pub struct FileSource {
    number: u32,
    opened: Arc<Opened>,
}

struct Opened {
    name: String,
    files: Vec<Rows>,
    /// What the rows of each file were taken for.
    schemas: Vec<Detected>,
    train: Vec<(At, u64)>,
    eval: Vec<(At, u64)>,
    /// Files of the folder that belong to another part of the data set, or hold no rows.
    left_out: usize,
    /// Documents that were cut from rows with very long texts.
    cut: usize,
    /// The very long text that was read last.
    last: Mutex<Option<Long>>,
}

/// A very long text with the borders of its parts.
struct Long {
    row: At,
    example: Example,
    cuts: Vec<Range<usize>>,
}

/// Which row an example is: its file, its place in it, and which part of a very long text, counted from 1; 0 is all.
#[derive(Clone, Copy, PartialEq, Debug)]
struct At {
    file: u32,
    row: u32,
    part: u32,
}

impl FileSource {
    /// Looks at everything at `path`, as source `number` of a catalogue: every row once, so that what is wrong with any
    /// of them is said now.
    ///
    /// # Errors
    /// Nothing there, nothing in it, a file or a row that cannot be read (with file and line), no schema that fits.
    pub fn open(number: u32, path: &Path, files: &dyn Files, options: &ReadOptions) -> Result<Self> {
        if !(0.0..=1.0).contains(&options.eval) {
            return Err(Error::usage(format!("{} of the rows cannot be held out", options.eval))
                .remedy("`eval` is a fraction, from 0 to below 1; 0.05 is usual"));
        }
        let name = path.display().to_string();
        let all = files.list(path)?;
        let paths = choose(path, &all, options.part.as_deref())?;
        let mut scan = Scan { options, files: Vec::new(), schemas: Vec::new(), rows: Vec::new(), cut: 0 };
        scan.all(&paths, files)?;
        if scan.rows.is_empty() {
            return Err(
                Error::data(format!("{name}: there are no rows")).remedy("check the path and the files")
            );
        }
        let sides = holdout::sides(scan.rows.iter().map(|(_, hash)| *hash), options.eval);
        let side = |wanted| {
            let rows = scan.rows.iter().zip(&sides).filter(move |(_, side)| **side == wanted);
            rows.map(|(row, _)| *row).collect::<Vec<(At, u64)>>()
        };
        let (train, eval) = (side(Split::Train), side(Split::Eval));
        if train.is_empty() && options.eval < 1.0 {
            return Err(Error::data(format!("{name}: all rows are held out for evaluation"))
                .remedy("lower `eval`, or give more rows"));
        }
        let left_out = all.len() - paths.len();
        let (files, schemas, cut) = (scan.files, scan.schemas, scan.cut);
        Ok(Self {
            number,
            opened: Arc::new(Opened {
                name,
                files,
                schemas,
                train,
                eval,
                left_out,
                cut,
                last: Mutex::default(),
            }),
        })
    }

    /// The same rows as another source of a catalogue.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        Self { number, ..self.clone() }
    }

    /// What the rows of each file were taken for, file by file.
    pub fn schemas(&self) -> impl Iterator<Item = (&str, &Detected)> {
        self.opened.files.iter().map(Rows::file).zip(&self.opened.schemas)
    }

    /// What the training rows say, for training a tokenizer: all of it up to `most` bytes, otherwise rows spread evenly
    /// over the files.
    ///
    /// # Errors
    /// The files are not what they were.
    pub fn texts(&self, most: usize) -> Result<Vec<String>> {
        let rows = self.opened.train.len();
        let every = |step: usize, most: usize| -> Result<(Vec<String>, bool)> {
            let (mut texts, mut bytes) = (Vec::new(), 0);
            for index in (0..rows).step_by(step) {
                let found = said(self.get(index as u64, Split::Train)?.body);
                bytes += found.iter().map(String::len).sum::<usize>();
                texts.extend(found);
                if bytes > most {
                    return Ok((texts, false));
                }
            }
            Ok((texts, true))
        };
        let (texts, complete) = every(1, most)?;
        if complete {
            return Ok(texts);
        }
        // as many rows as fitted, but from everywhere
        let fitted = texts.len().max(1);
        drop(texts);
        Ok(every(rows.div_ceil(fitted), most)?.0)
    }

    /// Each row of a side, with the hash of what it says.
    fn side(&self, split: Split) -> &[(At, u64)] {
        match split {
            Split::Train => &self.opened.train,
            Split::Eval => &self.opened.eval,
        }
    }

    fn read(&self, at: At, id: ExampleId) -> Result<Example> {
        if at.part > 0 {
            return self.part(at, id);
        }
        let (file, row) = (at.file as usize, at.row as usize);
        self.opened.schemas[file].example(self.opened.files[file].get(row)?, id)
    }

    /// A part of a very long text. The text that was read last is kept: its parts are often wanted together.
    fn part(&self, at: At, id: ExampleId) -> Result<Example> {
        let mut last = self.opened.last.lock().unwrap_or_else(PoisonError::into_inner);
        let row = At { part: 0, ..at };
        if last.as_ref().is_none_or(|long| long.row != row) {
            let example = self.read(row, id)?;
            let cuts = match &example.body {
                Body::Text(text) => {
                    cut(text, LONGEST_TEXT).iter().map(|(at, part)| *at..at + part.len()).collect()
                }
                _ => Vec::new(),
            };
            *last = Some(Long { row, example, cuts });
        }
        let part = last.as_ref().and_then(|long| {
            let Body::Text(text) = &long.example.body else { return None };
            let part = text.get(long.cuts.get(at.part as usize - 1)?.clone())?.to_owned();
            let columns = long.example.columns.clone();
            Some(Example { columns, ..Example::new(id, Body::Text(part)) })
        });
        part.ok_or_else(|| Error::failed(format!("{}: a row is shorter than it was", self.name())))
    }
}

/// All that an example says.
fn said(body: Body) -> Vec<String> {
    match body {
        Body::Text(text) => vec![text],
        Body::Messages(said) => said.into_iter().map(|m| m.content).collect(),
        Body::Preference { prompt, chosen, rejected } => {
            [prompt, chosen, rejected].into_iter().flatten().map(|m| m.content).collect()
        }
        Body::Tokens(_) | Body::Pair { .. } | Body::Features(_) => Vec::new(),
    }
}

/// Everything that is learnt when the files are looked at.
struct Scan<'a> {
    options: &'a ReadOptions,
    files: Vec<Rows>,
    schemas: Vec<Detected>,
    /// Each row with the hash of what it says.
    rows: Vec<(At, u64)>,
    cut: usize,
}

impl Scan<'_> {
    fn all(&mut self, paths: &[PathBuf], files: &dyn Files) -> Result<()> {
        let many = paths.iter().filter(|p| is_plain_text(p)).count() >= MANY_FILES;
        let auto = self.options.text == TextSplit::Auto;
        let split = if many && auto { TextSplit::Files } else { self.options.text };
        for path in paths {
            let (mut schema, mut number) = (None, 0);
            let file = self.files.len() as u32;
            let options = self.options;
            let rows = Rows::open(path, files, options, split, &mut |row| {
                let at = At { file, row: number, part: 0 };
                number += 1;
                self.row(&mut schema, at, row)
            })?;
            // a file without rows says nothing of what rows mean
            if let Some(schema) = schema {
                self.files.push(rows);
                self.schemas.push(schema);
            }
        }
        Ok(())
    }

    fn row(&mut self, schema: &mut Option<Detected>, at: At, row: Row) -> Result<()> {
        let detected = match schema {
            Some(detected) => detected,
            None => schema.insert(Detected::from_row(&row, self.options.schema, &self.options.columns)?),
        };
        let mut example = detected.example(row, ExampleId { source: 0, index: 0 })?;
        if let Body::Text(text) = &example.body
            && text.len() > LONGEST_TEXT
        {
            let text = text.clone();
            for (part, (_, piece)) in cut(&text, LONGEST_TEXT).into_iter().enumerate() {
                example.body = Body::Text(piece.to_owned());
                self.rows.push((At { part: part as u32 + 1, ..at }, holdout::hash(&example)));
                self.cut += 1;
            }
        } else {
            self.rows.push((at, holdout::hash(&example)));
        }
        Ok(())
    }
}

impl Source for FileSource {
    fn number(&self) -> u32 {
        self.number
    }

    fn name(&self) -> &str {
        &self.opened.name
    }

    fn len(&self, split: Split) -> Option<u64> {
        Some(self.side(split).len() as u64)
    }

    fn get(&self, index: u64, split: Split) -> Result<Example> {
        let side = self.side(split);
        let at = usize::try_from(index).ok().and_then(|i| side.get(i)).ok_or_else(|| {
            Error::failed(format!("there is no row {index} among {} of {}", side.len(), split.name()))
        });
        self.read(at.within(|| self.name().to_owned())?.0, ExampleId { source: self.number, index })
    }

    fn place(&self, index: u64, split: Split) -> String {
        let found = usize::try_from(index).ok().and_then(|i| self.side(split).get(i));
        found.map_or_else(
            || format!("{}, no row {index}", self.name()),
            |(at, _)| self.opened.files[at.file as usize].place(at.row as usize).to_string(),
        )
    }

    fn is_in_files(&self) -> bool {
        true
    }

    fn fingerprint(&self, index: u64, split: Split) -> Option<u64> {
        self.side(split).get(usize::try_from(index).ok()?).map(|(_, hash)| *hash)
    }

    fn describe(&self) -> String {
        let opened = &self.opened;
        let mut kinds: BTreeMap<String, (usize, &str)> = BTreeMap::new();
        for (file, schema) in self.schemas() {
            kinds.entry(schema.to_string()).or_insert((0, file)).0 += 1;
        }
        let one = kinds.len() == 1;
        let kinds: Vec<String> = kinds
            .into_iter()
            .map(|(kind, (n, file))| match n {
                _ if one => kind,
                1 => format!("{kind} in {file}"),
                n => format!("{kind} in {n} files ({file} …)"),
            })
            .collect();
        let rows = opened.train.len() + opened.eval.len();
        let mut line = format!("{}: {}, {rows} rows", opened.name, kinds.join("; "));
        let mut note = |shown: bool, text: String| line.push_str(if shown { &text } else { "" });
        note(opened.files.len() > 1, format!(" in {} files", opened.files.len()));
        note(!opened.eval.is_empty(), format!(", {} held out", opened.eval.len()));
        note(opened.cut > 0, format!(", {} of them cut from rows of more than 1 MiB", opened.cut));
        note(opened.left_out > 0, format!(", {} other files left out", opened.left_out));
        line
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
    fn a_text_of_many_megabytes_is_many_documents() {
        let text = "many words on a line, and then a break\\n".repeat(100_000);
        let source =
            open(&InMemory::new().with("d/a.jsonl", format!("{{\"text\":\"{text}\"}}\n")), 0.0).unwrap();
        assert_eq!(source.len(Split::Train), Some(4));
        let parts: Vec<String> =
            (0..4).flat_map(|i| said(source.get(i, Split::Train).unwrap().body)).collect();
        assert!(parts.iter().all(|p| p.len() <= LONGEST_TEXT && p.ends_with('\n')));
        assert_eq!(parts.concat().len(), 39 * 100_000);
        assert!(
            source.describe().ends_with("4 of them cut from rows of more than 1 MiB"),
            "{}",
            source.describe()
        );
    }

    #[test]
    fn each_file_has_its_own_meaning() {
        let files = InMemory::new()
            .with("d/a.jsonl", "{\"prompt\":\"q\",\"completion\":\"a\"}\n")
            .with("d/b.csv", "question,answer\nq,a\n");
        let source = open(&files, 0.0).unwrap();
        assert_eq!(
            source.describe(),
            "d: prompt-completion (`prompt`, `completion`) in d/a.jsonl; question-answer (`question`, `answer`) in d/b.csv, 2 rows in 2 files"
        );
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
        assert_eq!(source.texts(usize::MAX).unwrap().len(), 40);
        let some = source.texts(10 * text.len()).unwrap();
        assert!(some.len() == 10 && some[9].starts_with("6 line"), "{}", some.len());
    }
}
