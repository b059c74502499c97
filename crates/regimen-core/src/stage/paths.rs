//! Rows for one path of a net that has several: the others read zeros.

use regimen_base::{Error, Result};
use regimen_data::Features;
use regimen_nn::{Arch, Net, Taps, Want};

use crate::flat::Flat;
use crate::picks::{Content, Picks, Unit};

/// How many paths a net has, and how many numbers each reads.
pub fn paths_of(net: &dyn Net) -> Result<(usize, usize)> {
    match net.arch() {
        Arch::Mlp(mlp) => Ok((mlp.paths, mlp.inputs)),
        Arch::Decoder(_) => Err(Error::usage("a decoder has no paths").remedy("leave `path` out")),
    }
}

/// `features` at the share of `path` in a row for all `paths`.
///
/// # Errors
/// When there is no such path, or a row is not one path's.
pub fn placed(features: &Features, path: usize, (paths, inputs): (usize, usize)) -> Result<Features> {
    if path >= paths {
        return Err(Error::usage(format!("there is no path {path}: the model has {paths}")));
    }
    if features.values.len() != inputs {
        let what = format!("a row has {} numbers, a path reads {inputs}", features.values.len());
        return Err(Error::data(what).remedy("set the model's `inputs` to what the task makes"));
    }
    let mut values = vec![0.0; paths * inputs];
    values[path * inputs..(path + 1) * inputs].copy_from_slice(&features.values);
    Ok(Features { values, goal: features.goal.clone() })
}

/// A unit for one path.
pub(super) fn place(unit: &Unit, path: usize, of: (usize, usize)) -> Result<Unit> {
    match &unit.content {
        Content::Features(features) => {
            Ok(Unit { content: Content::Features(placed(features, path, of)?), ..unit.clone() })
        }
        Content::Tokens(_) => Err(Error::usage("tokens cannot go to one path of a net of numbers")),
    }
}

/// The mean of −log p over what is wanted of `units`, under the net as it is.
pub(super) fn loss_of(net: &mut dyn Net, units: &[Unit]) -> Result<f64> {
    let (picks, flat) = (Picks::of(units), Flat::of(units)?);
    let out = net.forward(&flat.inputs(&picks.picks, 1.0), Want::default(), &mut Taps::none())?;
    let logp = out.logp.into_data().try_into_vec::<f32>();
    let logp = logp.map_err(|e| Error::failed(format!("cannot read log-probs back: {e:?}")))?;
    let weight: f64 = picks.weight.iter().map(|&w| f64::from(w)).sum();
    let sum: f64 = logp.iter().zip(&picks.weight).map(|(p, &w)| f64::from(*p) * f64::from(w)).sum();
    Ok(if weight > 0.0 { -sum / weight } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use regimen_data::Goal;

    #[test]
    fn a_row_goes_to_its_path_and_the_others_read_zeros() {
        let row = Features { values: vec![1.0, 2.0], goal: Goal::Class(1) };
        let there = placed(&row, 1, (3, 2)).expect("it fits");
        assert_eq!((there.values, there.goal), (vec![0.0, 0.0, 1.0, 2.0, 0.0, 0.0], Goal::Class(1)));
        assert!(placed(&row, 3, (3, 2)).is_err_and(|e| e.what.contains("no path 3")));
        assert!(placed(&row, 0, (3, 4)).is_err_and(|e| e.what.contains("a path reads 4")));
    }
}
