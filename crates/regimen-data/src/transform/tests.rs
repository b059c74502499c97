use serde_json::json;

use super::*;
use crate::{Body, ChatTemplate, ExampleId, Message, Role, Token, Tokenizer, Unknown};

fn tokenizer() -> Tokenizer {
    Tokenizer::char("abcdefghijklmnopqrstuvwxyz 0123456789", Unknown::Refuse).unwrap()
}

fn chat() -> Chat {
    Chat::new(ChatTemplate::of(&tokenizer()).unwrap())
}

fn example(body: Body) -> Example {
    Example::new(ExampleId { source: 0, index: 3 }, body)
}

fn talk() -> Example {
    let turn = |role, text: &str| Message::new(role, text);
    let (u, a) = (Role::User, Role::Assistant);
    example(Body::Messages(vec![turn(u, "q1"), turn(a, "r1"), turn(u, "q2"), turn(a, "r2")]))
}

fn apply(transforms: Vec<Box<dyn Transform>>, example: Example) -> (Vec<Vec<Token>>, Notes) {
    let mut notes = Notes::new();
    let made = apply_all(&transforms, example, Key::new(1), &mut notes).unwrap();
    (made.iter().flat_map(|e| e.body.sequences()).map(<[Token]>::to_vec).collect(), notes)
}

/// The text that is trained on, with special tokens.
fn trained(tokens: &[Token]) -> String {
    let ids: Vec<u32> = tokens.iter().filter(|t| t.weight > 0.0).map(|t| t.id).collect();
    tokenizer().decode(&ids, false)
}

fn decoded(tokens: &[Token]) -> String {
    tokenizer().decode(&tokens.iter().map(|t| t.id).collect::<Vec<_>>(), false)
}

fn on_reply(example: Example, turns: Turns) -> String {
    trained(&apply(vec![Box::new(chat()), Box::new(TrainOnReply { turns })], example).0[0])
}

#[test]
fn text_begins_and_ends() {
    let (made, _) = apply(vec![Box::new(Text::new(tokenizer()))], example(Body::Text("a b".into())));
    assert_eq!(decoded(&made[0]), "<bos>a b<eos>");
    assert!(made[0].iter().all(|t| t.weight == 1.0));
    let (made, _) = apply(vec![Box::new(Text::new(tokenizer())), Box::new(TrainOnReply::default())], talk());
    assert_eq!((decoded(&made[0]), trained(&made[0])), ("<bos>q1r1q2r2<eos>".into(), "r1r2<eos>".into()));
}

#[test]
fn the_loss_falls_on_the_chosen_turns() {
    assert_eq!(
        trained(&apply(vec![Box::new(chat())], talk()).0[0]),
        "<bos><|user|>q1<|assistant|>r1<eos><|user|>q2<|assistant|>r2<eos>"
    );
    assert_eq!(on_reply(talk(), Turns::All), "r1<eos>r2<eos>");
    assert_eq!(on_reply(talk(), Turns::Last), "r2<eos>");
    assert_eq!(on_reply(talk(), Turns::Completion), "r2<eos>");
    let mut prompt = talk();
    let Body::Messages(said) = &mut prompt.body else { unreachable!() };
    said.push(Message::new(Role::Assistant, "r3"));
    said[..3].iter_mut().for_each(|m| {
        m.extra.insert("train".into(), json!(false));
    });
    assert_eq!(on_reply(prompt.clone(), Turns::Completion), "r2<eos>r3<eos>");
    assert_eq!(on_reply(prompt, Turns::Last), "r3<eos>");
}

#[test]
fn a_prompt_has_nothing_to_train_on_and_that_is_noted() {
    let prompt = example(Body::Messages(vec![Message::new(Role::User, "q")]));
    let (made, notes) = apply(vec![Box::new(chat()), Box::new(TrainOnReply::default())], prompt);
    assert_eq!((decoded(&made[0]), trained(&made[0])), ("<bos><|user|>q<|assistant|>".into(), String::new()));
    assert_eq!(notes.to_string(), "1 examples have no reply to train on");
}

