//! Batched decoding with continuous refill: as soon as a row ends, the next request takes its slot.
//!
//! A token depends on its request alone (its prompt, its key, its position), never on what is decoded beside it, so
//! the number of slots and the order of the requests change nothing but the speed.

use regimen_base::{Error, Key, Result};
use regimen_kernels::{Decoding, Layout, Sampling, Scratch, Shape, Weights, draw};

use crate::episode::StopReason;

/// One sequence to be continued.
pub struct Request<'a> {
    /// Everything that the model reads first. Neighbouring requests with the same prompt share its prefill.
    pub prompt: &'a [u32],
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// The most tokens to draw.
    pub max_new: usize,
    /// Where its draws come from.
    pub key: Key,
}

/// When a sequence ends by itself.
pub struct Stops<'a> {
    /// Tokens that end the turn.
    pub ids: &'a [u32],
    /// Texts that end the turn, with the decoder that turns drawn ids into text.
    pub strings: &'a [String],
    /// Turns drawn ids into text.
    pub text: &'a dyn Fn(&[u32]) -> String,
}

/// What was drawn for a request.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Completion {
    /// The drawn tokens; the turn-ending one is the last when the model ended its turn.
    pub ids: Vec<u32>,
    /// Their log-probs under the tempered distribution.
    pub logprobs: Vec<f32>,
    /// Why it ended; `None` while it goes on.
    pub stop: Option<StopReason>,
}

/// The decoder with its packed weights and caches, kept between calls.
pub struct Generator {
    shape: Shape,
    layout: Layout,
    decoding: Option<(Decoding, usize, usize)>,
    version: Option<u64>,
    scratch: Scratch,
}

/// How many rows are decoded side by side at the most.
const SLOTS: usize = 64;

impl Generator {
    /// A generator for nets of this shape.
    pub fn new(shape: &Shape) -> Self {
        let layout = Layout::new(shape);
        Self { shape: shape.clone(), layout, decoding: None, version: None, scratch: Scratch::default() }
    }

    /// Draws completions for all requests. `version` names the weights: they are packed again only when it changes.
    /// `on_token(request, id)` sees every token as soon as it is drawn; `false` from it ends the whole call early.
    ///
    /// # Errors
    /// A prompt that is empty, holds an unknown id, or fills the context.
    pub fn generate(
        &mut self,
        weights: Weights<'_>,
        version: u64,
        requests: &[Request],
        stops: &Stops,
        on_token: &mut dyn FnMut(usize, u32) -> bool,
    ) -> Result<Vec<Completion>> {
        for request in requests {
            self.check(request)?;
        }
        self.make_room(weights, version, requests)?;
        let Self { shape, decoding, scratch, .. } = self;
        let Some((decoding, slots, _)) = decoding else { return Ok(Vec::new()) };
        let mut call = Call {
            decoding,
            scratch,
            context: shape.max_positions,
            requests,
            stops,
            done: requests.iter().map(|_| Completion::default()).collect(),
            active: Vec::new(),
            free: (0..*slots).rev().collect(),
            waiting: 0,
            cancelled: false,
        };
        call.run(on_token);
        let done = std::mem::take(&mut call.done);
        let left: Vec<usize> = call.active.iter().map(|a| a.slot).collect();
        for slot in left {
            call.decoding.free(slot);
        }
        Ok(done)
    }

    fn check(&self, request: &Request) -> Result<()> {
        let context = self.shape.max_positions;
        if request.prompt.is_empty() {
            return Err(Error::usage("the prompt has no tokens").remedy("write something into the prompt"));
        }
        if let Some(id) = request.prompt.iter().find(|&&id| id as usize >= self.shape.vocab) {
            return Err(Error::data(format!(
                "token {id} of the prompt is outside the model's vocabulary of {}",
                self.shape.vocab
            ))
            .remedy("use the tokenizer that was saved with the model"));
        }
        if request.prompt.len() >= context {
            return Err(Error::data(format!(
                "the prompt has {} tokens; the model's context is {context}",
                request.prompt.len()
            ))
            .remedy("shorten the prompt, or train with a larger `max-positions`"));
        }
        Ok(())
    }

    /// Slots and length for these requests; a generator only ever grows.
    fn make_room(&mut self, weights: Weights<'_>, version: u64, requests: &[Request]) -> Result<()> {
        let slots = requests.len().clamp(1, SLOTS);
        let longest = requests.iter().map(|r| r.prompt.len() + r.max_new).max().unwrap_or(1);
        let longest = longest.min(self.shape.max_positions);
        let (have_slots, have_len) = self.decoding.as_ref().map_or((0, 0), |d| (d.1, d.2));
        if have_slots < slots || have_len < longest {
            let (slots, longest) = (slots.max(have_slots), longest.max(have_len));
            let decoding = Decoding::new(&self.shape, &self.layout, slots, longest).map_err(Error::failed)?;
            self.decoding = Some((decoding, slots, longest));
            self.version = None;
        }
        if let Some((decoding, ..)) = &mut self.decoding
            && self.version != Some(version)
        {
            decoding.load(weights);
            self.version = Some(version);
        }
        Ok(())
    }
}

