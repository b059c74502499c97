//! A file beside recipes that is read by the same rules: fields as data, all errors at once, each with its place.

use crate::hint;
use crate::kind::Catalogue;
use crate::node::Node;
use crate::raw::Reader;
use crate::report::{Diag, Report};
use crate::resolve::Resolver;
use crate::source::{Sources, Via};
use crate::spec::Field;

/// What stands in such a file.
#[derive(Clone, Copy, Debug)]
pub struct FormSpec {
    /// What `regimen explain` calls it: also the name of its room, where it has one.
    pub name: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// A file that was read, with defaults filled in.
#[derive(Clone, Debug)]
pub struct Form {
    root: Node,
    sources: Sources,
}

/// Something wrong with a value that its type does not show.
#[derive(Clone, Debug)]
pub struct Fault {
    diag: Diag,
}

impl Fault {
    /// Says what is wrong with `node`, and beside the place what to write.
    pub fn at(node: &Node, what: impl Into<String>, label: impl Into<String>) -> Self {
        Self { diag: Diag::new(what).at(&node.origin, label) }
    }

    /// Adds a line below; an empty one is left out.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { diag: self.diag.note(note) }
    }
}

impl Form {
    /// Reads `text`, which messages call `path`.
    ///
    /// # Errors
    /// Everything that is not as `spec` and the catalogue's kinds say.
    pub fn read(path: &str, text: &str, spec: &FormSpec, catalogue: &Catalogue) -> Result<Self, Report> {
        let mut sources = Sources::default();
        let source = sources.add(path, text);
        let reader = Reader { sources: &sources, source, via: Via::File, layer: 1, shift: 0 };
        let raw = reader.file(text).map_err(|diag| Report::new(vec![diag], &sources))?;
        let mut resolver = Resolver::new(catalogue, &sources);
        let root = resolver.form(spec, &raw);
        let diags = resolver.diags;
        if diags.is_empty() { Ok(Self { root, sources }) } else { Err(Report::new(diags, &sources)) }
    }

    /// The file's own table.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// All faults, as they are told.
    pub fn report(&self, faults: Vec<Fault>) -> Report {
        Report::new(faults.into_iter().map(|fault| fault.diag).collect(), &self.sources)
    }
}

/// ``did you mean `clip`?``, or nothing.
pub fn did_you_mean(word: &str, names: &[&str]) -> String {
    hint::did_you_mean(word, names)
}
