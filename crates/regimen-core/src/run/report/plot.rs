//! The effects of a study as one picture that stands alone, for a README.

use std::fmt::Write;

use super::effects::{picture_of, words_of};
use super::html::{escape, shortened};
use super::study::ClaimReport;

const WIDTH: f64 = 640.0;
/// A claim's heading, its numbers, and the dots with their axis.
const HEIGHT: f64 = 92.0;
const TOP: f64 = 8.0;
/// Characters of a heading that fit the width.
const LETTERS: usize = 84;

/// Colours that can be read on white and on black, since pages that show the file may be either.
const STYLE: &str = "text{font-family:system-ui,sans-serif;font-size:11px;fill:#888}.says{font-size:12px;font-weight:600}\
                     .grid line{stroke:#888;stroke-opacity:.3}.threshold{stroke:#888;stroke-width:1.2;stroke-dasharray:4 3}\
                     .bounds{fill:#888;fill-opacity:.35}.dot{fill:#3b82c4;fill-opacity:.6}.centre{fill:#3b82c4}";

/// A row for every claim, or part of one, that has numbers: a dot a seed, their mean, the deciding bounds, and the dashed
/// threshold. Empty when none has.
pub fn plot(claims: &[ClaimReport]) -> String {
    let mut rows = String::new();
    let mut count = 0.0;
    for claim in claims {
        let Some((effect, picture)) = claim.effect.as_ref().and_then(|e| Some((e, picture_of(e)?))) else {
            continue;
        };
        // of a part there is the rule alone, with the kind of bound in brackets at its end
        let rule = claim.rule.rsplit_once(" (").map_or(claim.rule.as_str(), |(rule, _)| rule);
        let heading =
            format!("{}: {}", claim.outcome, if claim.says.is_empty() { rule } else { &claim.says });
        let _ = write!(
            rows,
            "<g transform=\"translate(0 {})\">\n<text class=\"says\" x=\"14\" y=\"12\">{}</text>\n\
             <text x=\"14\" y=\"27\">{}</text>\n<g transform=\"translate(0 34)\">\n{picture}</g>\n</g>\n",
            TOP + count * HEIGHT,
            escape(&shortened(&heading, LETTERS)),
            escape(&words_of(effect)),
        );
        count += 1.0;
    }
    if count == 0.0 {
        return String::new();
    }
    let height = TOP + count * HEIGHT;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\">\n<style>{STYLE}</style>\n{rows}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::report::Effect;

    fn claim(rule: &str, seeds: &[Option<f64>]) -> ClaimReport {
        let seeds = seeds.iter().enumerate().map(|(i, v)| (i as u64, *v)).collect();
        let effect = Effect {
            seeds,
            estimate: Some(0.2),
            interval: Some((0.1, 0.3)),
            level: 0.9,
            above: Some(0.0),
            below: None,
        };
        ClaimReport {
            rule: rule.to_owned(),
            outcome: "held".to_owned(),
            effect: Some(effect),
            ..ClaimReport::default()
        }
    }

    #[test]
    fn every_claim_with_numbers_has_a_row() {
        let claims = [
            claim("a:m - b:m > 0 (one-sided paired t bound)", &[Some(0.1), Some(0.3), None]),
            ClaimReport { rule: "all of".to_owned(), ..ClaimReport::default() },
            claim("c<d", &[None]),
            ClaimReport { says: "A beats B.".to_owned(), ..claim("e:m > 0", &[Some(0.1)]) },
        ];
        let svg = plot(&claims);
        assert_eq!(svg.matches("class=\"says\"").count(), 2, "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("held: A beats B.</text>"));
        assert!(svg.contains("held: a:m - b:m &gt; 0</text>") && svg.starts_with("<svg xmlns="));
        assert_eq!(plot(&claims[1..3]), "");
    }
}
