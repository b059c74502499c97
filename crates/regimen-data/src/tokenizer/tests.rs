use serde_json::json;

use super::*;

/// Found by fuzzing: a merge of tokens that are shorter than the prefix of words' later parts.
#[test]
fn a_merge_shorter_than_its_prefix_is_an_error() {
    let json = br#"{"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null,"model":{"type":"BPE","continuing_subword_prefix":"@@@@","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}"#;
    assert!(Tokenizer::from_json(json, None).is_err());
}

const CHARS: &str =
    "0123456789+-*/=()<>.,:;?!'\"[] \n_#%|abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn corpus() -> Vec<String> {
    (0..200)
        .map(|i| format!("the {} quick foxes jump over {} lazy dogs, and the end is near\n", i, i * i))
        .collect()
}

fn ours() -> Vec<Tokenizer> {
    vec![
        Tokenizer::char(CHARS, Unknown::Refuse).unwrap(),
        Tokenizer::byte().unwrap(),
        Tokenizer::train_bpe(corpus(), 400).unwrap(),
    ]
}

#[test]
fn text_comes_back_and_its_bytes_are_counted() {
    for t in ours() {
        for text in ["", "12+7=19 the quick fox\n\n  end", "a", "  "] {
            let ids = t.encode_text(text).unwrap();
            assert_eq!(t.decode(&ids, true), text, "{t:?}");
            assert_eq!(t.bytes(&ids), text.len() as u64);
        }
    }
    for t in &ours()[1..] {
        let text = "naïve 日本語 🦀 \u{0} \u{fffd}";
        let ids = t.encode_text(text).unwrap();
        assert_eq!((t.decode(&ids, true), t.bytes(&ids)), (text.to_owned(), text.len() as u64));
    }
}

#[test]
fn a_character_is_a_token_and_a_byte_is_a_token() {
    let [char, byte, bpe] = &ours()[..] else { unreachable!() };
    assert_eq!(char.encode_text("ab").unwrap().len(), 2);
    assert_eq!((byte.encode_text("ä the").unwrap().len(), byte.vocab_size()), (6, 263));
    let the = bpe.encode_text(" the").unwrap();
    assert!(
        the.len() == 1 && bpe.vocab_size() <= 400 && bpe.vocab_size() > 300,
        "{} {the:?}",
        bpe.vocab_size()
    );
    assert_eq!(bpe.encode_text("1234").unwrap().len(), 4, "digits stand alone");
}

#[test]
fn text_never_gives_a_special_token() {
    for t in ours() {
        assert_eq!((t.pad(), t.bos(), t.eos()), (Some(0), Some(1), Some(2)));
        for text in ["<eos>", "a<|user|>b", "<<eos>eos>", "<bos><pad>"] {
            let ids = t.encode_text(text).unwrap();
            assert!(ids.iter().all(|id| !t.is_special(*id)), "{t:?} {text}");
            assert_eq!(t.decode(&ids, true), text);
        }
        let ids = t.encode_template("<bos>a<|user|>").unwrap();
        assert_eq!((ids[0], *ids.last().unwrap(), ids.len()), (1, 4, 3));
        assert_eq!(
            (t.decode(&ids, true), t.decode(&ids, false)),
            ("a".to_owned(), "<bos>a<|user|>".to_owned())
        );
        assert_eq!((t.byte_len(1), t.bytes(&ids)), (0, 1));
    }
}

