//! What holds for mazes besides what `task/tests.rs` asks of every task.

use super::search::Clause;
use super::*;
use crate::task::Parse;

/// A maze of three rows with these ends and walls.
fn walled(ends: &str, walls: &str) -> String {
    let others = (0..9).map(letter).filter(|&c| !ends.contains(c) && !walls.contains(c));
    format!("{ends}|{}", others.collect::<String>())
}

fn problem(n: u64) -> Problem {
    Maze::default().settle(Split::Train, Key::new(n)).0
}

#[test]
fn the_search_finds_a_shortest_way() {
    for n in 0..300 {
        let Problem { grid, start, goal, ties } = problem(n);
        let found = search(&grid, start, goal, &mut ties.rng());
        assert!(grid.is_way(&found.way, start, goal), "maze {n}");
        assert_eq!(Some(found.way.len() as u32 - 1), grid.distances(start)[goal], "maze {n}");
    }
}

#[test]
fn cells_are_expanded_once_in_order_of_promise_after_they_were_created() {
    for n in 0..300 {
        let Problem { grid, start, goal, ties } = problem(n);
        let found = search(&grid, start, goal, &mut ties.rng());
        let mut expanded: Vec<Clause> = Vec::new();
        for (at, clause) in found.clauses.iter().enumerate() {
            assert_eq!(clause.estimate, grid.manhattan(clause.cell, goal));
            if clause.mark == '-' {
                let created = Clause { mark: '+', ..*clause };
                assert!(found.clauses[..at].contains(&created), "maze {n}: {clause:?}");
                assert!(expanded.iter().all(|e| e.cell != clause.cell), "maze {n}: {clause:?} again");
                expanded.push(*clause);
            }
        }
        assert!(expanded.is_sorted_by_key(|c| c.cost + c.estimate), "maze {n}");
        assert_eq!(expanded.last().map(|c| c.cell), Some(goal));
    }
}

#[test]
fn a_detour_is_solved_and_not_optimal() {
    // А Б В / Г Д Е / Ж З И without walls: from А to В
    let maze = |aim| Maze { size: 3, aim, ..Maze::default() };
    let mut example = maze(Aim::Optimal).example(Split::Train, Key::new(1));
    example.body = Body::Messages(vec![crate::Message::new(crate::Role::User, walled("АВ", ""))]);
    example.difficulty = Some(2);
    let score = |aim, reply| maze(aim).judge(&example, reply);
    for (reply, optimal, solved) in [
        ("#АБВ", 1.0, 1.0),
        ("#АГДЕВ", 0.0, 1.0),
        ("#АВ", 0.0, 0.0),
        ("#АБ", 0.0, 0.0),
        ("#БВ", 0.0, 0.0),
        ("#АЕВ", 0.0, 0.0),
        ("+А02#АБВ", 1.0, 1.0),
    ] {
        assert_eq!(score(Aim::Optimal, reply).score, optimal, "{reply}");
        assert_eq!(score(Aim::Solved, reply).score, solved, "{reply}");
    }
    assert_eq!(score(Aim::Solved, "#АЯ").parse, Parse::Malformed, "a cell that the grid does not have");
    assert_eq!(score(Aim::Solved, "#АБВ#АБВ").score, 0.0);
}

#[test]
fn walls_are_read_as_they_are_written_and_stop_the_way() {
    for n in 0..100 {
        let Problem { grid, start, goal, .. } = problem(n);
        assert_eq!(Grid::read(5, &grid.written(start, goal)), Some((grid, start, goal)));
    }
    let (grid, start, goal) = Grid::read(3, &walled("АВ", "Б")).expect("a maze");
    assert!(!grid.is_way(&[0, 1, 2], start, goal) && grid.is_way(&[0, 3, 4, 5, 2], start, goal));
}

#[test]
fn a_mirrored_maze_is_the_same_maze() {
    // start in a corner, goal in the middle, the wall beside the start: eight pictures of one maze
    let canonical = |ends: &str, walls: &str| {
        let (grid, start, goal) = Grid::read(3, &walled(ends, walls)).expect("a maze");
        grid.canonical(start, goal)
    };
    let pictures = ["АБ", "АГ", "ВБ", "ВЕ", "ЖГ", "ЖЗ", "ИЕ", "ИЗ"].map(|p| {
        let (corner, wall) = p.split_at('А'.len_utf8());
        canonical(&format!("{corner}Д"), wall)
    });
    assert!(pictures.iter().all(|p| *p == pictures[0]));
    assert_ne!(canonical("АД", "В"), pictures[0]);
}

#[test]
fn the_three_workings() {
    let reply = |solution| {
        let example = Maze { solution, ..Maze::default() }.example(Split::Eval, Key::new(4));
        let Body::Messages(messages) = example.body else { panic!("not a conversation") };
        messages[1].content.clone()
    };
    let (none, short, full) = (reply(Solution::None), reply(Solution::Short), reply(Solution::Full));
    assert!(none.starts_with('#') && short.starts_with('+') && full.starts_with('+'));
    assert!(short.ends_with(&none) && full.ends_with(&none));
    assert_eq!(short.matches('+').count(), full.matches('+').count());
    assert_eq!(full.trim_end_matches(&none).chars().count() % 4, 0);
    assert!(full.contains('-') && !short.contains('-'));
}
