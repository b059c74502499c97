//! How long a stage lasts, or how often something happens: `"60st"`, `"2Mtok"`, `"3ep"`.

use std::fmt;
use std::str::FromStr;

/// A span of training time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Length {
    /// Optimiser steps.
    Steps(u64),
    /// Tokens that the model saw.
    Tokens(u64),
    /// Passes over the data of the stage's first stream.
    Epochs(f64),
}

/// Why a text is not a [`Length`].
#[derive(Clone, PartialEq, Debug)]
pub struct LengthError(String);

impl fmt::Display for LengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a length: write steps as \"60st\", tokens as \"2Mtok\", passes over the data as \"3ep\"",
            self.0
        )
    }
}

impl std::error::Error for LengthError {}

impl FromStr for Length {
    type Err = LengthError;

    fn from_str(text: &str) -> Result<Self, LengthError> {
        let bad = || LengthError(text.to_owned());
        let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').ok_or_else(bad)?;
        let (number, unit) = text.split_at(unit_at);
        let number: f64 = number.replace('_', "").parse().map_err(|_| bad())?;
        let (scale, unit) = match unit.chars().next() {
            Some('k') => (1e3, &unit[1..]),
            Some('M') => (1e6, &unit[1..]),
            Some('G') => (1e9, &unit[1..]),
            _ => (1.0, unit),
        };
        let count = number * scale;
        match unit {
            "ep" if scale == 1.0 && count > 0.0 => Ok(Self::Epochs(count)),
            "st" if count.fract() == 0.0 => Ok(Self::Steps(count as u64)),
            "tok" if count.fract() == 0.0 => Ok(Self::Tokens(count as u64)),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(n) => write!(f, "{n}st"),
            Self::Tokens(n) => write!(f, "{n}tok"),
            Self::Epochs(n) => write!(f, "{n}ep"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("60st".parse(), Ok(Length::Steps(60)));
        assert_eq!("1.5Mtok".parse(), Ok(Length::Tokens(1_500_000)));
        assert_eq!("10_000tok".parse(), Ok(Length::Tokens(10_000)));
        assert_eq!("0.5ep".parse(), Ok(Length::Epochs(0.5)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "60", "st", "60 st", "1.5st", "-3st", "0ep", "1.2.3st", "3kep", "5steps"] {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
    }
}
