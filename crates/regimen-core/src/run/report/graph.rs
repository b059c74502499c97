//! The stage graph, from left to right on a screen and from top to bottom on a phone.

use std::fmt::Write;

use super::StageReport;
use super::html::{each, escape, section as part, shortened};
use super::numbers::{count, si};

const NODE: Point = (218.0, 62.0);
const GAP: Point = (38.0, 16.0);

type Point = (f64, f64);

pub(super) fn section(stages: &[StageReport]) -> String {
    if stages.is_empty() {
        return String::new();
    }
    let nodes = nodes(stages);
    let drawings = [Direction::Across, Direction::Down].map(|direction| draw(&nodes, direction)).concat();
    part("stages", "Stages", "", &format!("<div class=\"graph\">\n{drawings}</div>\n"))
}

/// What stands in a cell of the graph.
#[derive(Debug, PartialEq)]
enum Kind {
    /// A stage, with two lines about it.
    Stage([String; 2]),
    /// Where weights come from that no stage made.
    Outside,
    /// Only a line on its way to a later stage.
    Passing,
}

#[derive(Debug, PartialEq)]
struct Node {
    name: String,
    kind: Kind,
    parents: Vec<usize>,
    depth: usize,
    lane: usize,
}

/// All nodes; parents before children, and every parent one step before its child.
fn nodes(stages: &[StageReport]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for stage in stages {
        let none = ["random weights".to_owned()];
        let from = if stage.from.is_empty() { &none[..] } else { &stage.from[..] };
        let known =
            |name: &String| nodes.iter().position(|n: &Node| n.name == *name && n.kind != Kind::Passing);
        let found: Vec<Option<usize>> = from.iter().map(known).collect();
        let depth = found.iter().flatten().map(|&p| nodes[p].depth + 1).max().unwrap_or(1);
        let mut parents = Vec::new();
        for (name, found) in from.iter().zip(found) {
            let parent = found.unwrap_or_else(|| add(&mut nodes, name, Kind::Outside, Vec::new(), depth - 1));
            parents.push(lead_to(&mut nodes, parent, depth));
        }
        let steps =
            format!("{} steps · {} tokens", count(stage.ledger.steps), si(stage.ledger.tokens as f64));
        add(&mut nodes, &stage.id, Kind::Stage([stage.about.clone(), steps]), parents, depth);
    }
    nodes
}

/// A line from `parent` to just before `depth`, with a lane of its own, so that it crosses no box.
fn lead_to(nodes: &mut Vec<Node>, parent: usize, depth: usize) -> usize {
    let between = nodes[parent].depth + 1..depth;
    between.fold(parent, |last, depth| add(nodes, "", Kind::Passing, vec![last], depth))
}

fn add(nodes: &mut Vec<Node>, name: &str, kind: Kind, parents: Vec<usize>, depth: usize) -> usize {
    let lane = nodes.iter().filter(|node| node.depth == depth).count();
    nodes.push(Node { name: name.to_owned(), kind, parents, depth, lane });
    nodes.len() - 1
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Across,
    Down,
}

impl Direction {
    /// The upper left corner of a node's box.
    fn corner(self, node: &Node) -> Point {
        let (depth, lane) = (node.depth as f64, node.lane as f64);
        match self {
            Self::Across => (depth * (NODE.0 + GAP.0) + 1.0, lane * (NODE.1 + GAP.1) + 1.0),
            Self::Down => (lane * (NODE.0 + GAP.1) + 1.0, depth * (NODE.1 + GAP.0) + 1.0),
        }
    }

    /// Where lines come in.
    fn entry(self, node: &Node) -> Point {
        let corner = self.corner(node);
        match self {
            Self::Across => (corner.0 - 1.0, corner.1 + NODE.1 / 2.0),
            Self::Down => (corner.0 + NODE.0 / 2.0, corner.1 - 1.0),
        }
    }

    /// Where lines go out.
    fn exit(self, node: &Node) -> Point {
        self.ahead(self.entry(node), if self == Self::Across { NODE.0 + 1.0 } else { NODE.1 + 1.0 })
    }

    /// `by` further in the direction of the graph.
    fn ahead(self, point: Point, by: f64) -> Point {
        if self == Self::Across { (point.0 + by, point.1) } else { (point.0, point.1 + by) }
    }

    /// `by` to the side.
    fn aside(self, point: Point, by: f64) -> Point {
        if self == Self::Across { (point.0, point.1 + by) } else { (point.0 + by, point.1) }
    }
}

