//! Buffers that live across steps.

use std::cell::Cell;

/// Room for `len` floats; what was there is lost when it grows. New memory is zeroed by the system, page by page on
/// first touch, so the threads that work on a buffer bring it in side by side; writing zeros here would do it alone.
pub(crate) fn grow(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        // ragged batches grow little by little: room to spare the second time
        let room = if buffer.is_empty() { len } else { len + len / 8 };
        *buffer = Vec::new();
        *buffer = vec![0.0; room];
    }
}

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// A buffer that the thread keeps between calls.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// At least `len` floats of any content.
    pub fn take(len: usize) -> Self {
        let mut buffer = SCRATCH.take();
        grow(&mut buffer, len);
        Self(buffer)
    }

    pub fn floats(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.set(std::mem::take(&mut self.0));
    }
}
