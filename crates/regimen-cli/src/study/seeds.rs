//! `0..8`, `3`, `0,2,5..7`: which seeds.

use std::str::FromStr;

/// Seeds as typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seeds(pub Vec<u64>);

/// More than this is a slip.
const MOST: u64 = 1000;

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |t: &str| t.trim().parse::<u64>().map_err(|_| format!("`{t}` is no seed; write 0..8 or 0,3,5"));
        let mut seeds: Vec<u64> = Vec::new();
        for part in text.split(',') {
            let (from, to) = match part.split_once("..") {
                None => (number(part)?, number(part)?.saturating_add(1)),
                Some((from, to)) => match to.strip_prefix('=') {
                    Some(to) => (number(from)?, number(to)?.saturating_add(1)),
                    None => (number(from)?, number(to)?),
                },
            };
            if from >= to || to - from > MOST {
                return Err(format!("`{part}` is not between 1 and {MOST} seeds"));
            }
            seeds.extend(from..to);
        }
        let mut seen = seeds.clone();
        seen.sort_unstable();
        seen.dedup();
        if seen.len() < seeds.len() { Err("a seed is given twice".to_owned()) } else { Ok(Self(seeds)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists() {
        let read = |text: &str| text.parse::<Seeds>().map(|s| s.0);
        assert_eq!(read("0..3"), Ok(vec![0, 1, 2]));
        assert_eq!(read("100..=101, 7"), Ok(vec![100, 101, 7]));
        for bad in ["", "a", "3..3", "1,1", "0..2,1", "-1", "0..100000", "18446744073709551615"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
