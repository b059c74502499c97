//! Probes read what a net does with text, and change nothing: passes of their own, without gradients.

use std::collections::BTreeMap;

use regimen_base::{Error, Result};
use regimen_nn::{Net, Outputs, Rule, Taps, Want};

use crate::flat::Flat;
use crate::objective::{Reading, Readings};
use crate::picks::{Picks, Unit, micro_batches};

/// What a probe looks at.
pub struct Seen<'a> {
    /// The documents. A net does not read the last token of each.
    pub units: &'a [Unit],
    /// The places where a token with a weight is predicted.
    pub picks: &'a Picks,
    /// What the net puts out there.
    pub outputs: &'a Outputs,
    /// Activations at the sites that the probes asked for.
    pub activations: &'a BTreeMap<String, regimen_nn::Reading>,
}

/// Reads a pass.
pub trait Probe: Send {
    /// Sites whose activations it reads.
    fn sites(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether it reads logits.
    fn logits(&self) -> bool {
        false
    }
    /// What it reads, one micro-batch at a time.
    ///
    /// # Errors
    /// When the pass is not one that it understands.
    fn read(&self, seen: &Seen) -> Result<Vec<Reading>>;
}

/// When the probes of a stage read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Periods {
    /// Every so many steps; 0 is never.
    pub every: u64,
    /// Further steps.
    pub at: Vec<u64>,
}

impl Periods {
    /// Whether they read in this step, counted from 1.
    pub fn due(&self, step: u64) -> bool {
        (self.every != 0 && step.is_multiple_of(self.every)) || self.at.contains(&step)
    }
}

/// One pass over one micro-batch, under clamps: the log-prob of every pick, and what the probes read, each under its name.
///
/// # Errors
/// Inputs, clamps or sites that do not fit the net.
pub fn pass(
    net: &mut dyn Net,
    units: &[Unit],
    picks: &Picks,
    clamps: &[Rule],
    probes: &[(String, Box<dyn Probe>)],
    readings: &mut Readings,
) -> Result<Vec<f32>> {
    let flat = Flat::of(units)?;
    let mut sites: Vec<String> = probes.iter().flat_map(|(_, probe)| probe.sites()).collect();
    sites.sort_unstable();
    sites.dedup();
    let reads = sites.into_iter().map(|site| Rule::Read { site });
    let mut taps = Taps::new(clamps.iter().cloned().chain(reads).collect());
    let want = Want { logits: probes.iter().any(|(_, probe)| probe.logits()), ..Want::default() };
    let outputs = net.forward(&flat.inputs(&picks.picks, 1.0), want, &mut taps)?;
    let seen = Seen { units, picks, outputs: &outputs, activations: taps.readings() };
    for (name, probe) in probes {
        for reading in probe.read(&seen)? {
            let name =
                if name.is_empty() { reading.name.clone() } else { format!("{name}/{}", reading.name) };
            readings.add(Reading { name, ..reading });
        }
    }
    let logp = outputs.logp.into_data().try_into_vec::<f32>();
    logp.map_err(|e| Error::failed(format!("cannot read log-probs back: {e:?}")))
}

/// Lets the probes read a whole batch.
///
/// # Errors
/// As [`pass`].
pub fn look(
    net: &mut dyn Net,
    units: &[Unit],
    cap: usize,
    clamps: &[Rule],
    probes: &[(String, Box<dyn Probe>)],
    readings: &mut Readings,
) -> Result<()> {
    for range in micro_batches(units, cap) {
        let picks = Picks::of(&units[range.clone()]);
        if !picks.is_empty() {
            pass(net, &units[range], &picks, clamps, probes, readings)?;
        }
    }
    Ok(())
}
