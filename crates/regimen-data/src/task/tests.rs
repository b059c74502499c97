//! What holds for every task, checked over all of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use regimen_base::{Key, Split};

use super::*;
use crate::{Body, Role};

fn turns(example: &Example) -> (&str, &str) {
    let Body::Messages(messages) = &example.body else { panic!("not a conversation") };
    assert_eq!((messages[0].role, messages[1].role, messages.len()), (Role::User, Role::Assistant, 2));
    (&messages[0].content, &messages[1].content)
}

fn items(task: &dyn Task, split: Split, count: u64) -> impl Iterator<Item = Example> {
    (0..count).map(move |n| task.example(split, Key::new(11).at(n)))
}

fn judged(task: &dyn Task, example: &Example, reply: &str) -> (f64, Parse) {
    let judgement = task.judge(example, reply);
    (judgement.score, judgement.parse)
}

#[test]
fn every_configuration_passes_its_check() {
    for task in all() {
        assert_eq!(task.check(), Ok(()), "{}", task.name());
    }
}

#[test]
fn gold_scores_one_and_is_well_formed() {
    for task in all() {
        let alphabet = task.alphabet();
        for example in items(&*task, Split::Train, 2_000) {
            let (prompt, reply) = turns(&example);
            assert_eq!(judged(&*task, &example, reply), (1.0, Parse::Answer), "{prompt} {reply}");
            let stray = prompt.chars().chain(reply.chars()).find(|&c| !alphabet.contains(c));
            assert_eq!(stray, None, "{prompt} {reply}");
            assert!(
                task.levels().contains(&example.difficulty.unwrap()),
                "{prompt}: {:?}",
                example.difficulty
            );
            assert_eq!(example.columns["task"], task.name());
            assert!(reply.contains(example.answer.as_deref().unwrap()), "{prompt} {reply}");
        }
    }
}

/// Replies that no verifier may take, by what is wrong with them.
fn junk(example: &Example, other: Option<&Example>) -> Vec<(&'static str, String)> {
    let (prompt, reply) = turns(example);
    let answer = example.answer.as_deref().unwrap();
    let (head, tail) = reply.rsplit_once(answer).unwrap();
    let all_but_last: String = reply.chars().take(reply.chars().count() - 1).collect();
    let mut junk = vec![
        ("empty", String::new()),
        ("white space", " \n\t ".to_owned()),
        ("prompt echo", prompt.to_owned()),
        ("mark alone", "#".to_owned()),
        ("truncated by one", all_but_last),
        ("truncated before the answer", head.to_owned()),
        ("answer without a mark", answer.to_owned()),
        ("digits behind", format!("{head}{answer}77{tail}")),
        ("digits in front", format!("{head}77{answer}{tail}")),
        ("sign in front", format!("{head}+{answer}{tail}")),
        ("zero in front", format!("{head}0{answer}{tail}")),
        ("text behind", format!("{head}{answer}{tail} is it")),
        ("answer twice", format!("{head}{answer}{tail}{head}{answer}{tail}")),
        ("wrong, then right", format!("#99999{head}{answer}{tail}")),
        ("right, then wrong", format!("{head}{answer}{tail}#99999")),
        ("several answers in one", format!("{head}{answer},{answer},1{tail}")),
        ("question for an answer", format!("{head}{prompt}{tail}")),
        ("huge number", format!("#{}", "9".repeat(100_000))),
        ("huge nesting", format!("#{}1{}", "(".repeat(50_000), ")".repeat(50_000))),
        ("huge row of marks", "#".repeat(100_000)),
        ("huge text", format!("{}{answer}", "3+4=7;".repeat(20_000))),
        ("full-width digits", "#１３２ー７".to_owned()),
        ("other scripts", "ответ: ٤٢ 答案是 🦀#🦀".to_owned()),
        ("combining marks", format!("{head}{answer}\u{301}{tail}")),
        ("control characters", format!("{head}\0{answer}{tail}")),
        ("words", "I do not know the answer, sorry".to_owned()),
    ];
    junk.extend(other.map(|other| ("another item's reply", turns(other).1.to_owned())));
    junk
}

#[test]
fn junk_scores_zero() {
    for task in all() {
        let examples: Vec<Example> = items(&*task, Split::Eval, 60).collect();
        for (n, example) in examples.iter().enumerate() {
            // one expression may be right for two items of `countdown`, but not for two targets
            let differs = |o: &&Example| match example.columns.get("target") {
                Some(target) => o.columns.get("target") != Some(target),
                None => o.answer != example.answer,
            };
            let other = examples[n + 1..].iter().chain(&examples[..n]).find(differs);
            for (what, reply) in junk(example, other) {
                let shown: String = reply.chars().take(80).collect();
                assert_eq!(task.judge(example, &reply).score, 0.0, "{what}: {} {shown}", turns(example).0);
            }
            for reply in ["", "I do not know", turns(example).0] {
                assert_ne!(judged(&*task, example, reply).1, Parse::Answer, "{reply}");
            }
        }
    }
}

