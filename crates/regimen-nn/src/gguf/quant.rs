//! The number formats of GGUF, after `ggml-quants.c`. A block holds 32 numbers, or 256 of the K-quants; d and m are its
//! scale and its offset.

use regimen_kernels::Half;

/// A number format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(non_camel_case_types, missing_docs, reason = "the format's own names")]
pub enum Kind {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// Format, number in the file, numbers in a block, bytes of a block.
const KINDS: [(Kind, u32, usize, usize); 13] = [
    (Kind::F32, 0, 1, 4),
    (Kind::F16, 1, 1, 2),
    (Kind::BF16, 30, 1, 2),
    (Kind::Q4_0, 2, 32, 18),
    (Kind::Q4_1, 3, 32, 20),
    (Kind::Q5_0, 6, 32, 22),
    (Kind::Q5_1, 7, 32, 24),
    (Kind::Q8_0, 8, 32, 34),
    (Kind::Q2_K, 10, 256, 84),
    (Kind::Q3_K, 11, 256, 110),
    (Kind::Q4_K, 12, 256, 144),
    (Kind::Q5_K, 13, 256, 176),
    (Kind::Q6_K, 14, 256, 210),
];

impl Kind {
    /// The format with this number.
    pub fn of(type_id: u32) -> Option<Self> {
        KINDS.iter().find(|k| k.1 == type_id).map(|k| k.0)
    }

    /// All formats.
    pub fn names() -> String {
        KINDS.map(|k| format!("{:?}", k.0)).join(", ")
    }

    fn facts(self) -> (u32, usize, usize) {
        KINDS.iter().find(|k| k.0 == self).map_or((0, 1, 4), |k| (k.1, k.2, k.3))
    }

    /// Its number in files.
    pub fn id(self) -> u32 {
        self.facts().0
    }

