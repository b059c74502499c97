//! Rasters turned, moved and made noisy: another view of the same item at every draw.

use regimen_base::{Error, Key, Result};

use super::{Notes, Transform};
use crate::{Body, Example};

/// Turns, shifts and adds noise to square rasters, by bilinear reading; outside there is 0. The first view of each group of
/// `views` may be left as it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Augment {
    /// Pixels of a side.
    pub side: usize,
    /// Pixels of shift at most, in each direction.
    pub shift: f64,
    /// Degrees of turn at most, either way.
    pub turn: f64,
    /// Standard deviation of the noise on each pixel.
    pub noise: f64,
    /// Of every so many views of an item the first is left as it is; 1 changes all.
    pub views: u64,
}

impl Augment {
    fn raster(&self, values: &[f32], key: Key) -> Vec<f32> {
        let mut rng = key.rng();
        let mut vary = |by: f64| by * (2.0 * rng.f64() - 1.0);
        let (sin, cos) = vary(self.turn).to_radians().sin_cos();
        let (right, down) = (vary(self.shift), vary(self.shift));
        let middle = (self.side as f64 - 1.0) / 2.0;
        let mut out = Vec::with_capacity(values.len());
        for i in 0..values.len() {
            let (x, y) = ((i % self.side) as f64 - middle - right, (i / self.side) as f64 - middle - down);
            let from = (middle + x * cos + y * sin, middle - x * sin + y * cos);
            out.push((self.read(values, from) + self.noise * rng.normal()) as f32);
        }
        out
    }

    /// The raster between its pixels.
    fn read(&self, values: &[f32], (x, y): (f64, f64)) -> f64 {
        let (left, top) = (x.floor(), y.floor());
        let pixel = |x: f64, y: f64| {
            let inside = |v: f64| v >= 0.0 && v < self.side as f64;
            if inside(x) && inside(y) { f64::from(values[y as usize * self.side + x as usize]) } else { 0.0 }
        };
        let (fx, fy) = (x - left, y - top);
        let row = |y: f64| (1.0 - fx) * pixel(left, y) + fx * pixel(left + 1.0, y);
        (1.0 - fy) * row(top) + fy * row(top + 1.0)
    }
}

impl Transform for Augment {
    fn name(&self) -> &'static str {
        "augment"
    }

    fn apply(&self, mut example: Example, key: Key, _: &mut Notes) -> Result<Vec<Example>> {
        let Body::Features(features) = &mut example.body else {
            return Err(Error::usage("`augment` changes rasters, and the example is none")
                .remedy("give the stream a task of rasters, such as `digits`"));
        };
        if features.values.len() != self.side * self.side {
            let (have, side) = (features.values.len(), self.side);
            return Err(Error::usage(format!("a row of {have} numbers is no raster of {side} × {side}"))
                .remedy("set `side` to what the task draws"));
        }
        if self.views <= 1 || !example.view.is_multiple_of(self.views) {
            features.values = self.raster(&features.values, key);
        }
        Ok(vec![example])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExampleId, Features, Goal};

    fn example(values: &[f32], view: u64) -> Example {
        let features = Features { values: values.to_vec(), goal: Goal::Class(0) };
        let id = ExampleId { source: 0, index: 0 };
        Example { view, ..Example::new(id, Body::Features(features)) }
    }

    fn values(augment: Augment, values: &[f32], view: u64) -> Vec<f32> {
        let key = Key::new(3).at(view);
        let done = augment.apply(example(values, view), key, &mut Notes::default()).expect("it fits");
        match &done[0].body {
            Body::Features(features) => features.values.clone(),
            other => panic!("{other:?}"),
        }
    }

    const STILL: Augment = Augment { side: 3, shift: 0.0, turn: 0.0, noise: 0.0, views: 1 };
    const RASTER: [f32; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];

    #[test]
    fn nothing_asked_for_changes_nothing() {
        assert_eq!(values(STILL, &RASTER, 0), RASTER);
    }

    #[test]
    fn the_raster_is_read_between_its_pixels_and_is_0_outside() {
        let read = |x, y| STILL.read(&RASTER, (x, y));
        assert_eq!((read(1.0, 1.0), read(0.5, 0.0), read(1.0, 1.5)), (5.0, 1.5, 6.5));
        assert_eq!((read(2.5, 0.0), read(-1.0, 0.0), read(0.0, 7.0)), (1.5, 0.0, 0.0));
    }

    #[test]
    fn views_differ_and_the_first_of_each_group_may_stay() {
        let augment = Augment { shift: 1.0, turn: 15.0, noise: 0.1, views: 4, ..STILL };
        assert_eq!(values(augment, &RASTER, 4), RASTER);
        let (a, b) = (values(augment, &RASTER, 5), values(augment, &RASTER, 6));
        assert!(a != RASTER && a != b);
        assert_eq!(a, values(augment, &RASTER, 5), "a view is a function of its key");
        assert!(values(Augment { views: 1, ..augment }, &RASTER, 4) != RASTER);
    }
}
