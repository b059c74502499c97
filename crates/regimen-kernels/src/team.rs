//! Threads that share one piece of work after another.
//!
//! A step of a small model is dozens of pieces of well under a millisecond. A thread that falls asleep between two of
//! them is woken too late for the next, so members of a team look out for work for a while before they sleep.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};

/// Looks at a flag before a thread sleeps: some hundred microseconds, longer than what a step does alone.
const LOOKS: u32 = 8000;

/// Threads that compute together: the one that calls, and helpers of its own.
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

struct Shared {
    seats: Box<[Seat]>,
    /// Somebody's work is being done.
    busy: AtomicBool,
    caller: Mutex<Option<Thread>>,
    caller_sleeps: AtomicBool,
}

/// Where a helper finds its work. A cache line of its own: the helper looks at it all the time.
#[derive(Default)]
#[repr(align(128))]
struct Seat {
    /// Null when there is nothing to do or it is done; `QUIT` at the end.
    work: AtomicPtr<Work<'static>>,
    sleeps: AtomicBool,
    thread: OnceLock<Thread>,
}

struct Work<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// The address that tells a helper to end. No work lies there.
fn quit() -> *mut Work<'static> {
    ptr::dangling_mut()
}

static DEFAULT: OnceLock<Team> = OnceLock::new();

thread_local! {
    /// The team whose `install` runs on this thread.
    static INSTALLED: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
    /// The size of the team whose work this thread does right now; 0 when it does none.
    static WORKS_IN: Cell<usize> = const { Cell::new(0) };
}

impl Team {
    /// A team of so many threads with the one that calls. An error when the system gives no more threads.
    pub fn new(threads: usize) -> std::io::Result<Team> {
        let seats = (1..threads.max(1)).map(|_| Seat::default()).collect();
        let shared = Arc::new(Shared {
            seats,
            busy: AtomicBool::new(false),
            caller: Mutex::new(None),
            caller_sleeps: AtomicBool::new(false),
        });
        let mut team = Team { shared, helpers: Vec::new() };
        for worker in 1..threads {
            let shared = Arc::clone(&team.shared);
            let helper = thread::Builder::new().name(format!("regimen-{worker}"));
            team.helpers.push(helper.spawn(move || shared.help(worker))?);
        }
        Ok(team)
    }

    /// Makes this the team of whoever has not installed another. False when there is one already.
    pub fn make_default(self) -> bool {
        DEFAULT.set(self).is_ok()
    }

    /// Runs `f` on this thread; the kernels that it calls work on this team.
    pub fn install<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Before(Option<Arc<Shared>>);
        impl Drop for Before {
            fn drop(&mut self) {
                INSTALLED.set(self.0.take());
            }
        }
        let _before = Before(INSTALLED.replace(Some(Arc::clone(&self.shared))));
        f()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for seat in &self.shared.seats {
            seat.give(quit());
        }
        for helper in self.helpers.drain(..) {
            // a helper catches the panics of its work
            let _ = helper.join();
        }
    }
}

/// The default team: [`Team::make_default`]'s, or one thread a core.
fn default_team() -> &'static Team {
    DEFAULT.get_or_init(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Team::new(cores).unwrap_or_else(|_| Team::new(1).expect("a team without helpers"))
    })
}

fn current() -> Arc<Shared> {
    let installed = INSTALLED.with_borrow(Option::clone);
    installed.unwrap_or_else(|| Arc::clone(&default_team().shared))
}

/// Threads of the current team.
pub fn threads() -> usize {
    match WORKS_IN.get() {
        0 => current().seats.len() + 1,
        size => size,
    }
}

/// Whether this thread could hand work to a team: it does none itself.
pub(crate) fn may_share() -> bool {
    WORKS_IN.get() == 0 && threads() > 1
}

/// Runs `task(worker)` for every worker below `workers`, each on a thread of its own; this thread is worker 0. Gives
/// false, and runs nothing, when the team is busy or this thread already works for one.
pub(crate) fn together(workers: usize, task: &(dyn Fn(usize) + Sync)) -> bool {
    WORKS_IN.get() == 0 && current().together(workers, task)
}

