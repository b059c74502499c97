//! RMSNorm and LayerNorm over the last axis.

use burn::Tensor;
use regimen_kernels::Norm;

use super::pass::Pass;

impl Pass<'_> {
    /// The model's own norm, with the weights `{path}.weight` and, for LayerNorm, `{path}.bias`.
    pub(super) fn norm<const D: usize>(&self, path: &str, x: Tensor<D>) -> Tensor<D> {
        let x = match self.shape.norm {
            Norm::Rms => x,
            Norm::Layer => x.clone() - x.mean_dim(D - 1),
        };
        self.rms(path, x)
    }

    /// x / √(mean(x²) + ε), scaled and shifted (Zhang and Sennrich 2019; on centred x it is Ba et al. 2016).
    pub(super) fn rms<const D: usize>(&self, path: &str, x: Tensor<D>) -> Tensor<D> {
        let scale = x.clone().square().mean_dim(D - 1).add_scalar(self.shape.norm_eps).sqrt();
        let weight = self.weights.vector(&format!("{path}.weight")).expect("every norm has a weight");
        let y = x / scale * weight.unsqueeze();
        match self.weights.vector(&format!("{path}.bias")) {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        }
    }
}
