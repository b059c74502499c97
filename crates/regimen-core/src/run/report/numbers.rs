//! Numbers as people read them.

/// Three digits and a unit prefix: `6.14 M`. A no-break space keeps them together.
pub(super) fn si(value: f64) -> String {
    let scales = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    // 999.95 k would round to 1000 k: the next prefix takes over a little early
    match scales.iter().find(|(scale, _)| value.abs() >= 0.9995 * scale) {
        Some((scale, prefix)) => format!("{}\u{a0}{prefix}", digits(value / scale)),
        None => digits(value),
    }
}

/// A count in full, its thousands apart: `12 288`.
pub(super) fn count(value: u64) -> String {
    let text = value.to_string();
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i > 0 && (text.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// About three significant digits, without trailing zeros.
pub(super) fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..6.0).contains(&magnitude) {
        return format!("{value:.1e}").replace('-', "−");
    }
    let decimals = (2.0 - magnitude).clamp(0.0, 7.0) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

/// A time span: `0.42 s`, `38 s`, `2 min 5 s`, `1 h 3 min`.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 59.5 {
        return format!("{}\u{a0}s", if seconds < 9.95 { digits(seconds) } else { format!("{seconds:.0}") });
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}\u{a0}h {minutes}\u{a0}min")
    } else {
        format!("{minutes}\u{a0}min {rest}\u{a0}s")
    }
}

/// A share in percent with one decimal, without the sign.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let cases = [(0.0, "0"), (12.0, "12"), (999.0, "999"), (6_144_000.0, "6.14 M"), (999_960.0, "1 M")];
        for (value, text) in cases {
            assert_eq!(si(value).replace('\u{a0}', " "), text);
        }
        assert_eq!(si(1.5e15).replace('\u{a0}', " "), "1.5 P");
    }

    #[test]
    fn three_digits() {
        for (value, text) in
            [(2.5012, "2.5"), (0.012345, "0.0123"), (-4.5, "−4.5"), (123.4, "123"), (3e-9, "3.0e−9")]
        {
            assert_eq!(digits(value), text);
        }
        assert_eq!(count(1_234_567).replace('\u{202f}', " "), "1 234 567");
    }

    #[test]
    fn spans() {
        let cases = [
            (0.4213, "0.421 s"),
            (38.4, "38 s"),
            (59.6, "1 min 0 s"),
            (125.0, "2 min 5 s"),
            (3780.0, "1 h 3 min"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds).replace('\u{a0}', " "), text);
        }
    }
}
