use serde_json::json;

use super::*;

fn row(values: Value) -> Row {
    let Value::Object(values) = values else { panic!("rows are objects") };
    Row { place: Place { file: "a.jsonl".into(), number: 12, lines: true }, values }
}

fn read_with(values: Value, schema: Option<Schema>, columns: Columns) -> Result<(Detected, Example)> {
    let row = row(values);
    let detected = Detected::from_row(&row, schema, &columns)?;
    let example = detected.example(row, ExampleId { source: 0, index: 0 })?;
    Ok((detected, example))
}

fn read(values: Value) -> (Schema, Example) {
    let (d, e) = read_with(values, None, Columns::default()).unwrap();
    (d.schema, e)
}

fn said(example: &Example) -> Vec<(Role, &str)> {
    let Body::Messages(messages) = &example.body else { panic!("no messages: {:?}", example.body) };
    messages.iter().map(|m| (m.role, m.content.as_str())).collect()
}

#[test]
fn every_schema_is_recognised() {
    let (u, a) = ((Role::User, "q"), (Role::Assistant, "a"));
    let (schema, e) = read(json!({"text": "t", "id": 3}));
    assert_eq!((schema, &e.body, &e.columns["id"]), (Schema::Text, &Body::Text("t".into()), &json!(3)));

    let (schema, e) = read(
        json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "prompt": "q"}),
    );
    assert_eq!((schema, said(&e)), (Schema::Messages, vec![u, a]));

    let (schema, e) = read(
        json!({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "s"}),
    );
    assert_eq!((schema, said(&e)), (Schema::Conversations, vec![(Role::System, "s"), u, a]));

    let (schema, e) = read(json!({"prompt": "q", "completion": "a"}));
    assert_eq!((schema, said(&e)), (Schema::PromptCompletion, vec![u, a]));
    let Body::Messages(m) = &e.body else { unreachable!() };
    assert_eq!((m[0].extra.get("train"), m[1].extra.get("train")), (Some(&json!(false)), None));
    assert_eq!(read(json!({"prompt": "q", "response": "a"})).0, Schema::PromptCompletion);

    let (schema, e) = read(
        json!({"instruction": "q", "input": "x", "output": "a", "text": "all of it", "history": [["q", "a"]]}),
    );
    assert_eq!((schema, said(&e)), (Schema::Instruction, vec![u, a, (Role::User, "q\n\nx"), a]));

    let (schema, e) = read(json!({"question": "q", "answer": 7}));
    assert_eq!(
        (schema, said(&e)[1], e.answer.as_deref()),
        (Schema::QuestionAnswer, (Role::Assistant, "7"), Some("7"))
    );

    let (schema, e) = read(json!({"prompt": "q", "solution": "7", "difficulty": 2}));
    assert_eq!(
        (schema, said(&e), e.answer.as_deref(), e.difficulty),
        (Schema::Prompt, vec![u], Some("7"), Some(2))
    );
    assert_eq!(e.columns["solution"], "7");
    let (_, e) =
        read(json!({"prompt": [{"role": "user", "content": "q"}], "reward_model": {"ground_truth": "9"}}));
    assert_eq!((said(&e), e.answer.as_deref()), (vec![u], Some("9")));
}

#[test]
fn rarer_schemas_are_recognised_too() {
    let (schema, e) = read(json!({"prompt": "q", "completion": "a", "label": false}));
    assert_eq!(
        (schema, said(&e)[1].1, &e.columns["label"]),
        (Schema::UnpairedPreference, "a", &json!(false))
    );
    let (schema, e) = read(json!({"prompt": "q", "completions": ["a", "b"], "labels": [true, false]}));
    assert_eq!((schema, said(&e)[1].1, e.columns.len()), (Schema::Stepwise, "a\nb", 2));
    let (schema, e) =
        read(json!({"input_ids": [5, 6, 7], "labels": [-100, 6, 7], "attention_mask": [1, 1, 1]}));
    let Body::Tokens(tokens) = &e.body else { unreachable!() };
    let tokens: Vec<_> = tokens.iter().map(|t| (t.id, t.weight)).collect();
    assert_eq!((schema, tokens), (Schema::Tokens, vec![(5, 0.0), (6, 1.0), (7, 1.0)]));
    let (schema, e) = read(json!({"messages": "[{\"role\": \"user\", \"content\": \"q\"}]"}));
    assert_eq!((schema, said(&e)), (Schema::Messages, vec![(Role::User, "q")]));
    let columns = Columns { role: Some("who".into()), content: Some("says".into()), ..Columns::default() };
    let (_, e) = read_with(json!({"messages": [{"who": "human", "says": "q"}]}), None, columns).unwrap();
    assert_eq!(said(&e), [(Role::User, "q")]);
}

