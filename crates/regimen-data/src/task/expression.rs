//! Arithmetic expressions over natural numbers, read exactly: `(7-3)*5+8/2`.
//!
//! expr = term { (`+` | `-`) term }; term = factor { (`*` | `/`) factor }; factor = number | `(` expr `)`. No sign in
//! front of a number, no leading zeros; spaces count for nothing. Values may be negative on the way. A division must
//! be exact.

use super::answer::LONGEST;

/// What an expression says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// Its value; `None` where a division is not exact or a number does not fit.
    pub value: Option<i64>,
    /// The numbers in it, in order.
    pub numbers: Vec<u64>,
}

/// Reads all of `text`; `None` when it is no expression (or longer than [`LONGEST`] bytes, which bounds the depth).
/// Never panics.
pub fn read(text: &str) -> Option<Reading> {
    if text.len() > LONGEST {
        return None;
    }
    let mut reader = Reader { rest: text.as_bytes(), numbers: Vec::new() };
    let value = reader.sum()?;
    reader.next().is_none().then_some(Reading { value, numbers: reader.numbers })
}

struct Reader<'a> {
    rest: &'a [u8],
    numbers: Vec<u64>,
}

/// `None`: not an expression; `Some(None)`: one without a value.
type Value = Option<Option<i64>>;

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        let byte = self.next().filter(|b| wanted.contains(b))?;
        self.rest = &self.rest[1..];
        Some(byte)
    }

    fn sum(&mut self) -> Value {
        let mut value = self.product()?;
        while let Some(sign) = self.take(b"+-") {
            let right = self.product()?;
            value = both(value, right, |a, b| if sign == b'+' { a.checked_add(b) } else { a.checked_sub(b) });
        }
        Some(value)
    }

    fn product(&mut self) -> Value {
        let mut value = self.factor()?;
        while let Some(sign) = self.take(b"*/") {
            let right = self.factor()?;
            value =
                both(value, right, |a, b| if sign == b'*' { a.checked_mul(b) } else { exact_quotient(a, b) });
        }
        Some(value)
    }

    fn factor(&mut self) -> Value {
        if self.take(b"(").is_some() {
            let value = self.sum()?;
            self.take(b")")?;
            return Some(value);
        }
        self.number()
    }

    fn number(&mut self) -> Value {
        self.next()?;
        let length = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(length);
        if length == 0 || (length > 1 && digits[0] == b'0') {
            return None;
        }
        self.rest = rest;
        let value = digits.iter().try_fold(0i64, |n, d| n.checked_mul(10)?.checked_add(i64::from(d - b'0')));
        // a number that does not fit is none that a task gave: it must not pass for one that was
        self.numbers.push(value.map_or(u64::MAX, i64::unsigned_abs));
        Some(value)
    }
}

fn both(a: Option<i64>, b: Option<i64>, apply: impl Fn(i64, i64) -> Option<i64>) -> Option<i64> {
    apply(a?, b?)
}

fn exact_quotient(a: i64, b: i64) -> Option<i64> {
    (a.checked_rem(b)? == 0).then(|| a.checked_div(b)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Option<i64> {
        read(text).expect(text).value
    }

    #[test]
    fn reads_by_the_usual_precedence() {
        assert_eq!(value("1+2*3"), Some(7));
        assert_eq!(value("(1+2)*3"), Some(9));
        assert_eq!(value("8-3-2"), Some(3));
        assert_eq!(value("8/4/2"), Some(1));
        assert_eq!(value("3-5+4"), Some(2));
        assert_eq!(value(" ( 7 - 3 ) * 5 "), Some(20));
        assert_eq!(read("(7-3)*25").unwrap().numbers, [7, 3, 25]);
    }

    #[test]
    fn has_no_value_without_exact_division() {
        for text in ["7/2", "1/0", "0/0", "1/(2-2)", "99999999999999999999", "9999999999*9999999999"] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_expression() {
        for text in
            ["", "+", "1+", "-1", "+1", "1 2", "01", "(1", "1)", "()", "1.5", "a", "1**2", "2(3)", "١", "1=1"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&"(".repeat(100_000)), None);
        assert_eq!(value(&format!("{}1{}", "(".repeat(127), ")".repeat(127))), Some(1));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), near in "[0-9+*/() -]{0,60}") {
            read(&text);
            read(&near);
        }

        #[test]
        fn agrees_with_rust(a in 0i64..999, b in 1i64..999, c in 0i64..999) {
            prop_assert_eq!(value(&format!("{a}-{b}*{c}")), Some(a - b * c));
            prop_assert_eq!(value(&format!("({a}-{b})*{c}")), Some((a - b) * c));
            prop_assert_eq!(value(&format!("{a}/{b}")), (a % b == 0).then(|| a / b));
        }
    }
}
