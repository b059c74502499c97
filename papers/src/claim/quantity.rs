//! The small language of quantities: `cot:ood - no-cot:ood`, `max(a:m, b:m)`, `slope(0.05: a:m, 0.4: b:m)`.
//!
//! ```text
//! sum     = [-] product { (+ | -) product }       blanks around + and -: arms have dashes in their names
//! product = [NUMBER *] atom
//! atom    = NUMBER | ARM:METRIC | ( sum ) | max(sum, …) | min(sum, …) | ln(sum) | slope(x: sum, …) | rank(x: sum, …)
//! ```

use regimen_stats::Quantity;

/// Turns `ARM`, `METRIC` into a quantity, or says what is wrong with it.
pub type Lookup<'a> = dyn Fn(&str, &str) -> Result<Quantity, String> + 'a;

/// The quantity that `text` describes.
pub fn parse(text: &str, lookup: &Lookup<'_>) -> Result<Quantity, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, lookup };
    let quantity = parser.sum()?;
    match parser.next() {
        None => Ok(quantity),
        Some(token) => Err(format!("{} is one too many", token.words())),
    }
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    /// A number, a name, or `ARM:METRIC`.
    Word(String),
    Sign(char),
}

impl Token {
    fn words(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = text.chars().collect();
    let is = |at: usize, c: char| chars.get(at) == Some(&c);
    // a star between slashes stands for every held-out set
    let star = |at: usize| at > 0 && is(at, '*') && is(at - 1, '/') && is(at + 1, '/');
    let inside =
        |at: usize| star(at) || chars.get(at).is_some_and(|c| c.is_alphanumeric() || "_./".contains(*c));
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if c.is_whitespace() {
            at += 1;
        } else if inside(at) {
            let start = at;
            // a dash or a colon belongs to a word when the word goes on behind it
            while inside(at) || (at < chars.len() && "-:".contains(chars[at]) && inside(at + 1)) {
                at += 1;
            }
            tokens.push(Token::Word(chars[start..at].iter().collect()));
        } else if "+-*(),:".contains(c) {
            tokens.push(Token::Sign(c));
            at += 1;
        } else {
            return Err(format!("`{c}` means nothing here"));
        }
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    lookup: &'a Lookup<'a>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn took(&mut self, sign: char) -> bool {
        let is = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.took(sign) {
            return Ok(());
        }
        let found = self.tokens.get(self.at).map_or("the end".to_owned(), Token::words);
        Err(format!("`{sign}` is missing before {found}"))
    }

    fn sum(&mut self) -> Result<Quantity, String> {
        let mut parts = Vec::new();
        let mut sign = if self.took('-') { -1.0 } else { 1.0 };
        loop {
            let (factor, part) = self.product()?;
            parts.push((sign * factor, part));
            sign = match (self.took('+'), self.took('-')) {
                (true, _) => 1.0,
                (_, true) => -1.0,
                _ => break,
            };
        }
        match parts.as_slice() {
            [(1.0, _)] => Ok(parts.remove(0).1),
            _ => Ok(Quantity::Sum(parts)),
        }
    }

    fn product(&mut self) -> Result<(f64, Quantity), String> {
        let number = match self.tokens.get(self.at) {
            Some(Token::Word(word)) => word.parse::<f64>().ok().filter(|x| x.is_finite()),
            _ => None,
        };
        match number {
            Some(x) => {
                self.at += 1;
                if self.took('*') { Ok((x, self.atom()?)) } else { Ok((1.0, Quantity::Constant(x))) }
            }
            None => Ok((1.0, self.atom()?)),
        }
    }

    fn atom(&mut self) -> Result<Quantity, String> {
        match self.next() {
            Some(Token::Sign('(')) => {
                let inner = self.sum()?;
                self.expect(')').map(|()| inner)
            }
            Some(Token::Word(word)) => match word.split_once(':') {
                Some((arm, metric)) => (self.lookup)(arm, metric),
                None if self.took('(') => self.call(&word),
                None => match word.parse::<f64>() {
                    Ok(x) if x.is_finite() => Ok(Quantity::Constant(x)),
                    _ => Err(format!("`{word}` alone is nothing: write ARM:METRIC")),
                },
            },
            Some(token) => Err(format!("{} stands where ARM:METRIC should", token.words())),
            None => Err("something is missing at the end".to_owned()),
        }
    }

    /// Behind the opening bracket.
    fn call(&mut self, name: &str) -> Result<Quantity, String> {
        let quantity = match name {
            "max" => Quantity::Highest(self.list()?),
            "min" => Quantity::Lowest(self.list()?),
            "ln" | "log" => self.sum()?.log(),
            "slope" => Quantity::Slope(self.places()?),
            "rank" => Quantity::Spearman(self.places()?),
            _ => return Err(format!("there is no `{name}(…)`: max, min, ln, slope, rank")),
        };
        self.expect(')').map(|()| quantity)
    }

    fn list(&mut self) -> Result<Vec<Quantity>, String> {
        let mut parts = vec![self.sum()?];
        while self.took(',') {
            parts.push(self.sum()?);
        }
        Ok(parts)
    }

    fn places(&mut self) -> Result<Vec<(f64, Quantity)>, String> {
        let mut parts = Vec::new();
        loop {
            let sign = if self.took('-') { -1.0 } else { 1.0 };
            let place = match self.next() {
                Some(Token::Word(word)) => word.parse::<f64>().ok().filter(|x| x.is_finite()),
                _ => None,
            };
            let place = place.ok_or("write a place before each: slope(0.1: a:m, 0.4: b:m)")?;
            self.expect(':')?;
            parts.push((sign * place, self.sum()?));
            if !self.took(',') {
                return Ok(parts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(arm: &str, metric: &str) -> Result<Quantity, String> {
        if arm == "gone" {
            return Err("no such arm".to_owned());
        }
        Ok(Quantity::of(arm, metric))
    }

    fn read(text: &str) -> Result<Quantity, String> {
        parse(text, &lookup)
    }

    #[test]
    fn arms_have_dashes_and_differences_blanks() {
        let of = Quantity::of;
        assert_eq!(read("cot:ood - no-cot:ood"), Ok(of("cot", "ood").minus(of("no-cot", "ood"))));
        assert_eq!(read("a:main/eval/x-1/loss"), Ok(of("a", "main/eval/x-1/loss")));
        assert_eq!(read("a:main/*/loss"), Ok(of("a", "main/*/loss")));
        assert_eq!(read("2 * a:main/loss"), Ok(Quantity::Sum(vec![(2.0, of("a", "main/loss"))])));
        assert_eq!(
            read("a:m - 0.5 * (b:m + c:m)"),
            Ok(Quantity::Sum(vec![
                (1.0, of("a", "m")),
                (-0.5, Quantity::Sum(vec![(1.0, of("b", "m")), (1.0, of("c", "m"))])),
            ]))
        );
        assert_eq!(read("-a:m"), Ok(Quantity::Sum(vec![(-1.0, of("a", "m"))])));
        assert_eq!(read("0.8"), Ok(Quantity::Constant(0.8)));
    }

    #[test]
    fn functions_take_lists_and_places() {
        let of = Quantity::of;
        assert_eq!(read("max(a:m, b:m)"), Ok(Quantity::Highest(vec![of("a", "m"), of("b", "m")])));
        assert_eq!(read("ln(a:m)"), Ok(of("a", "m").log()));
        assert_eq!(
            read("slope(0.05: a:m, 0.4: b:m - c:m)"),
            Ok(Quantity::Slope(vec![(0.05, of("a", "m")), (0.4, of("b", "m").minus(of("c", "m")))]))
        );
        assert!(matches!(read("rank(-1: a:m, 2: b:m)"), Ok(Quantity::Spearman(parts)) if parts[0].0 == -1.0));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("", "something is missing at the end"),
            ("a", "`a` alone is nothing: write ARM:METRIC"),
            ("a:m b:m", "`b:m` is one too many"),
            ("max(a:m", "`)` is missing before the end"),
            ("mean(a:m)", "there is no `mean(…)`: max, min, ln, slope, rank"),
            ("slope(a:m, b:m)", "write a place before each: slope(0.1: a:m, 0.4: b:m)"),
            ("a:m -", "something is missing at the end"),
            ("a:m / b:m", "`/` stands alone: blanks are missing or too many"),
            ("a:m % 2", "`%` means nothing here"),
            ("gone:m", "no such arm"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said == says || text.contains('/'), "{text}: {said}");
        }
    }
}