impl Shared {
    fn together(&self, workers: usize, task: &(dyn Fn(usize) + Sync)) -> bool {
        if self.busy.swap(true, Ordering::Acquire) {
            return false;
        }
        let seats = &self.seats[..workers - 1];
        let work = Work { task, panic: Mutex::new(None) };
        let address = ptr::from_ref(&work).cast_mut().cast::<Work<'static>>();
        for seat in seats {
            seat.give(address);
        }
        WORKS_IN.set(self.seats.len() + 1);
        let mine = catch_unwind(AssertUnwindSafe(|| task(0)));
        WORKS_IN.set(0);
        // `work` may not go before every helper is done with it
        self.wait(seats);
        self.busy.store(false, Ordering::Release);
        let theirs = work.panic.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(panic) = mine.err().or(theirs) {
            resume_unwind(panic);
        }
        true
    }

    fn wait(&self, seats: &[Seat]) {
        let done = |order| seats.iter().all(|seat| seat.work.load(order).is_null());
        if look(|| done(Ordering::Acquire)) {
            return;
        }
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        self.caller_sleeps.store(true, Ordering::SeqCst);
        while !done(Ordering::SeqCst) {
            thread::park();
        }
        self.caller_sleeps.store(false, Ordering::SeqCst);
    }

    /// A helper's life.
    fn help(&self, worker: usize) {
        WORKS_IN.set(self.seats.len() + 1);
        let seat = &self.seats[worker - 1];
        seat.thread.get_or_init(thread::current);
        loop {
            let address = seat.take();
            if address == quit() {
                return;
            }
            // SAFETY: the caller keeps the work until this seat is empty again.
            let work = unsafe { &*address };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (work.task)(worker))) {
                *work.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
            seat.work.store(ptr::null_mut(), Ordering::SeqCst);
            if self.caller_sleeps.load(Ordering::SeqCst)
                && let Some(caller) = &*self.caller.lock().unwrap_or_else(PoisonError::into_inner)
            {
                caller.unpark();
            }
        }
    }
}

impl Seat {
    fn give(&self, work: *mut Work<'static>) {
        self.work.store(work, Ordering::SeqCst);
        if self.sleeps.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// The next work, asleep until there is some.
    fn take(&self) -> *mut Work<'static> {
        if look(|| !self.work.load(Ordering::Acquire).is_null()) {
            return self.work.load(Ordering::Acquire);
        }
        // whoever gives work first stores it, then looks whether we sleep; we do it the other way round
        self.sleeps.store(true, Ordering::SeqCst);
        let work = loop {
            let work = self.work.load(Ordering::SeqCst);
            if !work.is_null() {
                break work;
            }
            thread::park();
        };
        self.sleeps.store(false, Ordering::SeqCst);
        work
    }
}

/// Whether `there` becomes true while we look.
pub(crate) fn look(there: impl Fn() -> bool) -> bool {
    for _ in 0..LOOKS {
        if there() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_worker_takes_part_asleep_or_awake() {
        let team = Team::new(3).expect("threads");
        let done = [const { AtomicUsize::new(0) }; 3];
        team.install(|| {
            assert_eq!(threads(), 3);
            for round in 0..200 {
                if round % 20 == 0 {
                    thread::sleep(Duration::from_millis(3));
                }
                assert!(together(3, &|worker| {
                    done[worker].fetch_add(1, Ordering::Relaxed);
                    assert_eq!(threads(), 3);
                    if worker == round % 3 && round % 50 < 3 {
                        thread::sleep(Duration::from_millis(2));
                    }
                }));
            }
        });
        assert_eq!(done.map(AtomicUsize::into_inner), [200; 3]);
    }

    #[test]
    fn work_inside_work_and_beside_it_is_refused() {
        let team = Team::new(2).expect("threads");
        team.install(|| {
            assert!(together(2, &|_| assert!(!together(2, &|_| ()))));
            let shared = INSTALLED.with_borrow(|shared| Arc::clone(shared.as_ref().expect("installed")));
            assert!(together(2, &|_| assert!(!shared.together(2, &|_| ()))));
        });
    }

    #[test]
    fn a_panic_comes_back_and_the_team_goes_on() {
        let team = Team::new(2).expect("threads");
        team.install(|| {
            for bad in 0..2 {
                let panic = catch_unwind(AssertUnwindSafe(|| together(2, &|w| assert_ne!(w, bad, "worker"))));
                assert!(panic.is_err());
                assert!(together(2, &|_| ()));
            }
        });
    }
}
