//! Did you mean …?

/// The nearest of `names`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase().replace('_', "-");
    let scored = names.iter().map(|name| (closeness(&word, &name.to_lowercase().replace('_', "-")), *name));
    // the first of equals wins, so the order of the table decides
    let best = scored.fold(None, |best: Option<(f64, &str)>, next| match best {
        Some(b) if b.0 >= next.0 => Some(b),
        _ => Some(next),
    });
    best.filter(|(score, _)| *score >= 0.6).map(|(_, name)| name)
}

/// From 0 to 1. A word that is whole within the other, from an end of it, is near however short it is.
fn closeness(word: &str, name: &str) -> f64 {
    let spelling = strsim::normalized_damerau_levenshtein(word, name);
    let part_of = |a: &str, b: &str| {
        a.len() >= 3
            && (b.strip_prefix(a).is_some_and(|r| r.starts_with('-'))
                || b.strip_suffix(a).is_some_and(|r| r.ends_with('-')))
    };
    if part_of(word, name) || part_of(name, word) { spelling.max(0.7) } else { spelling }
}

/// ``did you mean `clip`?``, or nothing.
pub(crate) fn did_you_mean(word: &str, names: &[&str]) -> String {
    nearest(word, names).map_or_else(String::new, |name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        assert_eq!(nearest("clip-low", &["ratio", "clip", "clip-high"]), Some("clip"));
        assert_eq!(nearest("lenght", &["length", "lr"]), Some("length"));
        assert_eq!(nearest("Max_Grad_norm", &["max-grad-norm"]), Some("max-grad-norm"));
        assert_eq!(nearest("banana", &["lr", "seed"]), None);
        assert_eq!(nearest("", &["lr"]), None);
    }
}
