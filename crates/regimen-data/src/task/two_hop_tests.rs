//! What holds of `two-hop`: it parts its items by the graph, so the tests over all tasks do not fit.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Parse;
use super::*;
use crate::Body;

fn task(graph: Graph) -> TwoHop {
    TwoHop::new(graph).expect("sound settings")
}

fn turns(example: &Example) -> (String, String) {
    let Body::Messages(messages) = &example.body else { panic!("a conversation") };
    (messages[0].content.clone(), messages[1].content.clone())
}

fn items(task: &TwoHop, split: Split, count: u64) -> Vec<Example> {
    (0..count).map(|n| task.example(split, Key::new(3).at(n))).collect()
}

/// The facts, as a model that knows them all would know them.
fn facts(task: &TwoHop) -> BTreeMap<(char, char), char> {
    let all = items(task, Split::Train, 200_000).into_iter();
    let atoms = all.filter(|e| e.difficulty == Some(1)).map(|e| {
        let (prompt, reply) = turns(&e);
        let letters: Vec<char> = prompt.chars().collect();
        ((letters[0], letters[1]), reply.chars().nth(1).expect("an entity"))
    });
    atoms.collect()
}

#[test]
fn the_sizes_are_those_of_the_settings() {
    let task = task(Graph::default());
    let ood = task.atoms.iter().filter(|a| a.ood).count();
    assert_eq!((task.atoms.len(), ood, task.trained.len()), (2000, 300, 12_240));
    assert!((1500..3000).contains(&task.held_out.len()), "{}", task.held_out.len());
    let ood = self::task(Graph { test: Test::Ood, ..Graph::default() });
    assert!((350..550).contains(&ood.held_out.len()), "{}", ood.held_out.len());
}

#[test]
fn gold_is_the_composition_of_facts_that_training_shows() {
    for test in [Test::Id, Test::Ood] {
        let task = task(Graph { bridge: true, test, ..Graph::default() });
        let facts = facts(&task);
        assert_eq!(facts.len(), 2000, "all atoms are trained");
        for example in items(&task, Split::Eval, 500) {
            let (prompt, reply) = turns(&example);
            let p: Vec<char> = prompt.chars().collect();
            let bridge = facts[&(p[0], p[1])];
            let answer = facts[&(bridge, p[2])];
            assert_eq!(
                (reply.as_str(), example.difficulty),
                (format!("{bridge}#{answer}").as_str(), Some(2))
            );
            let stray = prompt.chars().chain(reply.chars()).find(|c| !task.alphabet().contains(*c));
            assert_eq!(stray, None);
        }
    }
}

#[test]
fn splits_share_no_fact_and_ood_atoms_are_never_composed() {
    let (id, ood) = (task(Graph::default()), task(Graph { test: Test::Ood, ..Graph::default() }));
    let prompts = |task: &TwoHop, split| {
        items(task, split, 20_000).iter().map(|e| turns(e).0).collect::<BTreeSet<String>>()
    };
    let trained = prompts(&id, Split::Train);
    let (held_id, held_ood) = (prompts(&id, Split::Eval), prompts(&ood, Split::Eval));
    assert!(
        trained.is_disjoint(&held_id) && trained.is_disjoint(&held_ood) && held_id.is_disjoint(&held_ood)
    );
    assert_eq!(trained, prompts(&ood, Split::Train), "what is held out does not change what is trained");
    let firsts: BTreeSet<String> = held_ood.iter().map(|p| p.chars().take(2).collect()).collect();
    assert!(
        trained
            .iter()
            .all(|p| p.chars().count() == 2 || !firsts.contains(&p.chars().take(2).collect::<String>()))
    );
}

#[test]
fn noise_hits_its_share_of_bridges_and_no_answer() {
    let clean = task(Graph { bridge: true, ..Graph::default() });
    let noisy = task(Graph { bridge: true, noise: 0.4, ..Graph::default() });
    let pairs = clean.trained.iter().zip(&noisy.trained);
    let wrong = pairs.clone().filter(|(a, b)| a.written != b.written).count() as f64;
    assert!((wrong / clean.trained.len() as f64 - 0.4).abs() < 0.02, "{wrong}");
    assert!(pairs.clone().all(|(a, b)| (a.first.to, a.to) == (b.first.to, b.to)));
    for (a, b) in items(&clean, Split::Eval, 200).into_iter().zip(items(&noisy, Split::Eval, 200)) {
        assert_eq!(a, b, "held-out facts have no noise");
    }
}

#[test]
fn gold_scores_one_and_junk_nothing() {
    let task = task(Graph { bridge: true, ..Graph::default() });
    for example in items(&task, Split::Eval, 100) {
        let (prompt, reply) = turns(&example);
        let gold = task.judge(&example, &reply);
        assert_eq!((gold.score, gold.parse), (1.0, Parse::Answer));
        let answer = example.answer.clone().expect("an answer");
        let other = if answer == "Ā" { "Ă" } else { "Ā" };
        let junk = [
            String::new(),
            prompt,
            answer.clone(),
            format!("#{other}"),
            format!("#{answer}{answer}"),
            format!("#{other}#{answer}"),
            "#".to_owned(),
            format!("#{answer}a"),
            "#A".to_owned(),
            "no idea".to_owned(),
        ];
        for reply in junk {
            assert_eq!(task.judge(&example, &reply).score, 0.0, "{reply}");
        }
    }
}

#[test]
fn an_item_is_a_pure_function_and_no_answer_is_common() {
    let (one, two) = (task(Graph::default()), task(Graph::default()));
    assert_eq!(items(&one, Split::Train, 100), items(&two, Split::Train, 100));
    let other = task(Graph { number: 1, ..Graph::default() });
    assert_ne!(items(&one, Split::Train, 100), items(&other, Split::Train, 100));
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for example in items(&one, Split::Eval, 5000) {
        *counts.entry(example.answer.expect("an answer")).or_default() += 1;
    }
    assert!(counts.values().all(|&n| n < 150), "no answer is right in 3 % of all items");
}

#[test]
fn bad_settings_are_refused() {
    for graph in [
        Graph { out: 21, ..Graph::default() },
        Graph { noise: 1.5, ..Graph::default() },
        Graph { lambda: f64::NAN, ..Graph::default() },
        Graph { lambda: 9.0, ..Graph::default() },
        Graph { ood: 0.0, test: Test::Ood, ..Graph::default() },
    ] {
        assert!(TwoHop::new(graph.clone()).is_err(), "{graph:?}");
    }
}