struct Active {
    request: usize,
    slot: usize,
}

struct Call<'a> {
    decoding: &'a mut Decoding,
    scratch: &'a mut Scratch,
    context: usize,
    requests: &'a [Request<'a>],
    stops: &'a Stops<'a>,
    done: Vec<Completion>,
    active: Vec<Active>,
    free: Vec<usize>,
    waiting: usize,
    cancelled: bool,
}

impl Call<'_> {
    fn run(&mut self, on_token: &mut dyn FnMut(usize, u32) -> bool) {
        loop {
            self.refill(on_token);
            if self.active.is_empty() || self.cancelled {
                return;
            }
            let rows: Vec<(usize, u32)> =
                self.active.iter().map(|a| (a.slot, self.last(a.request))).collect();
            let logits = self.decoding.step(&rows);
            let vocab = logits.len() / rows.len();
            for (row, active) in logits.chunks_exact(vocab).zip(&self.active) {
                let request = &self.requests[active.request];
                take(&mut self.done[active.request], request, row, self.scratch);
            }
            self.settle(on_token);
        }
    }

    /// Gives free slots to waiting requests. Prompts go through the model once for each run of equal ones.
    fn refill(&mut self, on_token: &mut dyn FnMut(usize, u32) -> bool) {
        while !self.cancelled && self.waiting < self.requests.len() && !self.free.is_empty() {
            let mut fresh: Vec<Active> = Vec::new();
            let mut leads: Vec<usize> = Vec::new();
            while self.waiting < self.requests.len() {
                let Some(slot) = self.free.pop() else { break };
                let request = self.waiting;
                let lead = match leads.last() {
                    Some(&l) if self.requests[fresh[l].request].prompt == self.requests[request].prompt => {
                        None
                    }
                    _ => Some(fresh.len()),
                };
                leads.extend(lead);
                fresh.push(Active { request, slot });
                self.waiting += 1;
            }
            let prompts: Vec<(usize, &[u32])> =
                leads.iter().map(|&l| (fresh[l].slot, self.requests[fresh[l].request].prompt)).collect();
            self.decoding.prefill(&prompts);
            for (i, active) in fresh.iter().enumerate() {
                let lead = leads[leads.partition_point(|&l| l <= i) - 1];
                if lead != i {
                    self.decoding.share(fresh[lead].slot, active.slot);
                }
                let request = &self.requests[active.request];
                let completion = &mut self.done[active.request];
                if request.max_new == 0 {
                    completion.stop = Some(StopReason::Length);
                } else {
                    take(completion, request, self.decoding.prompt_logits(active.slot), self.scratch);
                }
            }
            self.active.extend(fresh);
            self.settle(on_token);
        }
    }

    /// Finds the rows that ended with their newest token and frees their slots.
    fn settle(&mut self, on_token: &mut dyn FnMut(usize, u32) -> bool) {
        let mut going = Vec::with_capacity(self.active.len());
        for active in std::mem::take(&mut self.active) {
            if let Some(&id) = self.done[active.request].ids.last() {
                self.cancelled |= !on_token(active.request, id);
            }
            let stop = self.done[active.request].stop.or_else(|| self.ended(active.request));
            self.done[active.request].stop = stop;
            if stop.is_some() {
                self.decoding.free(active.slot);
                self.free.push(active.slot);
            } else {
                going.push(active);
            }
        }
        self.active = going;
    }

    fn ended(&self, request: usize) -> Option<StopReason> {
        let (done, request) = (&self.done[request], &self.requests[request]);
        if done.ids.last().is_some_and(|id| self.stops.ids.contains(id)) {
            return Some(StopReason::Eos);
        }
        if !self.stops.strings.is_empty() {
            let text = (self.stops.text)(&done.ids);
            if self.stops.strings.iter().any(|s| text.contains(s.as_str())) {
                return Some(StopReason::StopString);
            }
        }
        if request.prompt.len() + done.ids.len() >= self.context {
            return Some(StopReason::Context);
        }
        (done.ids.len() >= request.max_new).then_some(StopReason::Length)
    }

    fn last(&self, request: usize) -> u32 {
        *self.done[request].ids.last().expect("an active row has drawn at least one token")
    }
}

/// Draws the next token of a completion; its key is the token's own.
fn take(done: &mut Completion, request: &Request, logits: &[f32], scratch: &mut Scratch) {
    let u = request.key.at(done.ids.len() as u64).rng().f64();
    let drawn = draw(logits, &request.sampling, u, scratch);
    done.ids.push(drawn.id);
    done.logprobs.push(drawn.logprob);
}
