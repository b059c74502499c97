//! Which pieces exist: one static table a room, put together by the program at its start.

use regimen_base::{Key, Result};
use regimen_data::task::Task;
use regimen_data::{FileSource, Files, Sampler, Tokenizer, Transform};
use regimen_nn::Params;
use regimen_recipe::{Catalogue, FormSpec, KindSpec, Node};

use crate::advantage::Advantage;
use crate::controller::Controller;
use crate::objective::Objective;
use crate::optimizer::Optimizer;
use crate::probe::Probe;
use crate::reward::Reward;
use crate::rollout::Rollout;
use crate::schedule::Schedule;
use crate::update::Update;

/// A kind that recipes can name: its description and its builder.
pub struct Piece<T: ?Sized> {
    /// What `explain` tells and the plan checks.
    pub spec: KindSpec,
    /// Builds it from its table of the recipe. The plan has checked types and ranges.
    pub build: fn(&Node, &BuildCx) -> Result<Box<T>>,
}

/// What a builder may need besides its table.
#[derive(Clone, Default)]
pub struct BuildCx {
    /// The run's tokenizer, for pieces that make tokens.
    pub tokenizer: Option<Tokenizer>,
    /// The longest sequence the net can read.
    pub context: usize,
    /// The weights of the stream's sources, in order.
    pub weights: Vec<f64>,
}

impl BuildCx {
    /// The tokenizer.
    ///
    /// # Errors
    /// Where there is none, as in a recipe without text.
    pub fn tokenizer(&self, node: &Node) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().ok_or_else(|| node.error(format!("`{}` needs a tokenizer", node.kind())))
    }
}

/// A room's table.
pub type Table<T> = &'static [Piece<T>];

/// Describes a net's architecture.
pub trait Arch: Send {
    /// Whether it reads tokens, and so needs a tokenizer.
    fn reads_tokens(&self) -> bool;
    /// The net for a vocabulary of this size; 0 for one that reads no tokens.
    fn arch(&self, vocab: usize) -> regimen_nn::Arch;
    /// Draws the weights that such a net starts from.
    fn init(&self, params: &mut Params, key: Key);
}

/// What a tokenizer can be made from.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Characters that the recipe's tasks use.
    pub alphabet: String,
    /// Texts of the recipe's files.
    pub texts: Vec<String>,
}

/// Describes a tokenizer.
pub trait MakeTokenizer: Send {
    /// Whether it is made of the recipe's texts, which then have to be read.
    fn reads_texts(&self) -> bool {
        true
    }
    /// Trains or loads it.
    fn make(&self, material: &Material, files: &dyn Files) -> Result<Tokenizer>;
}

/// Describes a data set in files.
pub trait Dataset: Send {
    /// Reads it. `source` is its place in the stream's catalogue.
    fn open(&self, source: u32, files: &dyn Files) -> Result<FileSource>;
}

/// All tables. A program with pieces of its own appends its tables.
#[derive(Clone, Default)]
pub struct Registry {
    /// Architectures.
    pub arch: Vec<Table<dyn Arch>>,
    /// Tokenizers.
    pub tokenizer: Vec<Table<dyn MakeTokenizer>>,
    /// Tasks.
    pub task: Vec<Table<dyn Task>>,
    /// Data sets in files.
    pub data: Vec<Table<dyn Dataset>>,
    /// Transforms.
    pub transform: Vec<Table<dyn Transform>>,
    /// Samplers.
    pub sampler: Vec<Table<dyn Sampler>>,
    /// Objectives.
    pub objective: Vec<Table<dyn Objective>>,
    /// Rollouts.
    pub rollout: Vec<Table<dyn Rollout>>,
    /// Rewards.
    pub reward: Vec<Table<dyn Reward>>,
    /// Advantages.
    pub advantage: Vec<Table<dyn Advantage>>,
    /// Updates.
    pub update: Vec<Table<dyn Update>>,
    /// Optimisers.
    pub optimizer: Vec<Table<dyn Optimizer>>,
    /// Schedules.
    pub schedule: Vec<Table<dyn Schedule>>,
    /// Controllers.
    pub controller: Vec<Table<dyn Controller>>,
    /// Probes.
    pub probe: Vec<Table<dyn Probe>>,
    /// Claims over runs, which nothing builds: whoever judges runs reads them.
    pub claim: Vec<&'static [KindSpec]>,
    /// Files beside recipes.
    pub forms: Vec<&'static FormSpec>,
}

impl Registry {
    /// What a recipe may say.
    pub fn catalogue(&self) -> Catalogue {
        let mut catalogue = Catalogue::new(&[]);
        for table in &self.claim {
            catalogue.add(table);
        }
        add(&mut catalogue, &self.arch);
        add(&mut catalogue, &self.tokenizer);
        add(&mut catalogue, &self.data);
        add(&mut catalogue, &self.task);
        add(&mut catalogue, &self.transform);
        add(&mut catalogue, &self.sampler);
        add(&mut catalogue, &self.objective);
        add(&mut catalogue, &self.rollout);
        add(&mut catalogue, &self.reward);
        add(&mut catalogue, &self.advantage);
        add(&mut catalogue, &self.update);
        add(&mut catalogue, &self.optimizer);
        add(&mut catalogue, &self.schedule);
        add(&mut catalogue, &self.controller);
        add(&mut catalogue, &self.probe);
        for form in &self.forms {
            catalogue.add_form(form);
        }
        catalogue
    }
}

fn add<T: ?Sized>(catalogue: &mut Catalogue, tables: &[Table<T>]) {
    for piece in tables.iter().flat_map(|table| table.iter()) {
        catalogue.add(std::slice::from_ref(&piece.spec));
    }
}

/// Builds the piece that `node` names.
///
/// # Errors
/// A kind that no table knows (the plan would have refused it), or what the builder says.
pub fn build<T: ?Sized>(tables: &[Table<T>], node: &Node, cx: &BuildCx) -> Result<Box<T>> {
    let piece = tables.iter().flat_map(|t| t.iter()).find(|p| p.spec.name == node.kind());
    match piece {
        Some(piece) => (piece.build)(node, cx),
        None => Err(node.error(format!("no piece is called `{}`", node.kind()))),
    }
}
