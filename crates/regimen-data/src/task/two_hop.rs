//! `two-hop`: facts of a labelled graph, one by one and composed.
//!
//! ```text
//! Āa    #Č    an atomic fact: from Ā, relation `a` leads to Č
//! Āab   #Ę    composed: `a`, then `b`, lead to Ę
//! Āab   Č#Ę   the same with the bridge written out
//! ```
//! An entity is one letter from Latin Extended-A and -B (then from the CJK block), a relation one ASCII letter, so a
//! character tokenizer gives each a token of its own. The graph is a function of its settings alone: training and every
//! evaluation see the same facts, whatever the seed of the run.
//!
//! *Splits*. Atoms are sorted into in-distribution (ID) and out-of-distribution (OOD). Training has all atoms, and
//! `lambda` composed facts for each ID atom, made of two ID atoms. What is held out is, by `test`, the composed facts of
//! two ID atoms that training leaves out, or those of two OOD atoms. So the splits are disjoint by construction, and not,
//! as in the other tasks, by the hash of the content. Composed facts of one ID and one OOD atom are not used.
//!
//! *Noise*: a share of the trained composed facts has a wrong bridge, always the same one. Answers stay right.
//!
//! *Level*: the number of hops.
//!
//! *Guess rate*: 1 / entities.
//!
//! *Source*: the controlled data of "Unveiling the Mechanisms of Explicit CoT Training" (arXiv:2502.04667), after Wang et
//! al. 2024 (arXiv:2405.15071).

use std::ops::RangeInclusive;

use regimen_base::{Error, Key, Result, Split};

use super::answer::judge;
use super::problem::{Item, digest};
use super::{Format, Judgement, Solution, Task};
use crate::Example;

/// Letters of Latin Extended-A and -B.
const LATIN: u32 = 0x24f - 0xff;
const RELATIONS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// A held-out set smaller than this says little.
const FEWEST: usize = 20;

/// Which composed facts are held out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Test {
    /// Of two ID atoms.
    Id,
    /// Of two OOD atoms, which training shows only one by one.
    Ood,
}

/// The settings of `two-hop`.
#[derive(Clone, PartialEq, Debug)]
pub struct Graph {
    /// Entities, 10 to 5000.
    pub entities: u32,
    /// Relations, 2 to 52.
    pub relations: u32,
    /// Relations that each entity has, at most all.
    pub out: u32,
    /// The share of atoms that are OOD.
    pub ood: f64,
    /// Trained composed facts for each ID atom, at most.
    pub lambda: f64,
    /// Which of the graphs with these sizes.
    pub number: u64,
    /// Whether a composed fact's reply writes the bridge.
    pub bridge: bool,
    /// The share of trained composed facts whose bridge is wrong.
    pub noise: f64,
    /// What is held out.
    pub test: Test,
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            entities: 200,
            relations: 20,
            out: 10,
            ood: 0.15,
            lambda: 7.2,
            number: 0,
            bridge: false,
            noise: 0.0,
            test: Test::Id,
        }
    }
}

/// From an entity by a relation to an entity.
#[derive(Clone, Copy, Debug)]
struct Atom {
    from: u32,
    relation: u32,
    to: u32,
    ood: bool,
}

/// Two atoms, one after the other.
#[derive(Clone, Copy, Debug)]
struct Composed {
    first: Atom,
    relation: u32,
    to: u32,
    /// What the reply writes as the bridge.
    written: u32,
}

/// The task `two-hop`.
#[derive(Clone, Debug)]
pub struct TwoHop {
    graph: Graph,
    atoms: Vec<Atom>,
    trained: Vec<Composed>,
    held_out: Vec<Composed>,
}

impl TwoHop {
    /// Draws the graph.
    ///
    /// # Errors
    /// Settings out of range, or under which nothing is held out.
    pub fn new(graph: Graph) -> Result<Self> {
        graph.check()?;
        let key = Key::new(graph.number).child("two-hop");
        let atoms = graph.atoms(key);
        let both = |ood: bool| compose(&atoms, graph.entities, ood);
        let mut id = both(false);
        key.child("held-out").rng().shuffle(&mut id);
        let id_atoms = atoms.iter().filter(|atom| !atom.ood).count();
        let wanted = (graph.lambda * id_atoms as f64).round() as usize;
        let rest = id.split_off(wanted.min(id.len()));
        let trained = id.into_iter().enumerate().map(|(i, fact)| graph.noisy(fact, key, i)).collect();
        let held_out = if graph.test == Test::Id { rest } else { both(true) };
        if held_out.len() < FEWEST {
            let what = format!("task `two-hop` holds {} facts out", held_out.len());
            return Err(
                Error::usage(what).remedy("lower `lambda` for test = \"id\", raise `ood` for \"ood\"")
            );
        }
        Ok(Self { graph, atoms, trained, held_out })
    }

    fn atom(atom: Atom) -> Item {
        let prompt = format!("{}{}", entity(atom.from), relation(atom.relation));
        item(prompt, String::new(), atom.to, 1)
    }

