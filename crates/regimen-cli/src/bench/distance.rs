//! How far apart two cores are. Threads that work on one training hand work on to each other: where cores share no cache, as
//! those of two chiplets or sockets, that takes several times as long, and a virtual machine's cores move.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use regimen_core::run::Clock;

/// Round trips of a measurement, and measurements, of which the best counts.
const TRIPS: u32 = 2000;
const TIMES: u32 = 5;
/// Looks at the word before a thread lets others have its core.
const LOOKS: u32 = 1 << 14;

/// Nanoseconds for a word from one core to another and back; nothing where there is one core.
pub fn round_trip() -> Option<f64> {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return None;
    }
    let word = AtomicU32::new(0);
    let trips = || (0..TIMES * TRIPS).map(|i| 2 * i + 1);
    let mut best = f64::MAX;
    thread::scope(|scope| {
        scope.spawn(|| {
            for trip in trips() {
                wait(&word, trip);
                word.store(trip + 1, Ordering::Release);
            }
        });
        let mut clock = Clock::start();
        for (i, trip) in (1..).zip(trips()) {
            word.store(trip, Ordering::Release);
            wait(&word, trip + 1);
            if i % TRIPS == 0 {
                best = best.min(clock.seconds());
                clock = Clock::start();
            }
        }
    });
    Some(best * 1e9 / f64::from(TRIPS))
}

fn wait(word: &AtomicU32, value: u32) {
    let mut looks = 0;
    while word.load(Ordering::Acquire) != value {
        looks += 1;
        if looks % LOOKS == 0 {
            thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back() {
        if let Some(time) = round_trip() {
            assert!(time.is_finite() && time > 0.0, "{time}");
        }
    }
}
