use super::*;

fn task(change: impl Fn(&mut Digits)) -> DigitsTask {
    let mut settings = Digits::default();
    change(&mut settings);
    DigitsTask::new(settings).expect("sound settings")
}

fn item(task: &DigitsTask, n: u64) -> (Vec<f32>, u32) {
    match task.example(Split::Train, Key::new(1).at(n)).body {
        Body::Features(Features { values, goal: Goal::Class(class) }) => (values, class),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_item_is_a_function_of_its_key_and_is_judged_by_its_class() {
    let task = task(|_| {});
    let example = task.example(Split::Train, Key::new(1));
    assert_eq!(example, task.example(Split::Train, Key::new(1)));
    let class = example.answer.clone().expect("a class");
    assert_eq!(task.judge(&example, &class), Judgement { score: 1.0, parse: Parse::Answer });
    for junk in ["", "x", "10", "-1", "1 2"] {
        assert_eq!(task.judge(&example, junk).score, 0.0, "{junk}");
    }
}

#[test]
fn classes_are_those_of_the_settings_and_all_come() {
    let task = task(|s| s.classes = vec![3, 7]);
    let mut seen: Vec<u32> = (0..50).map(|n| item(&task, n).1).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [3, 7]);
    for classes in [vec![], vec![10], vec![1, 1]] {
        assert!(DigitsTask::new(Digits { classes, ..Digits::default() }).is_err());
    }
}

/// The nearest mean of a few dozen items of each class tells most others: the classes are there to be learned, and
/// handwriting makes it less than all.
#[test]
fn classes_can_be_told_apart() {
    let task = task(|_| {});
    let mut means = vec![(vec![0.0f32; PIXELS], 0.0f32); 10];
    for n in 0..1000 {
        let (values, class) = item(&task, n);
        let (mean, count) = &mut means[class as usize];
        mean.iter_mut().zip(&values).for_each(|(m, v)| *m += v);
        *count += 1.0;
    }
    let far = |values: &[f32], (mean, count): &(Vec<f32>, f32)| {
        mean.iter().zip(values).map(|(m, v)| (m / count - v).powi(2)).sum::<f32>()
    };
    let right = (1000..2000).filter(|&n| {
        let (values, class) = item(&task, n);
        let near = (0..10).min_by(|&a, &b| far(&values, &means[a]).total_cmp(&far(&values, &means[b])));
        near == Some(class as usize)
    });
    let share = right.count() as f64 / 1000.0;
    assert!((0.6..0.99).contains(&share), "{share}");
}

#[test]
fn a_permutation_moves_pixels_and_changes_none() {
    let (plain, moved, other) = (task(|_| {}), task(|s| s.permutation = 1), task(|s| s.permutation = 2));
    let ((a, class), (b, again), (c, _)) = (item(&plain, 5), item(&moved, 5), item(&other, 5));
    assert_eq!(class, again);
    assert!(a != b && b != c);
    let sorted = |mut v: Vec<f32>| {
        v.sort_by(f32::total_cmp);
        v
    };
    assert_eq!(sorted(a), sorted(b));
}
