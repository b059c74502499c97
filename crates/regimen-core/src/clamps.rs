//! Activations that a stage holds at something else, by name, and which of them hold now.

use regimen_base::{Error, Persist, Result, State, StateError};
use regimen_nn::{Clamp, Rule, Selection, Value};
use regimen_recipe::Node;

/// A clamp, and whether it holds.
#[derive(Clone, PartialEq, Debug)]
struct Named {
    name: String,
    clamp: Clamp,
    on: bool,
}

/// The clamps of a stage.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Clamps(Vec<Named>);

impl Clamps {
    /// What the table `clamp` of a stage says.
    pub fn of(stage: &Node) -> Self {
        let named = |(name, node): (&str, &Node)| Named {
            name: name.to_owned(),
            clamp: Clamp {
                site: node.str("site").to_owned(),
                at: selection(node),
                value: value(node.table("value")),
            },
            on: node.bool("on"),
        };
        Self(stage.map("clamp").into_iter().map(named).collect())
    }

    /// Whether there are none, on or off.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them as rules, on or off, in the recipe's order.
    pub fn all(&self) -> Vec<Rule> {
        self.0.iter().map(|named| Rule::Clamp(named.clamp.clone())).collect()
    }

    /// Those that hold now.
    pub fn rules(&self) -> Vec<Rule> {
        self.0.iter().filter(|named| named.on).map(|named| Rule::Clamp(named.clamp.clone())).collect()
    }

    /// Lets a clamp hold, or lets it go.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn turn(&mut self, name: &str, on: bool) -> Result<()> {
        let named = self.0.iter_mut().find(|named| named.name == name);
        let named = named.ok_or_else(|| Error::usage(format!("the stage has no clamp `{name}`")))?;
        named.on = on;
        Ok(())
    }
}

fn selection(node: &Node) -> Selection {
    let list = |name: &str| node.has(name).then(|| node.u64s(name).into_iter().map(|n| n as usize).collect());
    Selection { documents: None, positions: list("positions"), heads: list("heads") }
}

fn value(node: &Node) -> Value {
    match node.kind() {
        "back" => Value::Back(node.usize("by")),
        "induction" => Value::Induction,
        "earlier" => Value::Earlier { site: node.str("of").to_owned(), back: node.usize("back") },
        "copied" => Value::Copied { site: node.str("of").to_owned() },
        _ => Value::Fill(node.f32("number")),
    }
}

impl Persist for Clamps {
    fn save(&self) -> State {
        let on: Vec<&str> = self.0.iter().filter(|named| named.on).map(|named| named.name.as_str()).collect();
        State::new().with("on", on)
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let on = state.take("on")?;
        let on = on
            .as_array()
            .ok_or_else(|| StateError("the clamps of the saved state are no list".to_owned()))?;
        for named in &mut self.0 {
            named.on = on.iter().any(|name| name.as_str() == Some(&named.name));
        }
        state.finish()
    }
}
