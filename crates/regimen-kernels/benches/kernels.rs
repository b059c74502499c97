//! Each kernel at the shapes of the reference decoders, beside the roof that it could reach: `roof/product` for what
//! computes (operations a second of a large product), `roof/copy` for what moves (bytes a second of a large copy).
//!
//! `cargo bench -p regimen-kernels` prints rates: Gelem/s are GFLOP/s, GiB/s count every byte read or written once.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regimen_kernels::attention::{Heads, causal, causal_backward};
use regimen_kernels::gemm::{PackedMatrix, by_packed};
use regimen_kernels::rope::{RopeTable, rope};
use regimen_kernels::strips::{Strips, tn_packed};
use regimen_kernels::{
    AdamW, Decoding, Layout, Norm, Reference, activation, adamw, first_not_finite, global_norm, norm,
};

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 31 % 193) as f32 - 96.0) * 1e-2).collect()
}

fn flops(n: usize) -> Throughput {
    Throughput::Elements(n as u64)
}

/// Bytes of so many floats.
fn floats(n: usize) -> Throughput {
    Throughput::Bytes(4 * n as u64)
}

fn roof(c: &mut Criterion) {
    let mut group = c.benchmark_group("roof");
    let n = 960;
    let (x, w, mut y) = (numbers(n * n), numbers(n * n), vec![0.0; n * n]);
    let mut packed = PackedMatrix::default();
    packed.weights(&w, n, n);
    group.throughput(flops(2 * n * n * n));
    group.bench_function("product", |b| b.iter(|| by_packed(&mut y, &x, n, &packed, false)));
    let (from, mut to) = (numbers(1 << 24), vec![0.0f32; 1 << 24]);
    group.throughput(floats(2 << 24));
    group.bench_function("copy", |b| b.iter(|| to.copy_from_slice(black_box(&from))));
    group.finish();
}

/// The products of a layer's feed-forward part: forward, and the two of the backward pass.
fn products(c: &mut Criterion) {
    for r in Reference::ALL {
        let mut group = c.benchmark_group(format!("product/{}", r.name));
        let (m, k, n) = (r.batch * r.context, r.shape.width, 2 * r.shape.ffn);
        let (x, w, dy) = (numbers(m * k), numbers(n * k), numbers(m * n));
        let (mut y, mut dx, mut dw) = (vec![0.0; m * n], vec![0.0; m * k], vec![0.0; n * k]);
        let (mut forward, mut backward) = (PackedMatrix::default(), PackedMatrix::default());
        forward.weights(&w, n, k);
        backward.plain(&w, n, k);
        group.throughput(flops(2 * m * k * n));
        group.bench_function("y = x·Wᵀ", |b| b.iter(|| by_packed(&mut y, &x, m, &forward, false)));
        group.bench_function("dx = dy·W", |b| b.iter(|| by_packed(&mut dx, &dy, m, &backward, false)));
        let (mut strips, mut panels) = (Strips::default(), PackedMatrix::default());
        strips.fill(&dy, m, n);
        panels.plain(&x, m, k);
        group.bench_function("dW += dyᵀ·x", |b| b.iter(|| tn_packed(&mut dw, &strips, &panels)));
        group.throughput(floats(2 * n * k));
        group.bench_function("packing", |b| b.iter(|| forward.weights(black_box(&w), n, k)));
        group.finish();
    }
}

fn attentions(c: &mut Criterion) {
    for r in Reference::ALL {
        let mut group = c.benchmark_group(format!("attention/{}", r.name));
        let (s, rows) = (&r.shape, r.batch * r.context);
        let heads = Heads { heads: s.heads, kv_heads: s.kv_heads, head_dim: s.head_dim };
        let starts: Vec<u32> = (0..=r.batch).map(|i| (i * r.context) as u32).collect();
        let (qkv, dout) = (numbers(rows * s.qkv_width()), numbers(rows * s.q_width()));
        let (mut out, mut lse) = (vec![0.0; rows * s.q_width()], vec![0.0; rows * s.heads]);
        let mut dqkv = vec![0.0; qkv.len()];
        // two products over the causal half forward, five backward
        let half = r.batch * s.q_width() * r.context * r.context;
        group.throughput(flops(2 * half));
        group.bench_function("forward", |b| b.iter(|| causal(&mut out, &mut lse, &qkv, &starts, heads)));
        group.throughput(flops(5 * half));
        group.bench_function("backward", |b| {
            b.iter(|| causal_backward(&mut dqkv, &dout, &qkv, &out, &lse, &starts, heads));
        });
        group.finish();
    }
}

