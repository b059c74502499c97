//! Buffers that live across steps.

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
