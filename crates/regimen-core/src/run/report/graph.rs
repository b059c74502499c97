//! The stage graph, from left to right on a screen and from top to bottom on a phone.

use std::fmt::Write;

use super::StageReport;
use super::html::{each, escape, section as part, shortened};
use super::numbers::{count, si};

const NODE: (f64, f64) = (218.0, 62.0);
const GAP: (f64, f64) = (38.0, 16.0);
/// How far a line bends away to go around boxes.
const DETOUR: f64 = 40.0;
const CHARACTERS: usize = 31;

pub(super) fn section(stages: &[StageReport]) -> String {
    if stages.is_empty() {
        return String::new();
    }
    let nodes = nodes(stages);
    let wide = draw(&nodes, |node| (node.depth as f64, node.lane as f64), "wide");
    let tall = draw(&nodes, |node| (node.lane as f64, node.depth as f64), "tall");
    part("stages", "Stages", "", &format!("<div class=\"graph\">\n{wide}{tall}</div>\n"))
}

/// A stage, or where the first ones come from.
#[derive(Debug, PartialEq)]
struct Node {
    name: String,
    lines: [String; 2],
    parents: Vec<usize>,
    depth: usize,
    lane: usize,
    outside: bool,
}

/// All nodes; parents before children.
fn nodes(stages: &[StageReport]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for stage in stages {
        let none = vec!["random weights".to_owned()];
        let from = if stage.from.is_empty() { &none } else { &stage.from };
        let parents: Vec<usize> = from.iter().map(|name| find_or_add(&mut nodes, name)).collect();
        let depth = 1 + parents.iter().map(|&p| nodes[p].depth).max().unwrap_or(0);
        let steps =
            format!("{} steps · {} tokens", count(stage.ledger.steps), si(stage.ledger.tokens as f64));
        place(&mut nodes, stage.id.clone(), [stage.about.clone(), steps], parents, depth, false);
    }
    nodes
}

fn find_or_add(nodes: &mut Vec<Node>, name: &str) -> usize {
    if let Some(found) = nodes.iter().position(|node| node.name == name) {
        return found;
    }
    place(nodes, name.to_owned(), [String::new(), String::new()], Vec::new(), 0, true);
    nodes.len() - 1
}

fn place(
    nodes: &mut Vec<Node>,
    name: String,
    lines: [String; 2],
    parents: Vec<usize>,
    depth: usize,
    outside: bool,
) {
    let lane = nodes.iter().filter(|node| node.depth == depth).count();
    nodes.push(Node { name, lines, parents, depth, lane, outside });
}

type Point = (f64, f64);

fn draw(nodes: &[Node], cell: impl Fn(&Node) -> Point, class: &str) -> String {
    let wide = class == "wide";
    let pitch = if wide { (NODE.0 + GAP.0, NODE.1 + GAP.1) } else { (NODE.0 + GAP.1, NODE.1 + GAP.0) };
    let corner = |node: &Node| (cell(node).0 * pitch.0 + 1.0, cell(node).1 * pitch.1 + 1.0);
    let size = nodes.iter().map(&corner).fold((0.0, 0.0), |s: Point, c| (s.0.max(c.0), s.1.max(c.1)));
    let edges = edges(nodes);
    // room for those that go around
    let around = if edges.iter().any(|e| e.around) { DETOUR } else { 0.0 };
    let width = size.0 + NODE.0 + 1.0 + if wide { 0.0 } else { around };
    let height = size.1 + NODE.1 + 1.0 + if wide { around } else { 0.0 };
    let lines = each(&edges, |edge| line(corner(edge.from), corner(edge.to), wide, edge.around));
    let boxes = each(nodes, |node| boxed(node, corner(node)));
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" style=\"width:{width}px\" role=\"img\" \
         aria-label=\"the stages and what they start from\">\n{lines}{boxes}</svg>\n"
    )
}

struct Edge<'a> {
    from: &'a Node,
    to: &'a Node,
    /// Whether it would cross a box if it were straight.
    around: bool,
}