    fn composed(&self, fact: &Composed) -> Item {
        let (first, second) = (relation(fact.first.relation), relation(fact.relation));
        let prompt = format!("{}{first}{second}", entity(fact.first.from));
        let working = if self.graph.bridge { entity(fact.written).to_string() } else { String::new() };
        item(prompt, working, fact.to, 2)
    }
}

impl Graph {
    fn check(&self) -> Result<()> {
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let sound = (10..=5000).contains(&self.entities)
            && (2..=RELATIONS.len() as u32).contains(&self.relations)
            && (1..=self.relations).contains(&self.out)
            && share(self.ood)
            && share(self.noise)
            && self.lambda > 0.0
            && self.lambda.is_finite();
        let what = "task `two-hop` has a setting out of its range";
        let ranges = "10 to 5000 entities, 2 to 52 relations, `out` from 1 to `relations`, `ood` and `noise` from 0 to 1, \
                      `lambda` above 0";
        if sound { Ok(()) } else { Err(Error::usage(what).remedy(ranges)) }
    }

    /// All atoms, those of one entity side by side.
    fn atoms(&self, key: Key) -> Vec<Atom> {
        let mut atoms = Vec::new();
        for from in 0..self.entities {
            let mut rng = key.child("entity").at(u64::from(from)).rng();
            let mut relations: Vec<u32> = (0..self.relations).collect();
            rng.shuffle(&mut relations);
            for &relation in &relations[..self.out as usize] {
                // anything but itself
                let step = 1 + rng.below(u64::from(self.entities) - 1) as u32;
                let to = (from + step) % self.entities;
                atoms.push(Atom { from, relation, to, ood: false });
            }
        }
        let mut order: Vec<usize> = (0..atoms.len()).collect();
        key.child("ood").rng().shuffle(&mut order);
        let count = (self.ood * atoms.len() as f64).round() as usize;
        for &at in &order[..count] {
            atoms[at].ood = true;
        }
        atoms
    }

    fn noisy(&self, fact: Composed, key: Key, index: usize) -> Composed {
        let mut rng = key.child("noise").at(index as u64).rng();
        if !rng.chance(self.noise) {
            return fact;
        }
        let step = 1 + rng.below(u64::from(self.entities) - 1) as u32;
        Composed { written: (fact.written + step) % self.entities, ..fact }
    }
}

/// All pairs of atoms in which the second begins where the first ends, both ID or both OOD.
fn compose(atoms: &[Atom], entities: u32, ood: bool) -> Vec<Composed> {
    let mut of: Vec<Vec<Atom>> = vec![Vec::new(); entities as usize];
    for atom in atoms.iter().filter(|atom| atom.ood == ood) {
        of[atom.from as usize].push(*atom);
    }
    let all = of.iter().flatten();
    let onward = |first: &Atom| {
        let first = *first;
        let join = move |second: &Atom| Composed {
            first,
            relation: second.relation,
            to: second.to,
            written: first.to,
        };
        of[first.to as usize].iter().map(join).collect::<Vec<_>>()
    };
    all.flat_map(onward).collect()
}

fn item(prompt: String, working: String, to: u32, level: u32) -> Item {
    Item {
        task: "two-hop",
        content: digest("two-hop", &prompt),
        solution: if working.is_empty() { Solution::None } else { Solution::Short },
        prompt,
        working,
        answer: entity(to).to_string(),
        format: Format::Hash,
        level,
        columns: Vec::new(),
    }
}

/// The letter of an entity.
fn entity(number: u32) -> char {
    let code = if number < LATIN { 0x100 + number } else { 0x4e00 + number - LATIN };
    char::from_u32(code).unwrap_or('?')
}

fn relation(number: u32) -> char {
    RELATIONS.chars().nth(number as usize).unwrap_or('?')
}

impl Task for TwoHop {
    fn name(&self) -> &'static str {
        "two-hop"
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let mut rng = key.child(split.name()).rng();
        let item = match split {
            Split::Train => {
                let at = rng.index(self.atoms.len() + self.trained.len());
                match self.atoms.get(at) {
                    Some(atom) => Self::atom(*atom),
                    None => self.composed(&self.trained[at - self.atoms.len()]),
                }
            }
            Split::Eval => self.composed(&self.held_out[rng.index(self.held_out.len())]),
        };
        item.example()
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        let known = |text: &str| (0..self.graph.entities).any(|n| text.chars().eq([entity(n)]));
        judge(example, reply, |text| known(text).then(|| text.to_owned()))
    }

    fn alphabet(&self) -> String {
        let entities = (0..self.graph.entities).map(entity);
        let relations = (0..self.graph.relations).map(relation);
        relations.chain(['#']).chain(entities).collect()
    }

    fn levels(&self) -> RangeInclusive<u32> {
        1..=2
    }
}

#[cfg(test)]
#[path = "two_hop_tests.rs"]
mod tests;
