//! After the first steps nothing is allocated any more, in training as in decoding.
//!
//! One test in a process of its own, because it counts what the whole process asks the allocator for.

use std::alloc::{GlobalAlloc, Layout as Bytes, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use regimen_kernels::{
    AdamW, Decoder, Decoding, Grads, Half, Layout, Pick, Reference, Rows, Sampling, Scratch, Shape, Team,
    Upstream, Weights, adamw, draw, first_not_finite, global_norm,
};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, bytes: Bytes) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(bytes) }
    }
    unsafe fn dealloc(&self, at: *mut u8, bytes: Bytes) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(at, bytes) }
    }
    unsafe fn alloc_zeroed(&self, bytes: Bytes) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc_zeroed(bytes) }
    }
    unsafe fn realloc(&self, at: *mut u8, bytes: Bytes, len: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.realloc(at, bytes, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations while `work` runs.
fn allocations(mut work: impl FnMut()) -> usize {
    let before = COUNT.load(Ordering::Relaxed);
    work();
    COUNT.load(Ordering::Relaxed) - before
}

struct Training {
    decoder: Decoder,
    weights: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    grads: Grads,
    ids: Vec<u32>,
    picks: Vec<Pick>,
    dlogp: Vec<f32>,
    step: u64,
}

impl Training {
    fn new(shape: &Shape) -> Self {
        let layout = Layout::new(shape);
        let n = layout.len();
        let ids: Vec<u32> = (0..400).map(|i| (i * 7 % shape.vocab) as u32).collect();
        let picks = (0..399).map(|i| Pick { position: i, target: ids[i as usize + 1] }).collect();
        Self {
            decoder: Decoder::new(shape, &layout).expect("a valid shape"),
            weights: (0..n).map(|i| ((i * 31 % 97) as f32 - 48.0) * 1e-3).collect(),
            first: vec![0.0; n],
            second: vec![0.0; n],
            grads: Grads::new(&layout),
            ids,
            picks,
            dlogp: vec![-1.0 / 399.0; 399],
            step: 0,
        }
    }

    fn steps(&mut self, batches: &[&[u32]]) {
        for starts in batches {
            self.step(starts);
        }
    }

    /// One step over documents that begin at `starts`, as the training loop makes it.
    fn step(&mut self, starts: &[u32]) {
        self.step += 1;
        self.grads.zero();
        self.decoder.forward(&self.weights, &Rows { ids: &self.ids, starts });
        self.decoder.logprobs(&self.weights, &self.picks, 1.0, true);
        let upstream = Upstream { dlogp: Some(&self.dlogp), ..Upstream::default() };
        self.decoder.backward(&self.weights, &upstream, &mut self.grads);
        self.grads.finish();
        let norm = global_norm(self.grads.flat());
        let hp = AdamW { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 };
        let (first, second) = (&mut self.first, &mut self.second);
        adamw(
            &mut self.weights,
            self.grads.flat(),
            first,
            second,
            self.step,
            1.0 / norm.max(1.0) as f32,
            &hp,
        );
        assert_eq!(first_not_finite(&self.weights), None);
    }
}

/// Sixteen tokens for each of eight slots.
fn decode(
    decoding: &mut Decoding,
    weights: Weights<'_>,
    scratch: &mut Scratch,
    vocab: usize,
    rows: &mut [(usize, u32)],
) {
    decoding.load(weights);
    let prompt = [1u32, 2, 3, 4, 5];
    let prompts = [0, 1, 2, 3, 4, 5, 6, 7].map(|slot| (slot, &prompt[..]));
    decoding.prefill(&prompts);
    for row in rows.iter_mut() {
        row.1 = 6;
    }
    for _ in 0..16 {
        let logits = decoding.step(rows);
        for (row, logits) in rows.iter_mut().zip(logits.chunks_exact(vocab)) {
            row.1 = draw(logits, &Sampling::default(), 0.4, scratch).id;
        }
    }
}

#[test]
fn nothing_is_allocated_after_the_first_steps() {
    let team = Team::new(2).expect("two threads");
    team.install(|| {
        for shape in
            [Reference::TINY.shape, Shape { tied: true, attention_bias: true, ..Reference::XS.shape }]
        {
            let mut training = Training::new(&shape);
            let batches: [&[u32]; 2] = [&[0, 100, 290, 400], &[0, 30, 160, 200, 400]];
            for _ in 0..2 {
                training.steps(&batches);
            }
            let count = allocations(|| training.steps(&batches));
            assert_eq!(count, 0, "training");
            let mut decoding = Decoding::new(&shape, &Layout::new(&shape), 8, 32).expect("a valid shape");
            let (mut scratch, mut rows) =
                (Scratch::default(), [0, 1, 2, 3, 4, 5, 6, 7].map(|slot| (slot, 0)));
            let bits: Vec<u16> = training.weights.iter().map(|w| Half::Bf16.narrow(*w)).collect();
            let held = Weights::with_half(&training.weights, Half::Bf16, &bits);
            for weights in [Weights::from(&training.weights), held] {
                let mut once = || decode(&mut decoding, weights, &mut scratch, shape.vocab, &mut rows);
                once();
                once();
                assert_eq!(allocations(&mut once), 0, "decoding");
            }
        }
    });
}