/// A Unigram holds its special tokens in the model, where it finds them in any text.
#[test]
fn not_even_a_model_that_knows_them_gives_a_special_token() {
    let pieces = json!([
        ["<unk>", 0.0],
        ["<s>", 0.0],
        ["</s>", 0.0],
        ["<", -3.0],
        ["s", -3.0],
        [">", -3.0],
        ["\u{2581}", -3.0],
        ["/", -3.0],
        ["a", -3.0]
    ]);
    let added = |id: u32, content: &str| json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false});
    let root = json!({"version": "1.0", "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": false}});
    let t = Tokenizer::from_json(root.to_string().as_bytes(), Some(br#"{"eos_token": {"content": "</s>"}}"#))
        .unwrap();
    assert_eq!(t.eos(), Some(2));
    assert_eq!(t.encode_text("a<s>").unwrap(), [8, 3, 4, 5]);
    assert_eq!(t.encode_template("a<s>").unwrap(), [8, 1]);
}

#[test]
fn an_unknown_character_is_named_or_is_unk_by_option() {
    let t = Tokenizer::char("ab", Unknown::Refuse).unwrap();
    let e = t.encode_text("abc").unwrap_err().to_string();
    assert!(e.starts_with("the character 'c' (U+0063, at byte 2 of the text) is not in the alphabet"), "{e}");
    assert!(t.encode_template("<bos>ab<|user|>").is_ok());
    assert!(t.encode_template("<bos>x").is_err());
    let t = Tokenizer::char("ab", Unknown::Unk).unwrap();
    assert_eq!(t.encode_text("abc").unwrap(), [8, 9, 7]);
    assert!(Tokenizer::char("", Unknown::Refuse).is_err());
}

#[test]
fn saved_files_load_again_as_the_same() {
    for t in ours() {
        let files = t.files();
        assert_eq!(
            files.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(),
            ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
        );
        let back = Tokenizer::from_json(&files[0].1, Some(&files[1].1)).unwrap();
        assert_eq!(back.files(), files);
        let text = "the 12 quick foxes";
        assert_eq!(back.encode_text(text).unwrap(), t.encode_text(text).unwrap());
        assert_eq!((back.bos(), back.eos(), back.pad(), back.adds_bos()), (t.bos(), t.eos(), t.pad(), true));
        assert_eq!(back.chat_template(), t.chat_template());
        assert_eq!(back.encode_text("ü").is_err(), t.encode_text("ü").is_err());
    }
    let changed = ours()[0].with_chat_template("x");
    assert_eq!(changed.chat_template(), Some("x"));
    assert!(String::from_utf8(changed.files()[1].1.clone()).unwrap().contains("\"chat_template\": \"x\""));
}

#[test]
fn training_does_not_depend_on_the_order_of_the_texts() {
    let a = Tokenizer::train_bpe(corpus(), 400).unwrap();
    let b = Tokenizer::train_bpe(corpus().into_iter().rev(), 400).unwrap();
    assert!(a.files() == b.files());
    assert!(Tokenizer::train_bpe(corpus(), 200).unwrap_err().to_string().contains("at least 263"));
}

#[test]
fn streams_give_whole_characters_only() {
    for t in ours() {
        let text = if t.vocab_size() < 263 {
            "the quick fox, 12!".to_owned()
        } else {
            "the 🦀 naïve 日本\u{fffd}語 end 🦀".to_owned()
        };
        let ids = t.encode_text(&text).unwrap();
        let mut stream = t.stream(true);
        let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id)).collect();
        pieces.push(stream.finish());
        assert_eq!(pieces.concat(), text);
        assert!(pieces.iter().filter(|p| !p.is_empty()).count() > 5, "nothing streamed: {pieces:?}");
    }
    let byte = Tokenizer::byte().unwrap();
    let mut crab = byte.encode_text("a🦀").unwrap();
    crab.pop();
    let mut stream = byte.stream(true);
    let given: String = crab.iter().map(|id| stream.push(*id)).collect();
    assert_eq!((given.as_str(), stream.finish().chars().next()), ("a", Some('\u{fffd}')));
    // bytes that never become a character do not stop the stream
    let bad = byte.id("\u{ff}").unwrap();
    let mut stream = byte.stream(true);
    let long: String = std::iter::repeat_n(bad, 40).map(|id| stream.push(id)).collect();
    assert!(long.len() > 60);
}

/// SentencePiece's way: bytes as tokens, which its decoder puts together only in whole runs.
#[test]
fn streams_of_fallback_bytes_give_whole_characters_too() {
    let mut vocab: Map<String, Value> = (0..256).map(|b| (format!("<0x{b:02X}>"), json!(b))).collect();
    vocab.extend(
        [("<unk>", 256), ("a", 257), ("\u{2581}", 258)].map(|(name, id)| (name.to_owned(), json!(id))),
    );
    let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
    let back = json!({"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "});
    let first = json!({"type": "Prepend", "prepend": "\u{2581}"});
    let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
    let root = json!({"version": "1.0", "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [first, space]}, "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": []}});
    let t = Tokenizer::from_json(root.to_string().as_bytes(), None).unwrap();
    let text = "a a 日本語 🦀🦀a";
    let ids = t.encode_text(text).unwrap();
    assert_eq!(t.bytes(&ids), text.len() as u64 + 1, "the space put before counts as one");
    let mut stream = t.stream(true);
    let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id)).collect();
    pieces.push(stream.finish());
    assert_eq!(pieces.concat(), text);
    assert!(pieces.iter().any(|p| p == "日") && pieces.iter().any(|p| p == "本"), "{pieces:?}");
}

#[test]
fn damaged_files_are_errors() {
    let good = Tokenizer::byte().unwrap().files();
    for bad in
        [&b"{"[..], b"[]", b"{}", br#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}"#]
    {
        let e = Tokenizer::from_json(bad, None).unwrap_err().to_string();
        assert!(e.starts_with("the tokenizer cannot be read"), "{e}");
    }
    assert!(Tokenizer::from_json(&good[0].1, Some(b"[1]")).is_err());
    let absurd =
        String::from_utf8(good[0].1.clone()).unwrap().replace("\"<pad>\": 0", "\"<pad>\": 4000000000");
    assert!(Tokenizer::from_json(absurd.as_bytes(), None).is_err());
}

#[test]
fn a_megabyte_is_encoded_in_no_time() {
    for t in ours() {
        let text = corpus().concat().repeat(75);
        assert_eq!(t.bytes(&t.encode_text(&text).unwrap()), text.len() as u64);
    }
}