fn draw(nodes: &[Node], direction: Direction) -> String {
    let far = nodes.iter().map(|node| direction.corner(node));
    let far = far.fold((0.0, 0.0), |s: Point, c| (s.0.max(c.0), s.1.max(c.1)));
    let (width, height) = (far.0 + NODE.0 + 1.0, far.1 + NODE.1 + 1.0);
    let boxes = each(nodes, |node| boxed(node, direction));
    let lines = each(nodes, |node| each(&node.parents, |&parent| line(&nodes[parent], node, direction)));
    let class = if direction == Direction::Across { "wide" } else { "tall" };
    // a long graph may shrink a little before it has to be scrolled
    let least = (width * 0.7).round();
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" style=\"width:{width}px;min-width:{least}px\" \
         role=\"img\" aria-label=\"the stages and what they start from\">\n{boxes}{lines}</svg>\n"
    )
}

/// A curve from one node to the next, with an arrow head where it meets a box.
fn line(from: &Node, to: &Node, direction: Direction) -> String {
    let (start, end) = (direction.exit(from), direction.entry(to));
    let (a, b) = (direction.ahead(start, GAP.0 / 2.0), direction.ahead(end, -GAP.0 / 2.0));
    let mut svg = format!("<path class=\"edge\" d=\"M{} C{} {} {}\"/>", at(start), at(a), at(b), at(end));
    if to.kind != Kind::Passing {
        let tip = |side| at(direction.aside(direction.ahead(end, -7.0), side));
        let _ = write!(svg, "<path class=\"tip\" d=\"M{} L{} L{}\"/>", tip(-4.0), at(end), tip(4.0));
    }
    svg.push('\n');
    svg
}

fn at(point: Point) -> String {
    format!("{:.1} {:.1}", point.0, point.1)
}

fn boxed(node: &Node, direction: Direction) -> String {
    let (x, y) = direction.corner(node);
    let text = |class: &str, text: &str, most: usize, down: f64| {
        let text = escape(&shortened(text, most));
        format!("<text class=\"{class}\" x=\"{}\" y=\"{}\">{text}</text>", x + 13.0, y + down)
    };
    let (class, texts) = match &node.kind {
        Kind::Passing => {
            return format!(
                "<path class=\"edge\" d=\"M{} L{}\"/>\n",
                at(direction.entry(node)),
                at(direction.exit(node))
            );
        }
        Kind::Outside => ("node outside", text("name", &node.name, 25, 36.0)),
        Kind::Stage([about, steps]) => {
            let name = text("name", &node.name, 22, 21.0);
            ("node", name + &text("line", about, 31, 38.0) + &text("line", steps, 36, 53.0))
        }
    };
    format!(
        "<g class=\"{class}\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"7\"/>{texts}</g>\n",
        escape(&node.name),
        NODE.0,
        NODE.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(id: &str, from: &[&str]) -> StageReport {
        let from = from.iter().map(|&name| name.to_owned()).collect();
        StageReport { id: id.to_owned(), from, ..StageReport::default() }
    }

    #[test]
    fn stages_stand_behind_what_they_start_from() {
        let stages =
            [stage("a", &[]), stage("b", &["a"]), stage("c", &["b"]), stage("soup", &["a", "c", "hub/x"])];
        let nodes = nodes(&stages);
        let of = |name: &str| nodes.iter().find(|n| n.name == name).unwrap();
        assert_eq!((of("random weights").depth, of("a").depth, of("soup").depth), (0, 1, 4));
        assert_eq!((of("hub/x").depth, &of("hub/x").kind), (3, &Kind::Outside), "just before it is needed");
        assert_eq!(nodes.iter().filter(|n| n.kind == Kind::Passing).count(), 2, "from a past b and c");
        for node in &nodes {
            assert!(node.parents.iter().all(|&p| nodes[p].depth + 1 == node.depth), "{node:?}");
            let same = nodes.iter().filter(|n| (n.depth, n.lane) == (node.depth, node.lane));
            assert_eq!(same.count(), 1, "one node a cell: {node:?}");
        }
    }

    #[test]
    fn every_parent_has_an_arrow() {
        let page = section(&[stage("a", &[]), stage("b", &["a"]), stage("c", &["a", "b"])]);
        assert_eq!(page.matches("class=\"tip\"").count(), 2 * 4);
        assert_eq!(section(&[]), "");
    }
}
