//! Where the time of a run goes: by stage, by phase of a step, by part of the work; and a trace for Chrome's viewer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use regimen_kernels::Watch;

/// What a step is made of, in the order of tables. Every other part belongs to the phase that is under way.
const PHASES: [&str; 10] = [
    "data",
    "sample",
    "reward",
    "forward",
    "objective",
    "backward",
    "update",
    "records",
    "checkpoint",
    "evaluate",
];

/// The time of a stage outside of all phases.
const OTHER: &str = "other";

/// Threads that had nothing to do, or did what has no name, while a phase was under way.
const WAITING: &str = "waiting";

/// Most events in the trace; the table counts all of them.
const MOST_EVENTS: usize = 200_000;

/// A stopwatch for every part of the work. It sees names alone.
pub struct Profile {
    start: Instant,
    lanes: Mutex<Vec<Arc<Mutex<Lane>>>>,
    /// Names of the stages and when they began; before the first there is the preparation of the run.
    stages: Mutex<Vec<(String, f64)>>,
    /// The newest stage, and 1 + the index of the phase under way (0: none).
    stage: AtomicUsize,
    phase: AtomicUsize,
    events: AtomicUsize,
}

/// What one thread did.
struct Lane {
    open: Vec<Open>,
    sums: BTreeMap<(usize, usize, &'static str), Sum>,
    events: Vec<Event>,
}

struct Open {
    part: &'static str,
    start: f64,
    /// Seconds of the parts inside it.
    inside: f64,
    /// For a phase: its index + 1, and the phase that it interrupts.
    phase: Option<(usize, usize)>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    calls: u64,
    seconds: f64,
}

struct Event {
    part: &'static str,
    start: f64,
    seconds: f64,
}

/// A line of the table.
#[derive(Clone, PartialEq, Debug)]
pub struct ProfileRow {
    /// The stage; empty before the first.
    pub stage: String,
    /// The phase.
    pub phase: &'static str,
    /// The part of the phase; `None` for the phase itself.
    pub part: Option<&'static str>,
    /// How often.
    pub calls: u64,
    /// Seconds on the clock for a phase, of all threads for a part.
    pub seconds: f64,
    /// Of the stage's time for a phase, of the threads' time in the phase for a part.
    pub share: f64,
}

thread_local! {
    static LANE: RefCell<Option<Arc<Mutex<Lane>>>> = const { RefCell::new(None) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Profile {
    /// Watches this process from now on; `None` when it is watched already.
    pub fn start() -> Option<&'static Self> {
        let profile: &'static Self = Box::leak(Box::new(Self {
            start: Instant::now(),
            lanes: Mutex::default(),
            stages: Mutex::new(vec![(String::new(), 0.0)]),
            stage: AtomicUsize::new(0),
            phase: AtomicUsize::new(0),
            events: AtomicUsize::new(0),
        }));
        regimen_kernels::watch(profile).then_some(profile)
    }

    /// A stage begins.
    pub fn stage(&self, id: &str) {
        let mut stages = lock(&self.stages);
        stages.push((id.to_owned(), self.now()));
        self.stage.store(stages.len() - 1, Ordering::Relaxed);
    }

    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn lane(&self) -> Arc<Mutex<Lane>> {
        LANE.with_borrow_mut(|lane| {
            let new = || {
                let lane = Lane { open: Vec::new(), sums: BTreeMap::new(), events: Vec::new() };
                let lane = Arc::new(Mutex::new(lane));
                lock(&self.lanes).push(Arc::clone(&lane));
                lane
            };
            Arc::clone(lane.get_or_insert_with(new))
        })
    }

    /// Everything so far, stage by stage. `threads` are those that the work was shared over.
    pub fn rows(&self, threads: usize) -> Vec<ProfileRow> {
        let mut sums: BTreeMap<(usize, usize, &'static str), Sum> = BTreeMap::new();
        for lane in lock(&self.lanes).iter() {
            for (&place, sum) in &lock(lane).sums {
                let all = sums.entry(place).or_default();
                all.calls += sum.calls;
                all.seconds += sum.seconds;
            }
        }
        let stages = lock(&self.stages);
        let mut rows = Vec::new();
        for (s, (name, begin)) in stages.iter().enumerate() {
            let length = stages.get(s + 1).map_or_else(|| self.now(), |next| next.1) - begin;
            stage_rows(&mut rows, name, length, threads, &|phase| {
                sums.range((s, phase, "")..(s, phase + 1, "")).map(|(at, sum)| (at.2, *sum)).collect()
            });
        }
        rows
    }

    /// The trace in Chrome's format, which `chrome://tracing` and Perfetto open.
    pub fn trace(&self) -> String {
        let mut out = String::from("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
        let mut event = |lane: usize, name: &str, start: f64, seconds: f64| {
            let name = serde_json::Value::from(name);
            let (start, length) = (start * 1e6, seconds * 1e6);
            let _ = writeln!(
                out,
                "{{\"name\":{name},\"ph\":\"X\",\"pid\":1,\"tid\":{lane},\"ts\":{start:.1},\"dur\":{length:.1}}},"
            );
        };
        let stages = lock(&self.stages);
        for (s, (name, begin)) in stages.iter().enumerate().skip(1) {
            let end = stages.get(s + 1).map_or_else(|| self.now(), |next| next.1);
            event(0, name, *begin, end - begin);
        }
        for (i, lane) in lock(&self.lanes).iter().enumerate() {
            lock(lane).events.iter().for_each(|e| event(i + 1, e.part, e.start, e.seconds));
        }
        let lanes = lock(&self.lanes).len();
        let thread = |i: usize| if i == 0 { "stages".to_owned() } else { format!("thread {i}") };
        for i in 0..=lanes {
            let (name, end) = (thread(i), if i == lanes { "" } else { "," });
            let _ = writeln!(
                out,
                "{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":{i},\"args\":{{\"name\":\"{name}\"}}}}{end}"
            );
        }
        out + "]}\n"
    }

    /// Whether the trace holds everything that happened.
    pub fn trace_is_whole(&self) -> bool {
        self.events.load(Ordering::Relaxed) <= MOST_EVENTS
    }
}

/// The rows of one stage: each phase with its parts, the largest first.
fn stage_rows(
    rows: &mut Vec<ProfileRow>,
    stage: &str,
    length: f64,
    threads: usize,
    parts: &dyn Fn(usize) -> Vec<(&'static str, Sum)>,
) {
    let mut left = length;
    let row = |phase, part, sum: Sum, of: f64| ProfileRow {
        stage: stage.to_owned(),
        phase,
        part,
        calls: sum.calls,
        seconds: sum.seconds,
        share: sum.seconds / of.max(f64::MIN_POSITIVE),
    };
    for (i, &phase) in PHASES.iter().enumerate() {
        let mut parts = parts(i + 1);
        let Some(at) = parts.iter().position(|(name, _)| *name == phase) else { continue };
        let (_, whole) = parts.swap_remove(at);
        left -= whole.seconds;
        rows.push(row(phase, None, whole, length));
        let all = whole.seconds * threads as f64;
        let busy: f64 = parts.iter().map(|(_, sum)| sum.seconds).sum();
        if !parts.is_empty() {
            parts.push((WAITING, Sum { calls: 0, seconds: (all - busy).max(0.0) }));
        }
        parts.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
        rows.extend(parts.into_iter().map(|(name, sum)| row(phase, Some(name), sum, all)));
    }
    rows.push(row(OTHER, None, Sum { calls: 0, seconds: left.max(0.0) }, length));
}

impl Watch for Profile {
    fn begin(&self, part: &'static str) {
        let phase = PHASES.iter().position(|p| *p == part).map(|i| {
            let before = self.phase.swap(i + 1, Ordering::Relaxed);
            (i + 1, before)
        });
        let lane = self.lane();
        lock(&lane).open.push(Open { part, start: self.now(), inside: 0.0, phase });
    }

    fn end(&self) {
        let now = self.now();
        let lane = self.lane();
        let mut lane = lock(&lane);
        let Some(open) = lane.open.pop() else { return };
        let seconds = now - open.start;
        // a phase's time is on the clock: only other phases inside it are not its own
        let outer = lane.open.iter_mut().rev().find(|o| o.phase.is_some() == open.phase.is_some());
        if let Some(outer) = outer {
            outer.inside += seconds;
        }
        let phase = open.phase.map_or_else(|| self.phase.load(Ordering::Relaxed), |(own, _)| own);
        if let Some((_, before)) = open.phase {
            self.phase.store(before, Ordering::Relaxed);
        }
        let stage = self.stage.load(Ordering::Relaxed);
        let sum = lane.sums.entry((stage, phase, open.part)).or_default();
        sum.calls += 1;
        sum.seconds += seconds - open.inside;
        if self.events.fetch_add(1, Ordering::Relaxed) < MOST_EVENTS {
            lane.events.push(Event { part: open.part, start: open.start, seconds });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_to_its_stage_phase_and_part() {
        let profile = Profile::start().expect("nothing else in these tests watches");
        profile.stage("one");
        {
            let _phase = regimen_kernels::span("forward");
            let _outer = regimen_kernels::span("head");
            let _inner = regimen_kernels::span("products");
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        profile.stage("two \"quoted\"");
        drop(regimen_kernels::span("data"));
        let rows = profile.rows(1);
        let of = |stage: &str, phase: &str, part: Option<&str>| {
            let found = |r: &&ProfileRow| r.stage == stage && r.phase == phase && r.part == part;
            rows.iter().find(found).cloned()
        };
        let forward = of("one", "forward", None).expect("a phase");
        let products = of("one", "forward", Some("products")).expect("a part");
        let head = of("one", "forward", Some("head")).expect("a part");
        assert!(forward.seconds >= products.seconds && products.seconds >= 0.003, "{rows:?}");
        assert!(head.seconds < 0.003 && (forward.calls, head.calls) == (1, 1), "own time alone: {rows:?}");
        assert!(of("two \"quoted\"", "data", None).is_some() && of("one", "data", None).is_none());
        assert!(of("one", "other", None).is_some_and(|r| r.share < 1.0));
        let trace: serde_json::Value = serde_json::from_str(&profile.trace()).expect("JSON");
        let events = trace["traceEvents"].as_array().expect("events");
        assert!(
            events
                .iter()
                .any(|e| e["name"] == "products" && e["ph"] == "X" && e["dur"].as_f64() >= Some(3000.0))
        );
        assert!(events.iter().any(|e| e["name"] == "two \"quoted\"") && profile.trace_is_whole());
    }
}
