//! `sentences`: text of a small grammar, a set of sentences to be studied, and the same beside foils.
//!
//! *text* is endless. *study* is a list of `count` sentences, the same in both splits: what is studied is asked for. *pairs*
//! has a preference for each of them, over a foil of the same plan that nobody studies. The set is a function of its
//! settings alone, so that every seed of a run studies the same sentences.
//!
//! Every sentence is a reply to the one-character prompt `?`. What a verifier looks at is what follows the cue, the
//! sentence's first half.

use regimen_base::{Key, Result, Split};
use regimen_core::registry::Piece;
use regimen_data::task::{Judgement, Parse, Task};
use regimen_data::{Body, Example, ExampleId, Message, Role};
use regimen_recipe::{Field, KindSpec, Room, Ty};

use super::grammar::{LENGTH, Plan, salad, words};

/// Words of the cue.
pub const CUE: usize = LENGTH / 2;
const PROMPT: &str = "?";

/// Which sentences.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// As the grammar has them.
    Structured,
    /// Their words in random order.
    Salad,
}

/// The task.
struct Sentences {
    form: Form,
    /// What is listed; `None` for endless text.
    list: Option<Vec<Example>>,
    /// Whether each word in its place counts, or only all of them.
    overlap: bool,
}

fn write(form: Form, plan: Plan, key: Key) -> String {
    let sentence = plan.sentence(key.child("words"));
    if form == Form::Salad { salad(&sentence, key.child("salad")) } else { sentence }
}

fn said(sentence: &str) -> Vec<Message> {
    vec![Message::new(Role::Assistant, sentence)]
}

fn asked() -> Vec<Message> {
    vec![Message::new(Role::User, PROMPT)]
}

fn example(body: Body, sentence: &str) -> Example {
    let mut example = Example::new(ExampleId { source: 0, index: 0 }, body);
    example.answer = Some(sentence.chars().skip(CUE).collect());
    example.columns.insert("task".to_owned(), "sentences".into());
    example
}

fn conversation(sentence: &str) -> Example {
    example(Body::Messages([asked(), said(sentence)].concat()), sentence)
}

impl Sentences {
    fn study(form: Form, count: u64, set: u64, pairs: bool) -> Vec<Example> {
        let key = Key::new(set).child("study");
        let item = |i: u64| {
            let plan = Plan::draw(key.child("plan").at(i));
            let sentence = write(form, plan, key.child("sentence").at(i));
            if !pairs {
                return conversation(&sentence);
            }
            let foil = write(form, plan, key.child("foil").at(i));
            let body = Body::Preference { prompt: asked(), chosen: said(&sentence), rejected: said(&foil) };
            example(body, &sentence)
        };
        (0..count).map(item).collect()
    }
}

impl Task for Sentences {
    fn name(&self) -> &'static str {
        "sentences"
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let key = key.child(split.name());
        conversation(&write(self.form, Plan::draw(key.child("plan")), key))
    }

    fn list(&self, _: Split) -> Option<&[Example]> {
        self.list.as_deref()
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        let wanted: Vec<char> = example.answer.iter().flat_map(|answer| answer.chars()).collect();
        let mut given: Vec<char> = reply.trim().chars().collect();
        if given.is_empty() {
            return Judgement { score: 0.0, parse: Parse::Missing };
        }
        // the whole sentence is an answer as well
        if given.len() == LENGTH {
            given.drain(..CUE);
        }
        let right = wanted.iter().zip(&given).filter(|(a, b)| a == b).count();
        let exact = f64::from(u8::from(given == wanted));
        let score = if self.overlap { right as f64 / wanted.len().max(1) as f64 } else { exact };
        Judgement { score, parse: Parse::Answer }
    }

    fn alphabet(&self) -> String {
        format!("{PROMPT}{}", words())
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "sentences",
        "sentences of a grammar of 400 words: endless text, a set to be studied, or that set beside foils",
        &[
            Field::new(
                "what",
                Ty::Choice(&["text", "study", "pairs"]),
                "text, the studied set, or it beside foils",
            )
            .or("text"),
            Field::new(
                "form",
                Ty::Choice(&["structured", "salad"]),
                "as the grammar has them, or in random order",
            )
            .or("structured"),
            Field::new("count", Ty::Count, "sentences of the studied set").or("200").min(1.0),
            Field::new("set", Ty::Count, "which studied set; not the run's seed").or("0"),
            Field::new(
                "score",
                Ty::Choice(&["exact", "overlap"]),
                "what counts: the whole rest, or each word of it",
            )
            .or("exact"),
        ],
    )
    .example(r#"{ kind = "sentences", what = "study" }"#),
    build: |node, _| {
        let form = if node.str("form") == "salad" { Form::Salad } else { Form::Structured };
        let (count, set) = (node.u64("count"), node.u64("set"));
        let list = match node.str("what") {
            "text" => None,
            what => Some(Sentences::study(form, count, set, what == "pairs")),
        };
        Ok(Box::new(Sentences { form, list, overlap: node.str("score") == "overlap" }))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    fn task(form: Form, list: Option<Vec<Example>>, overlap: bool) -> Sentences {
        Sentences { form, list, overlap }
    }

    fn sentence(example: &Example) -> String {
        match &example.body {
            Body::Messages(messages) => messages[1].content.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_studied_is_one_list_and_its_pairs_begin_with_it() {
        for form in [Form::Structured, Form::Salad] {
            let (study, pairs) = (Sentences::study(form, 50, 3, false), Sentences::study(form, 50, 3, true));
            let mut all: Vec<String> = study.iter().map(sentence).collect();
            for (studied, pair) in study.iter().zip(&pairs) {
                let Body::Preference { chosen, rejected, .. } = &pair.body else { panic!("{pair:?}") };
                assert_eq!(chosen[0].content, sentence(studied));
                all.push(rejected[0].content.clone());
            }
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 100, "no sentence is there twice, and no foil is studied");
        }
    }

    #[test]
    fn the_rest_counts_and_so_does_the_whole() {
        let item = &Sentences::study(Form::Structured, 1, 0, false)[0];
        let whole = sentence(item);
        let rest: String = whole.chars().skip(CUE).collect();
        let wrong: String = rest.chars().take(CUE - 2).chain(['?', '?']).collect();
        let exact = task(Form::Structured, None, false);
        let overlap = task(Form::Structured, None, true);
        for (reply, scores) in [(&whole, [1.0, 1.0]), (&rest, [1.0, 1.0]), (&wrong, [0.0, 0.75])] {
            let given = [&exact, &overlap].map(|task| task.judge(item, reply).score);
            assert_eq!(given, scores, "{reply}");
        }
        assert_eq!(exact.judge(item, " ").parse, Parse::Missing);
    }

    #[test]
    fn text_is_a_function_of_its_key() {
        let text = task(Form::Structured, None, false);
        let of = |n| sentence(&text.example(Split::Train, Key::new(n)));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_ne!(of(1), sentence(&text.example(Split::Eval, Key::new(1))));
        assert!(of(1).chars().all(|word| text.alphabet().contains(word)));
    }
}