/// What works element by element, on one thread and on one block of rows, as inside a layer.
fn rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("rows");
    let (r, rows) = (Reference::SMALL, 128);
    let (d, f, kind) = (r.shape.width, r.shape.ffn, r.shape.activation);
    let (x, dy, w) = (numbers(rows * d), numbers(rows * d), numbers(d));
    let (mut y, mut stats) = (vec![0.0; rows * d], vec![[0.0; 2]; rows]);
    group.throughput(floats(2 * rows * d));
    group.bench_function("norm", |b| b.iter(|| norm::norm(&mut y, &x, d, &w, None, 1e-5, Norm::Rms)));
    group.throughput(floats(3 * rows * d));
    group.bench_function("norm backward", |b| {
        b.iter(|| norm::norm_backward(&mut y, None, &dy, &x, d, &w, 1e-5, Norm::Rms, &mut stats));
    });
    let (inner, mut h, mut dinner) = (numbers(rows * 2 * f), numbers(rows * f), vec![0.0; rows * 2 * f]);
    group.throughput(floats(3 * rows * f));
    group.bench_function("activation", |b| b.iter(|| activation::activation(&mut h, f, &inner, f, kind)));
    group.throughput(floats(6 * rows * f));
    group.bench_function("activation backward", |b| {
        b.iter(|| activation::activation_backward(&mut dinner, &inner, &mut h, [2 * f, f], f, kind));
    });
    let mut table = RopeTable::new(&r.shape.inv_freq());
    table.reach(rows);
    let positions: Vec<u32> = (0..rows as u32).collect();
    let mut qkv = numbers(rows * r.shape.qkv_width());
    group.throughput(floats(2 * rows * 2 * d));
    group.bench_function("rope", |b| {
        let (w, heads, head_dim) = (r.shape.qkv_width(), 2 * r.shape.heads, r.shape.head_dim);
        b.iter(|| rope(&mut qkv, w, heads, head_dim, &positions, &table, false));
    });
    group.finish();
}

/// Once a step over all parameters.
fn parameters(c: &mut Criterion) {
    let mut group = c.benchmark_group("parameters/small");
    let n = Layout::new(&Reference::SMALL.shape).len();
    let (mut w, g, mut m, mut v) = (numbers(n), numbers(n), vec![0.0; n], vec![0.0; n]);
    let hp = AdamW { lr: 1e-6, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 };
    group.throughput(floats(7 * n));
    group.bench_function("adamw", |b| b.iter(|| adamw(&mut w, &g, &mut m, &mut v, 9, 1.0, &hp)));
    group.throughput(floats(n));
    group.bench_function("norm of gradients", |b| b.iter(|| global_norm(black_box(&g))));
    group.bench_function("check of weights", |b| b.iter(|| first_not_finite(black_box(&w))));
    group.finish();
}

/// One token for each of 64 rows, 64 tokens behind each.
fn decoding(c: &mut Criterion) {
    for r in Reference::ALL {
        let mut group = c.benchmark_group(format!("decoding/{}", r.name));
        let layout = Layout::new(&r.shape);
        let weights = numbers(layout.len());
        let mut decoding = Decoding::new(&r.shape, &layout, 64, 65).expect("a valid shape");
        decoding.load(&weights);
        let rows: Vec<(usize, u32)> = (0..64).map(|slot| (slot, 1)).collect();
        let prompt = vec![1; 64];
        let prompts: Vec<(usize, &[u32])> = (0..64).map(|slot| (slot, prompt.as_slice())).collect();
        let matrices = layout.len() - r.shape.vocab * r.shape.width;
        group.throughput(flops(2 * 64 * matrices));
        group.bench_function("token", |b| {
            b.iter_custom(|times| {
                let mut all = Duration::ZERO;
                for _ in 0..times {
                    (0..64).for_each(|slot| decoding.free(slot));
                    decoding.prefill(&prompts);
                    let clock = Instant::now();
                    black_box(decoding.step(&rows));
                    all += clock.elapsed();
                }
                all
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_millis(500))
        .warm_up_time(Duration::from_millis(100));
    targets = roof, products, attentions, rows, parameters, decoding
}
criterion_main!(kernels);
