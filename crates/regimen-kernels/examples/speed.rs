//! Training and decoding speed on random weights, beside what the matrix products alone would take here.
//!
//! `cargo run --release -p regimen-kernels --example speed [xs|tiny|small|all] [steps] [train|decode]`

#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::time::Instant;

use regimen_kernels::gemm::{PackedMatrix, by_packed};
use regimen_kernels::{
    AdamW, Decoder, Decoding, Grads, Layout, Pick, Reference, Rows, Sampling, Scratch, Team, Upstream, adamw,
    draw, level, threads,
};

/// Draws below n: the stream of the comparison scripts.
struct Lcg(u64);

impl Lcg {
    fn draw(&mut self, n: usize) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as u32
    }

    fn uniform(&mut self) -> f64 {
        f64::from(self.draw(1 << 30)) / f64::from(1 << 30)
    }
}

fn weights(layout: &Layout) -> Vec<f32> {
    let mut rng = Lcg(7);
    let mut w = Vec::with_capacity(layout.len());
    for e in &layout.entries {
        let norm = e.shape.len() == 1;
        w.extend((0..e.len()).map(|_| if norm { 1.0 } else { (rng.uniform() as f32 - 0.5) * 0.07 }));
    }
    w
}

/// CPU seconds of all threads so far, waiting awake for work among them: steadier than the clock on a machine that others use too.
fn cpu() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// GFLOP/s of a large product with packed operands, at its best moment, if all threads had a core.
fn peak() -> f64 {
    let n = 960;
    let (x, w) = (vec![0.5; n * n], vec![0.25; n * n]);
    let mut c = vec![0.0; n * n];
    let mut packed = PackedMatrix::default();
    packed.weights(&w, n, n);
    let mut best = f64::MAX;
    for _ in 0..8 {
        let t = cpu();
        (0..3).for_each(|_| by_packed(&mut c, &x, n, &packed, false));
        best = best.min((cpu() - t) / 3.0);
    }
    2e-9 * (n * n * n) as f64 / best * threads() as f64
}

fn median(x: &mut [f64]) -> f64 {
    x.sort_by(f64::total_cmp);
    x[x.len() / 2]
}

fn peak_rss_mb() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kb| kb / 1024)
}

