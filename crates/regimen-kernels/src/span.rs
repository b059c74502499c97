//! Where the time goes. Parts of the work say when they begin and end; this crate reads no clock, so it only passes
//! that on to whoever looks. It shows no value of the training, so nobody who looks can change one.

use std::sync::OnceLock;

/// Told when a part of the work begins and ends, on the thread that does it. Parts nest.
pub trait Watch: Sync {
    /// A part begins.
    fn begin(&self, part: &'static str);
    /// The last part that began on this thread ends.
    fn end(&self);
}

static WATCH: OnceLock<&'static dyn Watch> = OnceLock::new();

/// Tells `watch` of every part from now on, to the end of the process. Says whether it is the first to ask: there is
/// room for one.
pub fn watch(watch: &'static dyn Watch) -> bool {
    WATCH.set(watch).is_ok()
}

/// A part of the work, until it is dropped. Costs a load and a branch where nobody looks.
#[must_use = "the part ends when this is dropped"]
pub struct Span(Option<&'static dyn Watch>);

/// Begins a part.
#[inline]
pub fn span(part: &'static str) -> Span {
    let watch = WATCH.get().copied();
    if let Some(watch) = watch {
        watch.begin(part);
    }
    Span(watch)
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if let Some(watch) = self.0 {
            watch.end();
        }
    }
}
