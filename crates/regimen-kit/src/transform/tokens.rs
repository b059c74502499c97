//! From messages or text to weighted tokens.

use regimen_core::registry::Piece;
use regimen_data::transform::{Chat, Chunk, MaxLength, Over, Text, TrainOnReply, Turns};
use regimen_data::{ChatTemplate, Transform};
use regimen_recipe::{Field, KindSpec, Room, Ty};

pub(super) const CHAT: Piece<dyn Transform> = Piece {
    spec: KindSpec::new(
        Room::Transform,
        "chat",
        "conversations to tokens, by the tokenizer's chat template; every token carries loss",
        &[
            Field::new("template", Ty::Str, "a Jinja template in place of the tokenizer's own")
                .aliases(&["chat-template"]),
            Field::new(
                "variables",
                Ty::Any,
                "a table of what the template reads, such as { enable_thinking = false }",
            ),
            Field::new(
                "turns",
                Ty::Choice(&["all", "last"]),
                "which replies are told apart; `last` for templates that change earlier ones",
            )
            .or("all"),
            Field::new(
                "loss",
                Ty::Choice(&["given", "everything"]),
                "`everything` tells the preflight that the user's words are meant to be trained on",
            )
            .or("given"),
        ],
    )
    .example(r#"{ kind = "chat" }"#),
    build: |node, cx| {
        let tokenizer = cx.tokenizer(node)?;
        let template = match node.opt_str("template") {
            Some(source) => ChatTemplate::new(source, tokenizer),
            None => ChatTemplate::of(tokenizer),
        };
        let mut template = template.map_err(|e| e.within(node.origin()))?;
        let variables = node.json("variables");
        match variables.as_object() {
            None if !variables.is_null() => return Err(node.error("`variables` is not a table")),
            all => {
                for (name, value) in all.into_iter().flatten() {
                    template = template.with(name, value.clone());
                }
            }
        }
        let chat = Chat::new(template);
        let _ = node.str("loss");
        Ok(Box::new(if node.str("turns") == "last" { chat.last_only() } else { chat }))
    },
};

pub(super) const TEXT: Piece<dyn Transform> = Piece {
    spec: KindSpec::new(
        Room::Transform,
        "text",
        "plain text to tokens, with the end-of-text token behind it",
        &[],
    )
    .example(r#"{ kind = "text" }"#),
    build: |node, cx| Ok(Box::new(Text::new(cx.tokenizer(node)?.clone()))),
};

pub(super) const TRAIN_ON_REPLY: Piece<dyn Transform> = Piece {
    spec: KindSpec::new(
        Room::Transform,
        "train-on-reply",
        "takes the loss off everything but what the assistant says, its turn-ending token included",
        &[Field::new("turns", Ty::Choice(&["all", "last", "completion"]), "which replies keep their loss")
            .or("all")],
    )
    .example(r#"{ kind = "train-on-reply", turns = "last" }"#),
    build: |node, _| {
        let turns = match node.str("turns") {
            "last" => Turns::Last,
            "completion" => Turns::Completion,
            _ => Turns::All,
        };
        Ok(Box::new(TrainOnReply { turns }))
    },
};

pub(super) const MAX_LENGTH: Piece<dyn Transform> = Piece {
    spec: KindSpec::new(
        Room::Transform,
        "max-length",
        "what happens to examples longer than so many tokens; they are counted either way",
        &[
            Field::new("tokens", Ty::Count, "longest example; the stage's context when absent").min(2.0),
            Field::new("over", Ty::Choice(&["error", "drop", "truncate"]), "what happens to longer ones")
                .or("drop"),
        ],
    )
    .example(r#"{ kind = "max-length", over = "drop" }"#),
    build: |node, cx| {
        let over = match node.str("over") {
            "error" => Over::Error,
            "truncate" => Over::Truncate,
            _ => Over::Drop,
        };
        Ok(Box::new(MaxLength { tokens: node.opt_usize("tokens").unwrap_or(cx.context), over }))
    },
};

pub(super) const CHUNK: Piece<dyn Transform> = Piece {
    spec: KindSpec::new(
        Room::Transform,
        "chunk",
        "cuts long documents into pieces that fit the context",
        &[Field::new("tokens", Ty::Count, "longest piece; the stage's context when absent").min(2.0)],
    )
    .example(r#"{ kind = "chunk" }"#),
    build: |node, cx| Ok(Box::new(Chunk { tokens: node.opt_usize("tokens").unwrap_or(cx.context) })),
};