    /// Numbers in a block.
    pub fn block(self) -> usize {
        self.facts().1
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        self.facts().2
    }
}

/// The numbers of whole blocks.
pub(super) fn dequantise(kind: Kind, bytes: &[u8]) -> Vec<f32> {
    let mut out = Vec::with_capacity(bytes.len() / kind.bytes() * kind.block());
    let block: fn(&[u8], &mut Vec<f32>) = match kind {
        Kind::F32 => |b, out| out.push(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        Kind::F16 => |b, out| out.push(half(b, 0)),
        Kind::BF16 => |b, out| out.push(Half::Bf16.widen(u16::from_le_bytes([b[0], b[1]]))),
        Kind::Q4_0 => |b, out| nibbles(&b[2..], |q| half(b, 0) * (q - 8.0), out),
        Kind::Q4_1 => |b, out| nibbles(&b[4..], |q| half(b, 0) * q + half(b, 2), out),
        Kind::Q5_0 => |b, out| fives(&b[2..], |q| half(b, 0) * (q - 16.0), out),
        Kind::Q5_1 => |b, out| fives(&b[4..], |q| half(b, 0) * q + half(b, 2), out),
        Kind::Q8_0 => |b, out| out.extend(b[2..].iter().map(|q| half(b, 0) * f32::from(*q as i8))),
        Kind::Q2_K => q2_k,
        Kind::Q3_K => q3_k,
        Kind::Q4_K => q4_k,
        Kind::Q5_K => q5_k,
        Kind::Q6_K => q6_k,
    };
    bytes.chunks_exact(kind.bytes()).for_each(|b| block(b, &mut out));
    out
}

fn half(b: &[u8], at: usize) -> f32 {
    Half::F16.widen(u16::from_le_bytes([b[at], b[at + 1]]))
}

/// 16 low, then 16 high halves of 16 bytes.
fn nibbles(q: &[u8], number: impl Fn(f32) -> f32, out: &mut Vec<f32>) {
    out.extend(q.iter().map(|q| number(f32::from(q & 15))));
    out.extend(q.iter().map(|q| number(f32::from(q >> 4))));
}

/// As [`nibbles`], with the fifth bits in the first four bytes.
fn fives(b: &[u8], number: impl Fn(f32) -> f32, out: &mut Vec<f32>) {
    let high = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let fifth = |j: usize| ((high >> j & 1) << 4) as u8;
    let q = &b[4..];
    out.extend(q.iter().enumerate().map(|(j, q)| number(f32::from(q & 15 | fifth(j)))));
    out.extend(q.iter().enumerate().map(|(j, q)| number(f32::from(q >> 4 | fifth(j + 16)))));
}

fn q2_k(b: &[u8], out: &mut Vec<f32>) {
    let (scales, quants, d, m) = (&b[..16], &b[16..80], half(b, 80), half(b, 82));
    let mut scales = scales.iter();
    for q in quants.chunks_exact(32) {
        for shift in [0, 2, 4, 6] {
            for (q, scale) in q.chunks_exact(16).zip(scales.by_ref()) {
                let (d, m) = (d * f32::from(scale & 15), m * f32::from(scale >> 4));
                out.extend(q.iter().map(|q| d * f32::from(q >> shift & 3) - m));
            }
        }
    }
}

fn q3_k(b: &[u8], out: &mut Vec<f32>) {
    let (high, quants, packed, d) = (&b[..32], &b[32..96], &b[96..108], half(b, 108));
    // 16 scales of 6 bits: low halves in the first 8 bytes, high bits in the last 4
    let scale = |i: usize| {
        let low = if i < 8 { packed[i] & 15 } else { packed[i - 8] >> 4 };
        let high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
        d * (f32::from(low | high << 4) - 32.0)
    };
    let (mut i, mut bit) = (0, 0);
    for q in quants.chunks_exact(32) {
        for shift in [0, 2, 4, 6] {
            for (q, high) in q.chunks_exact(16).zip(high.chunks_exact(16)) {
                let d = scale(i);
                let number =
                    |q: u8, h: u8| f32::from(q >> shift & 3) - if h >> bit & 1 == 1 { 0.0 } else { 4.0 };
                out.extend(q.iter().zip(high).map(|(q, h)| d * number(*q, *h)));
                i += 1;
            }
            bit += 1;
        }
    }
}

/// The i-th of 8 scales and offsets of 6 bits in 12 bytes.
fn six_bits(packed: &[u8], i: usize) -> (f32, f32) {
    let (scale, offset) = if i < 4 {
        (packed[i] & 63, packed[i + 4] & 63)
    } else {
        (packed[i + 4] & 15 | packed[i - 4] >> 6 << 4, packed[i + 4] >> 4 | packed[i] >> 6 << 4)
    };
    (f32::from(scale), f32::from(offset))
}

fn q4_k(b: &[u8], out: &mut Vec<f32>) {
    let (d, m, packed, quants) = (half(b, 0), half(b, 2), &b[4..16], &b[16..]);
    for (i, q) in quants.chunks_exact(32).enumerate() {
        for (j, shift) in [0, 4].into_iter().enumerate() {
            let (scale, offset) = six_bits(packed, 2 * i + j);
            out.extend(q.iter().map(|q| d * scale * f32::from(q >> shift & 15) - m * offset));
        }
    }
}

fn q5_k(b: &[u8], out: &mut Vec<f32>) {
    let (d, m, packed, high, quants) = (half(b, 0), half(b, 2), &b[4..16], &b[16..48], &b[48..]);
    for (i, q) in quants.chunks_exact(32).enumerate() {
        for (j, shift) in [0, 4].into_iter().enumerate() {
            let (scale, offset) = six_bits(packed, 2 * i + j);
            let number = |q: u8, h: u8| f32::from(q >> shift & 15 | (h >> (2 * i + j) & 1) << 4);
            out.extend(q.iter().zip(high).map(|(q, h)| d * scale * number(*q, *h) - m * offset));
        }
    }
}

fn q6_k(b: &[u8], out: &mut Vec<f32>) {
    let (low, high, scales, d) = (&b[..128], &b[128..192], &b[192..208], half(b, 208));
    for n in 0..2 {
        let (low, high, scales) = (&low[64 * n..], &high[32 * n..], &scales[8 * n..]);
        for quarter in 0..4 {
            for l in 0..32 {
                let q = low[l + 32 * (quarter % 2)] >> (4 * (quarter / 2)) & 15;
                let q = q | (high[l] >> (2 * quarter) & 3) << 4;
                out.push(d * f32::from(scales[2 * quarter + l / 16] as i8) * (f32::from(q) - 32.0));
            }
        }
    }
}

/// Whole blocks of F32, F16 or Q8_0; `None` for a format that is only read.
pub(super) fn quantise(kind: Kind, numbers: &[f32], out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::F32 => out.extend(numbers.iter().flat_map(|x| x.to_le_bytes())),
        Kind::F16 => out.extend(numbers.iter().flat_map(|x| Half::F16.narrow(*x).to_le_bytes())),
        Kind::Q8_0 => numbers.chunks(32).for_each(|block| q8_0(block, out)),
        _ => return None,
    }
    Some(())
}

/// d = max |x| / 127 in f16, then round(x / d) with the d that was not rounded, as llama.cpp does.
fn q8_0(block: &[f32], out: &mut Vec<u8>) {
    let d = block.iter().fold(0.0_f32, |m, x| m.max(x.abs())) / 127.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    out.extend(Half::F16.narrow(d).to_le_bytes());
    out.extend(block.iter().map(|x| (x * inverse).round() as i8 as u8));
}
