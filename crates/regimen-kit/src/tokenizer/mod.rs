//! Tokenizers: how recipes name those of `regimen-data`.

use std::path::PathBuf;

use regimen_base::{Error, Result};
use regimen_core::registry::{MakeTokenizer, Material, Piece, Table};
use regimen_data::{Files, Tokenizer, Unknown};
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// The room's table.
pub static TABLE: Table<dyn MakeTokenizer> = &[BPE, BYTE, CHAR, FILE];

struct Char {
    extra: String,
    unknown: bool,
    template: Option<String>,
}

impl MakeTokenizer for Char {
    fn make(&self, material: &Material, _: &dyn Files) -> Result<Tokenizer> {
        let mut alphabet = format!("{}{}", material.alphabet, self.extra);
        for text in &material.texts {
            alphabet.push_str(text);
        }
        let made = Tokenizer::char(&alphabet, if self.unknown { Unknown::Unk } else { Unknown::Refuse })?;
        Ok(match &self.template {
            Some(template) => made.with_chat_template(template),
            None => made,
        })
    }
}

struct Byte;

impl MakeTokenizer for Byte {
    fn reads_texts(&self) -> bool {
        false
    }

    fn make(&self, _: &Material, _: &dyn Files) -> Result<Tokenizer> {
        Tokenizer::byte()
    }
}

struct Bpe(usize);

impl MakeTokenizer for Bpe {
    fn make(&self, material: &Material, _: &dyn Files) -> Result<Tokenizer> {
        if material.texts.is_empty() {
            return Err(Error::usage("the `bpe` tokenizer has no text to learn from")
                .remedy("give the recipe a data set in files, or take the `char` tokenizer for tasks"));
        }
        Tokenizer::train_bpe(&material.texts, self.0)
    }
}

struct File(PathBuf);

impl MakeTokenizer for File {
    fn reads_texts(&self) -> bool {
        false
    }

    fn make(&self, _: &Material, files: &dyn Files) -> Result<Tokenizer> {
        let json = files.read(&self.0)?;
        let config = files.read(&self.0.with_file_name("tokenizer_config.json")).ok();
        Tokenizer::from_json(&json, config.as_deref()).map_err(|e| e.within(self.0.display().to_string()))
    }
}

const CHAR: Piece<dyn MakeTokenizer> = Piece {
    spec: KindSpec::new(
        Room::Tokenizer,
        "char",
        "one token a character; the alphabet is what the recipe's tasks and files use",
        &[
            Field::new("extra", Ty::Str, "further characters of the alphabet").or("\"\""),
            Field::new("unknown", Ty::Bool, "map other characters to <unk> instead of refusing them")
                .or("false"),
            Field::new(
                "chat-template",
                Ty::Str,
                "a Jinja template in place of our own, which marks every turn",
            ),
        ],
    )
    .standard(),
    build: |node, _| {
        Ok(Box::new(Char {
            extra: node.str("extra").to_owned(),
            unknown: node.bool("unknown"),
            template: node.opt_str("chat-template").map(str::to_owned),
        }))
    },
};

const BYTE: Piece<dyn MakeTokenizer> = Piece {
    spec: KindSpec::new(Room::Tokenizer, "byte", "one token a byte of UTF-8", &[]),
    build: |_, _| Ok(Box::new(Byte)),
};

const BPE: Piece<dyn MakeTokenizer> = Piece {
    spec: KindSpec::new(
        Room::Tokenizer,
        "bpe",
        "byte-level byte-pair encoding, trained on the recipe's files",
        &[Field::new("vocab-size", Ty::Count, "tokens in the vocabulary").or("4096").min(270.0)],
    )
    .source("Sennrich et al. 2016 (arXiv:1508.07909)"),
    build: |node, _| Ok(Box::new(Bpe(node.usize("vocab-size")))),
};

const FILE: Piece<dyn MakeTokenizer> = Piece {
    spec: KindSpec::new(
        Room::Tokenizer,
        "file",
        "a tokenizer.json, with the tokenizer_config.json beside it",
        &[Field::new("path", Ty::Path, "the tokenizer.json").required()],
    ),
    build: |node, _| Ok(Box::new(File(node.str("path").into()))),
};
