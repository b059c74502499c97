//! The start weights of the peers, made here: what `torch.randn` draws after `manual_seed(0)`, times 0.02, to the last
//! bit or two of f32. So losses can be compared with PyTorch's where no checkpoint is at hand.

use regimen_nn::Params;

/// The 32-bit Mersenne Twister (Matsumoto and Nishimura 1998).
struct Twister {
    state: [u32; 624],
    at: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; 624];
        for i in 1..state.len() {
            let last = state[i - 1];
            state[i] = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let at = state.len();
        Self { state, at }
    }

    fn refill(&mut self) {
        let n = self.state.len();
        for i in 0..n {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % n] & 0x7fff_ffff);
            let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + 397) % n] ^ (y >> 1) ^ twist;
        }
        self.at = 0;
    }

    fn next(&mut self) -> u32 {
        if self.at == self.state.len() {
            self.refill();
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Below 1, in steps of 2⁻²⁴.
    fn uniform(&mut self) -> f32 {
        (self.next() & 0x00ff_ffff) as f32 / (1 << 24) as f32
    }

    /// Fills `out` as PyTorch fills a tensor of 16 numbers or more: Box and Muller's transform on blocks of 16, the
    /// first half of a block for the radii, the second for the angles.
    fn normal(&mut self, out: &mut [f32], std: f32) {
        for block in out.chunks_exact_mut(16) {
            block.fill_with(|| self.uniform());
            for j in 0..8 {
                let radius = (-2.0 * (1.0 - block[j]).ln()).sqrt();
                let (sin, cos) = (std::f32::consts::TAU * block[j + 8]).sin_cos();
                (block[j], block[j + 8]) = (radius * cos * std, radius * sin * std);
            }
        }
    }
}

/// Writes the start weights of the peers: normal(0, 0.02) for matrices, 1 for norms.
pub fn fill(params: &mut Params, layers: usize) {
    let mut twister = Twister::new(0);
    params.flat_mut().fill(1.0);
    let ends = ["model.embed_tokens", "lm_head"].map(str::to_owned);
    let parts =
        ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"];
    let blocks = (0..layers).flat_map(|l| parts.map(|part| format!("model.layers.{l}.{part}_proj")));
    for path in ends.into_iter().chain(blocks) {
        if let Some(matrix) = params.get_mut(&format!("{path}.weight")) {
            twister.normal(matrix, 0.02);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Size;
    use regimen_nn::Arch;

    #[test]
    fn the_generator_is_the_standard_one() {
        let mut twister = Twister::new(5489);
        let first = [twister.next(), twister.next()];
        assert_eq!(first, [3_499_211_612, 581_869_302]);
        for _ in 2..9999 {
            twister.next();
        }
        assert_eq!(twister.next(), 4_123_659_995, "the 10000th draw that C++ demands");
    }

    /// Numbers of the checkpoint that PyTorch wrote.
    #[test]
    fn weights_are_those_of_pytorch() {
        let shape = Size::Xs.shape();
        let layers = shape.layers;
        let mut params = Params::zeros(Arch::Decoder(shape).layout());
        fill(&mut params, layers);
        for (path, first) in [
            ("model.embed_tokens.weight", [-0.022_516_755, -0.023_047_203]),
            ("lm_head.weight", [0.038_952_91, 0.020_154_03]),
            ("model.layers.0.self_attn.q_proj.weight", [0.005_303_15, -0.015_816_25]),
            ("model.layers.1.mlp.down_proj.weight", [-0.054_944_86, -0.011_326_4]),
            ("model.norm.weight", [1.0, 1.0]),
        ] {
            let got = params.get(path).expect("it is in the layout");
            assert!(
                got.iter().zip(first).all(|(g, w): (&f32, f32)| (g - w).abs() < 1e-7),
                "{path}: {:?}",
                &got[..2]
            );
        }
    }
}
