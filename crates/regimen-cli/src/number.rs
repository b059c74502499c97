//! Numbers as people read them.

/// `999`, `12.3 k`, `4.56 M`, `7.89 G`.
pub fn count(value: f64) -> String {
    scaled(value, 1000.0, &["", " k", " M", " G", " T", " P"])
}

/// `512 B`, `1.50 MiB`.
pub fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB"])
}

/// `12.3 GFLOP`.
pub fn flops(value: f64) -> String {
    scaled(value, 1000.0, &[" FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP", " EFLOP"])
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    let whole = value.abs() < base;
    // 999.9 rounds up to the next unit
    while value.abs() >= base - 0.5 {
        let Some(next) = units.next() else { break };
        value /= base;
        unit = next;
    }
    let digits = match value.abs() {
        _ if whole && value.fract() == 0.0 => 0,
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{unit}")
}

/// `0.4 s`, `12 s`, `3 min 5 s`, `2 h 7 min`, `5 d 3 h`.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    if value < 9.95 {
        return format!("{value:.1} s");
    }
    let s = value.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `1 stage`, `3 stages`.
pub fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// Four significant digits, for losses and rewards.
pub fn reading(value: f64) -> String {
    match value.abs() {
        v if v >= 1e5 || (v > 0.0 && v < 1e-3) => format!("{value:.2e}"),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_three_digits() {
        let shown = [0.0, 7.0, 999.0, 999.7, 1000.0, 12_345.0, 299_600.0, 4.56e6, 1.2e18].map(count);
        assert_eq!(shown, ["0", "7", "999", "1.00 k", "1.00 k", "12.3 k", "300 k", "4.56 M", "1200 P"]);
        assert_eq!([512.0, 1536.0 * 1024.0, 3e9].map(bytes), ["512 B", "1.50 MiB", "2.79 GiB"]);
    }

    #[test]
    fn times_have_two_units() {
        let shown = [0.42, 9.97, 59.6, 185.0, 7620.0, 442_800.0, f64::INFINITY].map(seconds);
        assert_eq!(shown, ["0.4 s", "10 s", "1 min 0 s", "3 min 5 s", "2 h 7 min", "5 d 3 h", "unknown"]);
    }

    #[test]
    fn readings_keep_what_matters() {
        assert_eq!(
            [0.0, 0.12345, 12.3456, 123.456, 3.2e-5].map(reading),
            ["0.000", "0.123", "12.35", "123.5", "3.20e-5"]
        );
    }
}