/// Random text over the task's own alphabet: marks may occur, but hardly with the answer behind them.
#[test]
fn random_text_scores_zero() {
    for task in all() {
        let letters: Vec<char> = task.alphabet().chars().filter(char::is_ascii_graphic).collect();
        let example = task.example(Split::Train, Key::new(3));
        let reply = turns(&example).1;
        for n in 0..500 {
            let mut rng = Key::new(5).at(n).rng();
            let noise: String = (0..rng.index(60)).filter_map(|_| rng.pick(&letters)).collect();
            let lucky =
                noise.ends_with(&reply[reply.rfind(example.answer.as_deref().unwrap()).unwrap() - 1..]);
            assert!(lucky || task.judge(&example, &noise).score == 0.0, "{noise}");
        }
    }
}

#[test]
fn an_item_is_a_pure_function_of_split_and_key() {
    for (one, two) in all().into_iter().zip(all()) {
        let first: Vec<Example> = items(&*one, Split::Train, 50).collect();
        let again: Vec<Example> =
            (0..50).rev().map(|n| two.example(Split::Train, Key::new(11).at(n))).collect();
        assert!(first.iter().eq(again.iter().rev()), "{}", one.name());
        let distinct: BTreeSet<&str> = first.iter().map(|e| turns(e).0).collect();
        assert!(distinct.len() > 25, "{} repeats itself", one.name());
    }
}

#[test]
fn splits_share_no_problem() {
    for task in
        all().into_iter().filter(|task| task.example(Split::Train, Key::new(0)).columns["solution"] == "none")
    {
        let contents = |split| {
            let seen = items(&*task, split, 10_000);
            seen.map(|e| (e.columns["content"].to_string(), turns(&e).0.to_owned())).unzip()
        };
        let (train, train_prompts): (BTreeSet<String>, BTreeSet<String>) = contents(Split::Train);
        let (eval, eval_prompts): (BTreeSet<String>, BTreeSet<String>) = contents(Split::Eval);
        assert!(train.is_disjoint(&eval), "{}", task.name());
        assert!(train_prompts.is_disjoint(&eval_prompts), "{}", task.name());
    }
}

#[test]
fn the_content_decides_the_split() {
    for task in all() {
        for split in [Split::Train, Split::Eval] {
            for example in items(&*task, split, 100) {
                let content = example.columns["content"].as_str().unwrap();
                assert_eq!(Split::of(u64::from_str_radix(content, 16).unwrap()), split);
            }
        }
    }
}

/// The working changes nothing about the problem.
#[test]
fn styles_share_their_problems() {
    let mut prompts: BTreeMap<&str, BTreeSet<Vec<String>>> = BTreeMap::new();
    for task in all().iter().take(12) {
        let some = items(&**task, Split::Eval, 50).map(|e| turns(&e).0.to_owned()).collect();
        prompts.entry(task.name()).or_default().insert(some);
    }
    assert!(prompts.len() == 4 && prompts.values().all(|styles| styles.len() == 1));
}

#[test]
fn a_share_of_the_items_is_worked() {
    for task in all().iter().skip(12).take(5) {
        let worked = items(&**task, Split::Train, 1_000).filter(|e| e.columns["solution"] == "full").count();
        assert!((430..570).contains(&worked), "{}: {worked} of 1000", task.name());
    }
}

#[test]
fn prompts_tell_the_tasks_apart() {
    for task in all() {
        for example in items(&*task, Split::Train, 200) {
            let prompt = turns(&example).0;
            let marks = [
                ("arith", prompt.ends_with('=')),
                ("chain-arith", prompt.ends_with('?')),
                ("countdown", prompt.contains("->")),
                ("knights-knaves", prompt.starts_with("A:")),
                ("maze", !prompt.is_ascii()),
            ];
            let named: Vec<&str> = marks.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
            assert_eq!(named, [task.name()], "{prompt}");
        }
    }
}

#[test]
fn default_texts_are_short() {
    for task in all().iter().take(12) {
        for example in items(&**task, Split::Train, 2_000) {
            let (prompt, reply) = turns(&example);
            assert!(prompt.len() <= 60 && reply.len() <= 125, "{} {prompt} {reply}", reply.len());
        }
    }
}

/// The best constant answer of a default configuration.
#[test]
fn guessing_does_not_pay() {
    let bounds = [("arith", 0.04), ("chain-arith", 0.12), ("countdown", 0.01), ("knights-knaves", 0.15)];
    for (task, (name, bound)) in all().iter().zip(bounds) {
        assert_eq!(task.name(), name);
        for split in [Split::Train, Split::Eval] {
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            for example in items(&**task, split, 5_000) {
                *counts.entry(example.answer.unwrap()).or_default() += 1;
            }
            let (answer, &most) = counts.iter().max_by_key(|(_, count)| **count).unwrap();
            let rate = f64::from(most) / 5_000.0;
            assert!(rate <= bound, "{name}: `{answer}` is right in {rate} of {split:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_reply_makes_a_verifier_panic(reply in any::<String>(), near in "[#0-9+*/()=A-Ckn;, -]{0,80}", n in 0u64..50) {
        for task in all() {
            let example = task.example(Split::Train, Key::new(n));
            for text in [&reply, &near, &format!("#{reply}")] {
                task.judge(&example, text);
            }
        }
    }
}