#[test]
fn shifted_labels_and_odd_labels_are_refused() {
    let error = |values| read_with(values, None, Columns::default()).unwrap_err().to_string();
    assert!(error(json!({"input_ids": [5, 6, 7], "labels": [6, 7, -100]})).contains("do not shift them"));
    assert!(error(json!({"input_ids": [5, 6], "labels": [5]})).contains("2 ids, but 1 labels"));
    let e = error(json!({"prompt": "q", "completions": ["a"], "labels": [true, false]}));
    assert!(e.contains("not lists of one length"), "{e}");
    let row = json!({"prompt": "q", "completion": "a", "label": "yes"});
    let e = read_with(row, Some(Schema::UnpairedPreference), Columns::default()).unwrap_err().to_string();
    assert!(e.contains("column `label` is a text, not true or false"), "{e}");
}

#[test]
fn preferences_in_all_their_forms() {
    let want = Body::Preference {
        prompt: vec![Message::new(Role::User, "q")],
        chosen: vec![Message::new(Role::Assistant, "a")],
        rejected: vec![Message::new(Role::Assistant, "b")],
    };
    let turn =
        |reply: &str| json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": reply}]);
    assert_eq!(read(json!({"prompt": "q", "chosen": "a", "rejected": "b"})).1.body, want);
    assert_eq!(read(json!({"chosen": turn("a"), "rejected": turn("b")})).1.body, want);
    assert_eq!(
        read(json!({"prompt": "q", "chosen": turn("a"), "rejected": turn("b"), "messages": turn("a")}))
            .1
            .body,
        want
    );
    let Body::Preference { prompt, chosen, rejected } =
        read(json!({"chosen": "The sky is blue.", "rejected": "The sky is green."})).1.body
    else {
        unreachable!()
    };
    assert_eq!(
        [&prompt[0].content, &chosen[0].content, &rejected[0].content],
        ["The sky is ", "blue.", "green."]
    );
    let same = read_with(json!({"prompt": "q", "chosen": "a", "rejected": "a"}), None, Columns::default());
    assert!(same.unwrap_err().to_string().contains("the same"));
}

#[test]
fn extras_of_messages_are_kept_and_nulls_are_not() {
    let call = json!([{"name": "f"}]);
    let (_, e) = read(json!({"messages": [
        {"role": "user", "content": "q", "tool_calls": null},
        {"role": "assistant", "content": null, "tool_calls": call},
        {"role": "tool", "content": [{"type": "text", "text": "7"}], "name": "f"}]}));
    let Body::Messages(m) = &e.body else { unreachable!() };
    assert!(m[0].extra.is_empty());
    assert_eq!((&m[1].extra["tool_calls"], m[1].content.as_str()), (&call, ""));
    assert_eq!((m[2].role, m[2].content.as_str(), &m[2].extra["name"]), (Role::Tool, "7", &json!("f")));
}

#[test]
fn a_missing_column_is_told_with_a_remedy() {
    let error = |values: Value, schema, columns| read_with(values, schema, columns).unwrap_err().to_string();
    let e = error(json!({"txt": "a", "id": 1}), Some(Schema::Text), Columns::default());
    assert!(e.starts_with("a.jsonl:12: the row has no column `text` (its columns are `txt`, `id`)"), "{e}");
    assert!(e.contains("did you mean `txt`?"), "{e}");
    let e = error(json!({"txt": "a", "id": 1}), None, Columns::default());
    assert!(
        e.contains("cannot tell what the rows mean") && e.contains("did you mean `text` by `txt`?"),
        "{e}"
    );
    let e = error(json!({"messages": [{"role": "alien", "content": "x"}]}), None, Columns::default());
    assert!(e.starts_with("a.jsonl:12: message 1 of `messages` has the unknown role `alien`"), "{e}");
    let e = error(json!({"text": ["a"]}), Some(Schema::Text), Columns::default());
    assert!(e.contains("column `text` is a list, not a text"), "{e}");
}

#[test]
fn names_can_be_overridden() {
    let columns = Columns { text: Some("body".into()), ..Columns::default() };
    let (d, e) = read_with(json!({"body": "b", "txt": "x"}), None, columns).unwrap();
    assert_eq!((d.to_string(), e.body), ("text (`body`)".into(), Body::Text("b".into())));
    assert_eq!("question-answer".parse::<Schema>().unwrap(), Schema::QuestionAnswer);
    assert!("qa".parse::<Schema>().unwrap_err().to_string().contains("one of: text, messages"));
}
