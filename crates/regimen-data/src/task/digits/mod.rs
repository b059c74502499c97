//! `digits`: procedural handwriting, 8 × 8 numbers between about 0 and 1, for nets that read rows of numbers.
//!
//! A digit is a few strokes. An item draws its own slant, turn, size, place, pen and noise, so no two are alike and nothing
//! can be known by heart but by training on it. The strokes are ours: what is learned here says nothing of MNIST.
//!
//! *Permutation*: all pixels change places by one of a numbered series of permutations; 0 leaves them. Each is a task of its
//! own with the same classes, as in permuted MNIST.
//!
//! *Splits*: the split is part of the key that an item is drawn with, and items are made of real numbers, so none is in two.
//!
//! *Guess rate*: 1 / classes.

mod strokes;

use regimen_base::{Error, Key, Result, Rng, Split};
use serde_json::{Map, Value};

use super::{Judgement, Parse, Task};
use crate::{Body, Example, ExampleId, Features, Goal};
use strokes::{Point, STROKES};

/// Pixels of a side.
pub const SIDE: usize = 8;
/// Pixels.
pub const PIXELS: usize = SIDE * SIDE;

/// Key of the permutations, which do not depend on the run's seed.
const PERMUTATIONS: u64 = 0x6469_6769_7473;

/// The settings of `digits`.
#[derive(Clone, PartialEq, Debug)]
pub struct Digits {
    /// Which of the series of permutations; 0 leaves pixels where they are.
    pub permutation: u64,
    /// Which digits there are, each below 10.
    pub classes: Vec<u32>,
    /// How far slant, turn, size and place vary; 1 is handwriting.
    pub style: f64,
    /// Standard deviation of the noise on each pixel.
    pub noise: f64,
}

impl Default for Digits {
    fn default() -> Self {
        Self { permutation: 0, classes: (0..10).collect(), style: 1.0, noise: 0.1 }
    }
}

/// The task with its permutation at hand.
pub struct DigitsTask {
    settings: Digits,
    /// Where each pixel goes.
    order: Vec<usize>,
}

impl DigitsTask {
    /// The task of these settings.
    ///
    /// # Errors
    /// Classes that are no digits, or none, or one twice; a style or a noise that is no number from 0 up.
    pub fn new(settings: Digits) -> Result<Self> {
        let mut seen = Vec::new();
        for &class in &settings.classes {
            if class > 9 || seen.contains(&class) {
                return Err(Error::usage(format!("{class} is no digit, or stands there twice"))
                    .remedy("give each digit from 0 to 9 at most once"));
            }
            seen.push(class);
        }
        let sound = |x: f64| x.is_finite() && x >= 0.0;
        if seen.is_empty() || !sound(settings.style) || !sound(settings.noise) {
            return Err(Error::usage("digits need a class, and a style and a noise from 0 up"));
        }
        let mut order: Vec<usize> = (0..PIXELS).collect();
        if settings.permutation > 0 {
            Key::new(PERMUTATIONS).at(settings.permutation).rng().shuffle(&mut order);
        }
        Ok(Self { settings, order })
    }

    fn pixels(&self, class: u32, rng: &mut Rng) -> Vec<f32> {
        let style = self.settings.style;
        let mut vary = |by: f64| style * by * (2.0 * rng.f64() - 1.0);
        let (turn, slant) = (vary(0.25), vary(0.35));
        let (wide, high) = (1.0 + vary(0.18), 1.0 + vary(0.15));
        let (right, down) = (vary(0.09), vary(0.09));
        let pen = 0.07 + vary(0.025);
        let strokes: Vec<Vec<Point>> = STROKES[class as usize]
            .iter()
            .map(|stroke| {
                let place = |&(x, y): &Point| {
                    let (x, y) = ((x - 0.5) * wide + slant * (0.5 - y), (y - 0.5) * high);
                    let (sin, cos) = turn.sin_cos();
                    (0.5 + right + x * cos - y * sin, 0.5 + down + x * sin + y * cos)
                };
                stroke.iter().map(place).collect()
            })
            .collect();
        let mut pixels = vec![0.0; PIXELS];
        for (i, &to) in self.order.iter().enumerate() {
            let centre = |n: usize| (n as f64 + 0.5) / SIDE as f64;
            let here = (centre(i % SIDE), centre(i / SIDE));
            let far = strokes.iter().flat_map(|s| s.windows(2)).map(|w| distance(here, w[0], w[1]));
            let far = far.fold(f64::INFINITY, f64::min);
            // full inside the pen, nothing a pixel further out
            let ink = (1.0 - (far - pen) * SIDE as f64).clamp(0.0, 1.0);
            pixels[to] = (ink + self.settings.noise * rng.normal()) as f32;
        }
        pixels
    }
}

/// From a point to a segment.
fn distance((x, y): Point, (ax, ay): Point, (bx, by): Point) -> f64 {
    let (dx, dy) = (bx - ax, by - ay);
    let along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(1e-12)).clamp(0.0, 1.0);
    let (ox, oy) = (x - ax - along * dx, y - ay - along * dy);
    (ox * ox + oy * oy).sqrt()
}

impl Task for DigitsTask {
    fn name(&self) -> &'static str {
        "digits"
    }

    fn example(&self, _: Split, key: Key) -> Example {
        let mut rng = key.rng();
        let class = self.settings.classes[rng.index(self.settings.classes.len())];
        let goal = Goal::Class(class);
        let body = Body::Features(Features { values: self.pixels(class, &mut rng), goal });
        let mut columns = Map::new();
        columns.insert("task".to_owned(), Value::from("digits"));
        let id = ExampleId { source: 0, index: 0 };
        Example { answer: Some(class.to_string()), columns, ..Example::new(id, body) }
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        let parse = match reply.trim().parse::<u32>() {
            Ok(digit) if digit < 10 => Parse::Answer,
            Err(_) if reply.trim().is_empty() => Parse::Missing,
            Ok(_) | Err(_) => Parse::Malformed,
        };
        let right = example.answer.as_deref() == Some(reply.trim());
        Judgement { score: f64::from(u8::from(right)), parse }
    }

    fn alphabet(&self) -> String {
        "0123456789".to_owned()
    }
}

#[cfg(test)]
mod tests;