fn train(s: &Reference, steps: usize, peak: f64) {
    let layout = Layout::new(&s.shape);
    let mut w = weights(&layout);
    let (mut m, mut v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
    let mut grads = Grads::new(&layout);
    let mut decoder = Decoder::new(&s.shape, &layout).expect("a valid shape");
    let n = s.context * s.batch;
    let starts: Vec<u32> = (0..=s.batch).map(|b| (b * s.context) as u32).collect();
    let dlogp = vec![-1.0 / n as f32; n];
    let hp = AdamW { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 };
    let mut rng = Lcg(1_234_567);
    let (crew, mut walls) = (threads() as f64, Vec::new());
    let mut phases = [const { Vec::new() }; 5];
    let mut loss = 0.0;
    for step in 0..steps + 2 {
        let (mut ids, mut picks) = (Vec::new(), Vec::new());
        for _ in 0..s.batch {
            ids.extend((0..s.context).map(|_| rng.draw(s.shape.vocab)));
        }
        for (i, _) in ids.iter().enumerate() {
            let target = if (i + 1) % s.context == 0 { 0 } else { ids[i + 1] };
            picks.push(Pick { position: i as u32, target });
        }
        let mut marks = vec![cpu()];
        let clock = Instant::now();
        decoder.forward(&w, &Rows { ids: &ids, starts: &starts });
        marks.push(cpu());
        let logp = decoder.logprobs(&w, &picks, 1.0, false).0;
        loss = -logp.iter().map(|x| f64::from(*x)).sum::<f64>() / n as f64;
        marks.push(cpu());
        grads.zero();
        decoder.backward(&w, &Upstream { dlogp: Some(&dlogp), ..Upstream::default() }, &mut grads);
        grads.finish();
        marks.push(cpu());
        adamw(&mut w, grads.flat(), &mut m, &mut v, step as u64 + 1, 1.0, &hp);
        marks.push(cpu());
        if step >= 2 {
            for (i, p) in marks.windows(2).enumerate() {
                phases[i].push((p[1] - p[0]) / crew);
            }
            phases[4].push((marks[4] - marks[0]) / crew);
            walls.push(clock.elapsed().as_secs_f64());
        }
    }
    // matrix products: 2 flops a weight and token forward, 4 backward; attention's half of T² on top
    let matrices = w.len() - s.shape.vocab * s.shape.width;
    let attention = s.shape.layers * s.shape.q_width() * s.context;
    let flops = 6.0 * (matrices + attention) as f64 * n as f64;
    let parts: Vec<f64> = phases[..4].iter_mut().map(|p| median(p) * 1e3).collect();
    let fastest = phases[4].iter().copied().fold(f64::MAX, f64::min);
    let step = median(&mut phases[4]);
    println!(
        "{:5} train  {:8.0} tok/s by the clock (best {:8.0}), {:8.0} by CPU time (best {:8.0})  step {:7.1} ms = forward {:.1} + logprobs {:.1} + backward {:.1} + adamw {:.1}  {:.0} GFLOP/s = {:.0} % of matmul  loss {loss:.4}  rss {} MB",
        s.name,
        n as f64 / median(&mut walls),
        n as f64 / walls[0],
        n as f64 / step,
        n as f64 / fastest,
        step * 1e3,
        parts[0],
        parts[1],
        parts[2],
        parts[3],
        flops / fastest / 1e9,
        flops / fastest / 1e7 / peak,
        peak_rss_mb().unwrap_or(0),
    );
}

fn decode(s: &Reference, rounds: usize, rows: usize) {
    let (prompt, new) = (16, 112);
    let layout = Layout::new(&s.shape);
    let w = weights(&layout);
    let mut dec = Decoding::new(&s.shape, &layout, rows, prompt + new).expect("a valid shape");
    let (mut rng, mut scratch, sampling) = (Lcg(4242), Scratch::default(), Sampling::default());
    let mut times = Vec::new();
    let v = s.shape.vocab;
    for _ in 0..rounds {
        let prompts: Vec<Vec<u32>> = (0..rows).map(|_| (0..prompt).map(|_| rng.draw(v)).collect()).collect();
        let t = Instant::now();
        dec.load(&w);
        let all: Vec<(usize, &[u32])> = prompts.iter().enumerate().map(|(i, p)| (i, p.as_slice())).collect();
        dec.prefill(&all);
        let mut last: Vec<(usize, u32)> = (0..rows)
            .map(|i| (i, draw(dec.prompt_logits(i), &sampling, rng.uniform(), &mut scratch).id))
            .collect();
        for _ in 1..new {
            let logits = dec.step(&last);
            last = (0..rows)
                .map(|i| (i, draw(&logits[i * v..(i + 1) * v], &sampling, rng.uniform(), &mut scratch).id))
                .collect();
        }
        times.push(t.elapsed().as_secs_f64());
    }
    let best = times.iter().copied().fold(f64::MAX, f64::min);
    let tokens = (rows * new) as f64;
    println!(
        "{:5} decode {:8.0} tok/s by the clock (best {:8.0})  {rows} rows",
        s.name,
        tokens / median(&mut times),
        tokens / best
    );
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(count) = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()) {
        Team::new(count).expect("threads").make_default();
    }
    let steps: usize = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(10);
    let peak = peak();
    println!("{:?}, {} threads, matmul {peak:.0} GFLOP/s", level(), threads());
    for s in Reference::ALL.iter().filter(|s| args.first().is_none_or(|a| a == s.name || a == "all")) {
        let part = args.get(2).map_or("", String::as_str);
        if part != "decode" {
            train(s, steps, peak);
        }
        if part != "train" {
            decode(s, 3, 64);
            decode(s, 3, 8);
            decode(s, 3, 1);
        }
    }
}
