//! `file`: rows of JSONL, JSON, CSV or Parquet; `text`: plain text. A folder stands for all data files in it.

use std::path::PathBuf;

use regimen_base::Result;
use regimen_core::registry::{Dataset, Piece};
use regimen_data::{Columns, FileSource, Files, ReadOptions, Schema, TextSplit};
use regimen_recipe::{Field, KindSpec, Node, Room, Ty};

struct Rows {
    path: PathBuf,
    options: ReadOptions,
}

impl Dataset for Rows {
    fn open(&self, source: u32, files: &dyn Files) -> Result<FileSource> {
        FileSource::open(source, &self.path, files, &self.options)
    }
}

const PATH: Field = Field::new("path", Ty::Path, "a file, or a folder of data files").required();
const EVAL: Field =
    Field::new("eval", Ty::Float, "share of the rows held out for evaluation, chosen by their content")
        .or("0.05")
        .min(0.0)
        .max(1.0);
const MAX_LINE: Field =
    Field::new("max-line-bytes", Ty::Count, "a longer line of JSONL is refused").or("67108864").min(1.0);

const SCHEMAS: &[&str] = &[
    "text",
    "messages",
    "conversations",
    "prompt-completion",
    "instruction",
    "question-answer",
    "prompt",
    "preference",
    "unpaired-preference",
    "stepwise",
    "tokens",
];

const PARTS: &[&str] = &["train", "test", "validation", "valid", "val", "eval", "dev", "unsupervised"];
const PART: Field = Field::new(
    "part",
    Ty::Choice(PARTS),
    "which part of a data set's folder (files or folders named so); train when there are parts",
);

pub(super) const FILE: Piece<dyn Dataset> = Piece {
    spec: KindSpec::new(
        Room::Data,
        "file",
        "rows of JSONL, JSON, CSV or Parquet; the columns say what they are (text, messages, prompt and completion, …)",
        &[
            PATH,
            EVAL,
            PART,
            MAX_LINE,
            Field::new("schema", Ty::Choice(SCHEMAS), "what the rows are; detected from the columns when absent"),
            Field::new("text", Ty::Str, "column of the text").aliases(&["text-column"]),
            Field::new("messages", Ty::Str, "column of the messages").aliases(&["field-messages"]),
            Field::new("prompt", Ty::Str, "column of the prompt"),
            Field::new("completion", Ty::Str, "column of the completion"),
            Field::new("question", Ty::Str, "column of the question"),
            Field::new("answer", Ty::Str, "column of the answer that a verifier compares with; may be that of the completion"),
            Field::new("chosen", Ty::Str, "column of the preferred reply"),
            Field::new("rejected", Ty::Str, "column of the other reply"),
            Field::new("label", Ty::Str, "column that says whether a completion is a good one"),
            Field::new("role", Ty::Str, "field of a message that says who speaks").aliases(&["role-tag"]),
            Field::new("content", Ty::Str, "field of a message that says what is said").aliases(&["content-tag"]),
        ],
    )
    .example(r#"{ kind = "file", path = "train.jsonl" }"#),
    build: |node, _| {
        let column = |name: &str| node.opt_str(name).map(str::to_owned);
        let columns = Columns {
            text: column("text"),
            messages: column("messages"),
            prompt: column("prompt"),
            completion: column("completion"),
            question: column("question"),
            answer: column("answer"),
            chosen: column("chosen"),
            rejected: column("rejected"),
            label: column("label"),
            role: column("role"),
            content: column("content"),
        };
        let schema = node.opt_str("schema").map(str::parse::<Schema>).transpose();
        let schema = schema.map_err(|e| node.error(e.to_string()))?;
        let options = ReadOptions { schema, columns, ..read_options(node) };
        Ok(Box::new(Rows { path: node.str("path").into(), options }))
    },
};

pub(super) const TEXT: Piece<dyn Dataset> = Piece {
    spec: KindSpec::new(
        Room::Data,
        "text",
        "text to continue: plain text files, or the text column of JSONL and Parquet",
        &[
            PATH,
            EVAL,
            PART,
            MAX_LINE,
            Field::new(
                "split",
                Ty::Choice(&["bytes", "blank-lines", "files"]),
                "what one document of a text file is",
            )
            .or("bytes"),
            Field::new("bytes", Ty::Count, "longest document when split by bytes, cut at line ends")
                .or("4096")
                .min(64.0),
            Field::new("column", Ty::Str, "column of the text in JSONL and Parquet")
                .aliases(&["text-column"]),
        ],
    )
    .example(r#"{ kind = "text", path = "books/" }"#),
    build: |node, _| {
        let bytes = node.usize("bytes");
        let text = match node.str("split") {
            "files" => TextSplit::Files,
            "blank-lines" => TextSplit::BlankLines,
            _ => TextSplit::Bytes(bytes),
        };
        let columns = Columns { text: node.opt_str("column").map(str::to_owned), ..Columns::default() };
        let options = ReadOptions { text, schema: Some(Schema::Text), columns, ..read_options(node) };
        Ok(Box::new(Rows { path: node.str("path").into(), options }))
    },
};

fn read_options(node: &Node) -> ReadOptions {
    ReadOptions {
        eval: node.f64("eval"),
        part: node.opt_str("part").map(str::to_owned),
        max_line_bytes: node.usize("max-line-bytes"),
        ..ReadOptions::default()
    }
}
