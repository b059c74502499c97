//! `two-hop`: facts of a graph, one by one and composed.

use regimen_core::registry::Piece;
use regimen_data::task::{Graph, Task, Test, TwoHop};
use regimen_recipe::{Field, KindSpec, Node, Room, Ty};

use super::checked;

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "two-hop",
        "facts of a labelled graph, `Āa` → `#Č`, and composed of two, `Āab` → `#Ę`; difficulty is hops",
        &[
            Field::new("entities", Ty::Count, "entities of the graph, one letter each")
                .or("200")
                .min(10.0)
                .max(5000.0),
            Field::new("relations", Ty::Count, "relations, one letter each").or("20").min(2.0).max(52.0),
            Field::new("out", Ty::Count, "relations that each entity has").or("10").min(1.0),
            Field::new("ood", Ty::Float, "share of atomic facts that training never composes")
                .or("0.15")
                .min(0.0)
                .max(1.0),
            Field::new("lambda", Ty::Float, "trained composed facts for each atomic fact that is composed at all")
                .or("7.2")
                .above(0.0),
            Field::new("graph", Ty::Count, "which of the graphs of these sizes; not the run's seed").or("0"),
            Field::new("bridge", Ty::Bool, "the reply to a composed fact writes the entity between the hops")
                .or("false"),
            Field::new("noise", Ty::Float, "share of trained composed facts whose written bridge is wrong")
                .or("0.0")
                .min(0.0)
                .max(1.0),
            Field::new(
                "test",
                Ty::Choice(&["id", "ood"]),
                "composed facts that are held out: of atoms that are composed elsewhere, or of those that never are",
            )
            .or("id"),
        ],
    )
    .source("arXiv:2502.04667, after arXiv:2405.15071")
    .example(r#"{ kind = "two-hop", bridge = true, test = "ood" }"#),
    build: |node, _| {
        let task = TwoHop::new(graph(node)).map_err(|e| e.within(node.origin()))?;
        checked(node, task)
    },
};

fn graph(node: &Node) -> Graph {
    Graph {
        entities: node.u64("entities") as u32,
        relations: node.u64("relations") as u32,
        out: node.u64("out") as u32,
        ood: node.f64("ood"),
        lambda: node.f64("lambda"),
        number: node.u64("graph"),
        bridge: node.bool("bridge"),
        noise: node.f64("noise"),
        test: if node.str("test") == "ood" { Test::Ood } else { Test::Id },
    }
}
