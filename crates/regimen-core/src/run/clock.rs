//! The only place that asks for the time. Nothing that training depends on may come from here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A stopwatch, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    last: Instant,
}

impl Clock {
    /// A stopwatch that runs from now on.
    pub fn start() -> Self {
        let now = Instant::now();
        Self { start: now, last: now }
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Seconds since the last call, or since the start.
    pub fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let lap = now.duration_since(self.last).as_secs_f64();
        self.last = now;
        lap
    }

    /// Seconds since 1970-01-01 00:00 UTC; 0 on a machine whose clock is set before that.
    pub fn unix() -> f64 {
        Self::seconds_of(Self::now())
    }

    /// Now, for the file system.
    pub(super) fn now() -> SystemTime {
        SystemTime::now()
    }

    /// A time of the file system in seconds since 1970-01-01 00:00 UTC.
    pub(super) fn seconds_of(time: SystemTime) -> f64 {
        time.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
    }

    /// A time of [`Clock::unix`] as `2026-11-23T07:30:00Z`.
    pub fn utc(unix: f64) -> String {
        let seconds = unix.max(0.0) as u64;
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of the `days`-th day after 1970-01-01 (Hinnant's `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153; // months from March on
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates_as_the_standard_does() {
        assert_eq!(Clock::utc(0.0), "1970-01-01T00:00:00Z");
        assert_eq!(Clock::utc(951_827_696.5), "2000-02-29T12:34:56Z");
        assert_eq!(Clock::utc(1_795_420_799.0), "2026-11-23T07:59:59Z");
        assert_eq!(Clock::utc(4_107_542_400.0), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn laps_add_up() {
        let mut clock = Clock::start();
        let laps = clock.lap() + clock.lap();
        assert!(laps >= 0.0 && laps <= clock.seconds());
    }
}
