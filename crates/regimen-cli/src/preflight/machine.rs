//! How much memory there is.

use std::fs;

/// Bytes; `None` where the system does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// All that this process may ever have.
    pub total: Option<u64>,
    /// What is free now.
    pub free: Option<u64>,
}

/// What the machine has, and what a container allows.
pub fn room() -> Room {
    let host = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let group = |file: &str| fs::read_to_string(format!("/sys/fs/cgroup/{file}")).unwrap_or_default();
    let limit = number(&group("memory.max")).or_else(|| number(&group("memory/memory.limit_in_bytes")));
    let used = number(&group("memory.current")).or_else(|| number(&group("memory/memory.usage_in_bytes")));
    combine(&host, limit, used)
}

fn combine(host: &str, limit: Option<u64>, used: Option<u64>) -> Room {
    let smaller = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    let left = limit.zip(used).map(|(limit, used)| limit.saturating_sub(used));
    Room {
        total: smaller(kibibytes(host, "MemTotal:"), limit),
        free: smaller(kibibytes(host, "MemAvailable:"), left),
    }
}

/// `max` is no number, and no limit.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "MemTotal:       8000000 kB\nMemFree:  1 kB\nMemAvailable:    5000000 kB\n";

    #[test]
    fn the_narrower_limit_counts() {
        let room = combine(HOST, None, None);
        assert_eq!(room, Room { total: Some(8_192_000_000), free: Some(5_120_000_000) });
        let room = combine(HOST, Some(2_000_000_000), Some(500_000_000));
        assert_eq!(room, Room { total: Some(2_000_000_000), free: Some(1_500_000_000) });
        assert_eq!(combine("", None, None), Room { total: None, free: None });
        assert_eq!(number("max\n"), None);
    }
}