fn edges(nodes: &[Node]) -> Vec<Edge<'_>> {
    let of = |to| {
        let Node { parents, depth, .. } = to;
        parents.iter().map(move |&p| Edge { from: &nodes[p], to, around: nodes[p].depth + 1 < *depth })
    };
    nodes.iter().flat_map(of).collect()
}

/// A curve with an arrow head from one box to another: from the far side to the near side, or around what is between.
fn line(from: Point, to: Point, wide: bool, around: bool) -> String {
    let (start, end, bend) = match (wide, around) {
        (true, false) => ((NODE.0, NODE.1 / 2.0), (-1.0, NODE.1 / 2.0), (GAP.0 / 2.0, 0.0)),
        (true, true) => ((NODE.0 * 0.6, NODE.1), (NODE.0 * 0.4, NODE.1 + 1.0), (0.0, DETOUR)),
        (false, false) => ((NODE.0 / 2.0, NODE.1), (NODE.0 / 2.0, -1.0), (0.0, GAP.0 / 2.0)),
        (false, true) => ((NODE.0, NODE.1 * 0.6), (NODE.0 + 1.0, NODE.1 * 0.4), (DETOUR, 0.0)),
    };
    let (start, end) = (plus(from, start), plus(to, end));
    // where the pen comes from when it arrives
    let arrival = if around { bend } else { (-bend.0, -bend.1) };
    let (a, b) = (plus(start, bend), plus(end, arrival));
    let (dx, dy) =
        (arrival.0.signum() * f64::from(arrival.0 != 0.0), arrival.1.signum() * f64::from(arrival.1 != 0.0));
    let tip = |side: f64| plus(end, (dx * 7.0 + dy * side, dy * 7.0 + dx * side));
    format!(
        "<path class=\"edge\" d=\"M{} C{} {} {}\"/><path class=\"tip\" d=\"M{} L{} L{}\"/>\n",
        at(start),
        at(a),
        at(b),
        at(end),
        at(tip(-4.0)),
        at(end),
        at(tip(4.0))
    )
}

fn plus(a: Point, b: Point) -> Point {
    (a.0 + b.0, a.1 + b.1)
}

fn at(point: Point) -> String {
    format!("{:.1} {:.1}", point.0, point.1)
}

fn boxed(node: &Node, (x, y): (f64, f64)) -> String {
    let class = if node.outside { "node outside" } else { "node" };
    let mut svg = format!("<g class=\"{class}\"><title>{}</title>", escape(&node.name));
    let _ = write!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"7\"/>", NODE.0, NODE.1);
    let name_at = if node.outside { NODE.1 / 2.0 + 5.0 } else { 21.0 };
    let texts =
        [("name", &node.name, name_at), ("line", &node.lines[0], 38.0), ("line", &node.lines[1], 53.0)];
    for (class, text, down) in texts.into_iter().filter(|(_, text, _)| !text.is_empty()) {
        let text = escape(&shortened(text, CHARACTERS));
        let _ = write!(svg, "<text class=\"{class}\" x=\"{}\" y=\"{}\">{text}</text>", x + 13.0, y + down);
    }
    svg.push_str("</g>\n");
    svg
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
        let nodes = nodes(&[
            stage("a", &[]),
            stage("b", &["a"]),
            stage("c", &["a"]),
            stage("soup", &["b", "c", "hub/x"]),
        ]);
        let of = |name: &str| nodes.iter().find(|n| n.name == name).unwrap();
        assert_eq!((of("random weights").depth, of("a").depth, of("soup").depth), (0, 1, 3));
        assert_eq!((of("b").lane, of("c").lane), (0, 1));
        assert_eq!((of("soup").parents.len(), of("hub/x").outside), (3, true));
    }

    #[test]
    fn every_parent_has_an_arrow() {
        let page = section(&[stage("a", &[]), stage("b", &["a"]), stage("c", &["a", "b"])]);
        assert_eq!(page.matches("class=\"tip\"").count(), 2 * 4);
        assert_eq!(section(&[]), "");
    }
}
