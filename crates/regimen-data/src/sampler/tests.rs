use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::{Body, Example, Source};

/// A source of so many rows, or without end.
struct Counted(u32, Option<u64>);

impl Source for Counted {
    fn number(&self) -> u32 {
        self.0
    }
    fn name(&self) -> &'static str {
        "counted"
    }
    fn len(&self, _: Split) -> Option<u64> {
        self.1
    }
    fn get(&self, index: u64, _: Split) -> Result<Example> {
        Ok(Example::new(ExampleId { source: self.0, index }, Body::Text(index.to_string())))
    }
    fn place(&self, index: u64, _: Split) -> String {
        index.to_string()
    }
    fn describe(&self) -> String {
        String::new()
    }
}

fn catalogue(lens: &[Option<u64>]) -> Catalogue {
    let sources =
        lens.iter().enumerate().map(|(i, len)| Arc::new(Counted(i as u32, *len)) as Arc<dyn Source>);
    Catalogue::new(sources.collect()).unwrap()
}

fn draw(sampler: &mut dyn Sampler, n: usize, c: &Catalogue) -> Vec<Draw> {
    sampler.draw(n, c, &Ledger::new(c), Key::new(5)).unwrap()
}

type Make = fn() -> Box<dyn Sampler>;

/// Every sampler with a catalogue that suits it.
fn all() -> Vec<(Make, Catalogue)> {
    let (files, tasks) = (vec![Some(7), Some(70), Some(3)], vec![Some(5), None]);
    vec![
        (|| Box::new(Shuffle::default()), catalogue(&files)),
        (|| Box::new(Sequence::default()), catalogue(&files)),
        (|| Box::new(Sequence::default()), catalogue(&tasks)),
        (|| Box::new(Mix::new(vec![])), catalogue(&files)),
        (|| Box::new(Mix::new(vec![1.0, 3.0])), catalogue(&tasks)),
    ]
}

#[test]
fn seeking_is_the_same_as_having_drawn() {
    for (make, c) in all() {
        let through = draw(&mut *make(), 400, &c);
        for position in [0, 1, 79, 80, 81, 250] {
            let mut sampler = make();
            sampler.seek(position, &c, Key::new(5)).unwrap();
            assert_eq!(sampler.position(), position);
            assert_eq!(draw(&mut *sampler, 100, &c), through[position as usize..position as usize + 100]);
        }
    }
}

#[test]
fn saving_and_the_size_of_a_call_change_nothing() {
    for (make, c) in all() {
        let through = draw(&mut *make(), 300, &c);
        let mut sampler = make();
        let mut pieces = Vec::new();
        for n in [1, 0, 2, 77, 20, 100, 100] {
            pieces.extend(draw(&mut *sampler, n, &c));
            let mut next = make();
            next.load(sampler.save()).unwrap();
            sampler = next;
        }
        assert_eq!(pieces, through);
    }
}

#[test]
fn shuffle_has_everything_once_an_epoch_in_another_order() {
    let c = catalogue(&[Some(30), Some(70)]);
    let draws = draw(&mut Shuffle::default(), 300, &c);
    let epochs: Vec<_> = draws.chunks(100).collect();
    for (i, epoch) in epochs.iter().enumerate() {
        assert_eq!(epoch.iter().map(|d| d.id).collect::<BTreeSet<_>>().len(), 100);
        assert!(epoch.iter().all(|d| d.view == i as u64));
    }
    assert_ne!(
        epochs[0].iter().map(|d| d.id).collect::<Vec<_>>(),
        epochs[1].iter().map(|d| d.id).collect::<Vec<_>>()
    );
}

#[test]
fn mix_keeps_its_proportions_and_each_source_its_order() {
    let c = catalogue(&[Some(50), None]);
    let draws = draw(&mut Mix::new(vec![1.0, 3.0]), 8000, &c);
    let of = |s: u32| draws.iter().filter(move |d| d.id.source == s);
    let share = of(0).count() as f64 / 8000.0;
    assert!((share - 0.25).abs() < 0.02, "{share}");
    assert!(of(1).map(|d| d.id.index).eq(0..of(1).count() as u64), "an endless source is read on and on");
    let first: BTreeSet<u64> = of(0).take(50).map(|d| d.id.index).collect();
    assert_eq!(first.len(), 50, "no row twice before all were seen");
    assert_eq!(of(0).nth(50).unwrap().view, 1);
    assert!(draw(&mut Mix::new(vec![0.0, 1.0]), 100, &c).iter().all(|d| d.id.source == 1));
}

#[test]
fn what_does_not_suit_is_refused() {
    let error = |sampler: &mut dyn Sampler, lens: &[Option<u64>]| {
        let c = catalogue(lens);
        sampler.draw(1, &c, &Ledger::new(&c), Key::new(1)).unwrap_err().to_string()
    };
    assert!(error(&mut Shuffle::default(), &[None]).contains("use the sampler `mix`"));
    assert!(error(&mut Shuffle::default(), &[Some(0)]).contains("nothing to train on"));
    assert!(error(&mut Sequence::default(), &[Some(0)]).contains("nothing to train on"));
    assert!(error(&mut Mix::new(vec![1.0]), &[Some(1), None]).contains("1 weights for 2 sources"));
    assert!(error(&mut Mix::new(vec![1.0, f64::NAN]), &[Some(1), None]).contains("is no weight"));
    assert!(error(&mut Mix::new(vec![0.0, 0.0]), &[Some(1), None]).contains("all weights are 0"));
    assert!(error(&mut Mix::new(vec![1.0, 1.0]), &[Some(0), None]).contains("no rows"));
}
