//! Numbers as a reader wants them.

/// Four significant digits, without trailing zeros.
pub fn short(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return if v == 0.0 { "0".to_owned() } else { v.to_string() };
    }
    let magnitude = v.abs().log10().floor() as i32;
    if !(-5..15).contains(&magnitude) {
        return format!("{v:.3e}");
    }
    let text = format!("{v:.*}", (3 - magnitude).max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn four_digits() {
        let shown = [0.0, 0.05, -0.0123456, 1234.567, 99_999.0, 1e-9, 1e20, f64::INFINITY].map(short);
        assert_eq!(shown, ["0", "0.05", "-0.01235", "1235", "99999", "1.000e-9", "1.000e20", "inf"]);
    }
}
