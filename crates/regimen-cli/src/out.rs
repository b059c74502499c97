//! Standard output. A reader that has seen enough and goes away is not an error.

use std::io::{self, BufWriter, StdoutLock, Write};

/// Results go here; call `flush` at the end.
pub type Out = BufWriter<StdoutLock<'static>>;

/// Opens standard output.
pub fn open() -> Out {
    BufWriter::new(io::stdout().lock())
}

/// A line on standard error, which nobody has to read.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