#[test]
fn a_preference_is_a_pair_trained_on_its_replies() {
    let turn = |text: &str| vec![Message::new(Role::Assistant, text)];
    let pair = Body::Preference {
        prompt: vec![Message::new(Role::User, "q")],
        chosen: turn("a"),
        rejected: turn("b"),
    };
    for first in [Box::new(chat()) as Box<dyn Transform>, Box::new(Text::new(tokenizer()))] {
        let (made, _) = apply(vec![first], example(pair.clone()));
        assert_eq!([trained(&made[0]), trained(&made[1])], ["a<eos>", "b<eos>"]);
        assert_eq!(made[0][..made[0].len() - 2], made[1][..made[1].len() - 2], "the prompt is shared");
    }
    let limit = |tokens, over| Box::new(MaxLength { tokens, over });
    let (made, notes) = apply(vec![Box::new(chat()), limit(4, Over::Drop)], example(pair.clone()));
    assert!(made.is_empty() && notes.counts()["dropped: too long"] == 1);
    let e = apply_all(
        &[Box::new(chat()), Box::new(Chunk { tokens: 4 })],
        example(pair),
        Key::new(1),
        &mut Notes::new(),
    );
    assert!(e.unwrap_err().to_string().contains("cut a preference pair"));
}

#[test]
fn what_is_too_long_is_refused_dropped_or_cut_but_never_silently() {
    let run = |over| {
        let steps: Vec<Box<dyn Transform>> = vec![
            Box::new(chat()),
            Box::new(TrainOnReply::default()),
            Box::new(MaxLength { tokens: 8, over }),
        ];
        let mut notes = Notes::new();
        apply_all(&steps, talk(), Key::new(1), &mut notes).map(|made| (made, notes))
    };
    let e = run(Over::Error).unwrap_err().to_string();
    assert!(e.starts_with("the example has 15 tokens, the limit is 8"), "{e}");
    let (made, notes) = run(Over::Drop).unwrap();
    assert!(made.is_empty() && notes.counts()["dropped: too long"] == 1);
    let (made, notes) = run(Over::Truncate).unwrap();
    assert_eq!((made.len(), notes.first("truncated")), (1, &[ExampleId { source: 0, index: 3 }][..]));
    let short = MaxLength { tokens: 3, over: Over::Truncate };
    let steps: Vec<Box<dyn Transform>> =
        vec![Box::new(chat()), Box::new(TrainOnReply::default()), Box::new(short)];
    let (made, notes) = apply(steps, talk());
    assert!(made.is_empty() && notes.to_string().contains("nothing to train on"), "{notes}");
}

#[test]
fn a_conversation_longer_than_any_context_is_left_out_and_counted() {
    let mut long = talk();
    let Body::Messages(said) = &mut long.body else { unreachable!() };
    said[0].content = "q".repeat(5 << 20);
    let (made, notes) = apply(vec![Box::new(chat())], long);
    assert!(made.is_empty() && notes.to_string() == "1 examples dropped: more than 4 MiB of text", "{notes}");
}

#[test]
fn pieces_predict_every_token_once() {
    let text = "abcdefghijklmnopqrstuvwxyz";
    for n in [2, 3, 7, 27, 28, 29] {
        let (whole, _) = apply(vec![Box::new(Text::new(tokenizer()))], example(Body::Text(text.into())));
        let (made, _) = apply(
            vec![Box::new(Text::new(tokenizer())), Box::new(Chunk { tokens: n })],
            example(Body::Text(text.into())),
        );
        assert!(made.iter().all(|p| p.len() <= n && p.len() >= 2));
        let predicted: Vec<_> = made.iter().flat_map(|p| p[1..].iter().map(|t| t.id)).collect();
        assert_eq!(predicted, whole[0][1..].iter().map(|t| t.id).collect::<Vec<_>>());
        let (least, most) = (made.iter().map(Vec::len).min(), made.iter().map(Vec::len).max());
        assert!(most.unwrap() - least.unwrap() <= 1);
    }
}

#[test]
fn the_wrong_order_is_told() {
    let mut notes = Notes::new();
    let e = TrainOnReply::default().apply(talk(), Key::new(1), &mut notes).unwrap_err().to_string();
    assert!(e.contains("put the transform `chat` or `text` before it"), "{e}");
    assert!(chat().apply(example(Body::Text("a".into())), Key::new(1), &mut notes).is_err());
}

#[test]
fn notes_add_up() {
    let mut a = Notes::new();
    (0..5).for_each(|index| a.add("truncated", ExampleId { source: 0, index }));
    let mut b = Notes::new();
    b.add("truncated", ExampleId { source: 1, index: 0 });
    b.merge(a);
    assert_eq!(
        (b.counts()["truncated"], b.first("truncated").len(), b.to_string().as_str()),
        (6, 3, "6 examples truncated")
    );
}
