//! The recipe language: TOML in, a checked and typed tree out.
//!
//! Every table of a recipe is described by static data ([`Field`], [`Ty`], [`KindSpec`]), and everything else follows
//! from that: validation with all errors at once, defaults with their origin, the JSON schema, `explain` and `list`.
//! This crate names no method. What a recipe can select comes from a [`Catalogue`] that the program puts together.
//!
//! ```
//! use regimen_recipe::{Catalogue, Choice, Field, KindSpec, Recipe, Room, Ty};
//!
//! static KINDS: &[KindSpec] = &[
//!     KindSpec::new(Room::Arch, "decoder", "a decoder", &[Field::new("layers", Ty::Count, "blocks").or("4").min(1.0)]),
//!     KindSpec::new(Room::Task, "arith", "sums", &[]),
//!     KindSpec::new(Room::Objective, "cross-entropy", "next-token loss", &[]),
//! ];
//! let text = "model = 'decoder'\n[[stage]]\nid = 'a'\nlength = '9st'\nstream.lm = { data = 'arith', objective = 'cross-entropy' }";
//! let recipe = Recipe::read("a.toml", &|_| Ok(text.to_owned())).unwrap();
//! let sets = ["stage.a.lr=1e-4".to_owned()];
//! let resolved = recipe.resolve(&Catalogue::new(&[KINDS]), &Choice { arm: None, sets: &sets }).unwrap();
//! assert_eq!(resolved.stages()[0].f64("lr"), 1e-4);
//! assert_eq!(resolved.root().table("model").u64("layers"), 4);
//! ```

mod access;
mod expand;
mod explain;
mod form;
mod hint;
mod kind;
mod merge;
mod node;
mod path;
mod plan;
mod print;
mod raw;
mod recipe;
mod report;
mod resolve;
mod resolved;
mod room;
mod schema;
mod source;
mod spec;
mod top;
mod topics;
mod verify;

pub use explain::{explain, list};
pub use form::{Fault, Form, FormSpec, did_you_mean};
pub use kind::{Catalogue, KindSpec, Status};
pub use node::{Node, Unread};
pub use plan::{Plan, StagePlan, Start};
pub use recipe::{Choice, Loader, Recipe};
pub use report::Report;
pub use resolved::Resolved;
pub use room::Room;
pub use schema::schema;
pub use spec::{Fallback, Field, Names, Range, Ty, Variant};
