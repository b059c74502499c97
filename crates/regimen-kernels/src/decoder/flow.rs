//! Gradients on their way down, and the operands of weight gradients.

use std::ops::Range;

use crate::shape::Shape;
use crate::simd::LANES;
use crate::strips::STRIP;
use crate::turns::Turn;

/// Gradients on their way down. The residual stream's is whole; the rest belongs to one chunk of rows in one layer, or to one
/// a thread.
#[derive(Default)]
pub(super) struct Flow {
    /// Of the residual stream above the layer, then below it; [ids, width].
    pub dx: Vec<f32>,
    /// Of the hidden states; [ids, width].
    pub dhidden: Vec<f32>,
    /// Hidden states' own gradients of one chunk of picks.
    pub dpicks: Vec<f32>,
    /// Of the rows of each chunk, before the feed-forward part and before attention.
    pub stats: [Vec<[f32; 2]>; 2],
    /// Operands of the head's weight gradient, then chunks, unless they find room where the logits were.
    pub room: Vec<f32>,
    pub places: Places,
    /// One a chunk.
    pub turns: Vec<Turn>,
}

/// Where the parts of a chunk lie, each at a multiple of 16 floats.
#[derive(Clone, Default)]
pub(super) struct Places {
    /// Rows of a strip or panel.
    pub cap: usize,
    pub dmid: Range<usize>,
    /// Of the norms' outputs, before the feed-forward part and before attention.
    pub dnormed: [Range<usize>; 2],
    pub datt: Range<usize>,
    pub dqkv: Range<usize>,
    /// Of q and k behind their norms (with qk_norm).
    pub dqk: Range<usize>,
    /// Left operands of weight gradients, in strips: d(down's output), d(inner), d(o's output), dqkv; then the
    /// gradients of their adapters' inner states.
    pub strips: [Range<usize>; 8],
    /// Right operands, in panels [width / 16][cap][16]: activation, norm's output, attention's output, norm's output;
    /// then their adapters' inner states; then what adapters that drop inputs see of them.
    pub panels: [Range<usize>; 12],
    /// Floats of all of them.
    pub len: usize,
}

impl Places {
    /// For chunks of at most `cap` rows.
    pub fn new(s: &Shape, cap: usize) -> Places {
        let (d, f, iw, a, w) = (s.width, s.ffn, s.inner_width(), s.q_width(), s.qkv_width());
        let mut len = 0;
        let mut take = |floats: usize| {
            let start = len;
            len = (start + floats).next_multiple_of(LANES);
            start..start + floats
        };
        let [dmid, dnormed0, dnormed1] = [(); 3].map(|()| take(cap * d));
        let [datt, dqkv] = [a, w].map(|width| take(cap * width));
        let dqk = take(if s.qk_norm { cap * (a + s.kv_width()) } else { 0 });
        let mut strips = [const { 0..0 }; 8];
        let mut panels = [const { 0..0 }; 12];
        let (left, right) = ([d, iw, d, w], [f, d, a, d]);
        for product in 0..4 {
            // three strips more than the whole width for entries that start their own
            strips[product] = take((left[product].div_ceil(STRIP) + 3) * LANES * cap);
            panels[product] = take(right[product].div_ceil(LANES) * LANES * cap);
            let Some(lora) = &s.lora else { continue };
            let parts = [1, 2, 1, 3][product];
            strips[4 + product] = take(parts * lora.rank.div_ceil(STRIP) * LANES * cap);
            panels[4 + product] = take(parts * lora.rank.div_ceil(LANES) * LANES * cap);
            if lora.dropout > 0.0 {
                panels[8 + product] = take(right[product].div_ceil(LANES) * LANES * cap);
            }
        }
        Places { cap, dmid, dnormed: [dnormed0, dnormed1], datt, dqkv, dqk, strips, panels, len }
    }
}
