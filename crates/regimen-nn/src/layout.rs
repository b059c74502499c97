//! Where each named parameter lies in the one flat vector that holds all weights of a net.

use std::collections::BTreeMap;
use std::ops::Range;

/// One named parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its Hugging Face name, `model.layers.0.self_attn.q_proj.weight`.
    pub path: String,
    /// Its axes, outermost first; a projection is `[out, in]`.
    pub shape: Vec<usize>,
    /// Its place in the flat vector.
    pub range: Range<usize>,
}

impl Entry {
    /// Whether it may be held in 16 bits.
    pub fn can_be_half(&self) -> bool {
        regimen_kernels::can_be_half(&self.path, &self.shape)
    }
}

/// All parameters of a net in the order of the flat vector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    entries: Vec<Entry>,
    index: BTreeMap<String, usize>,
    len: usize,
}

impl Layout {
    /// Lays parameters out one after the other.
    ///
    /// # Panics
    /// When two have one path: that is a mistake of the architecture, not of its user.
    pub fn new(named: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let mut layout = Self { entries: Vec::new(), index: BTreeMap::new(), len: 0 };
        for (path, shape) in named {
            let end = layout.len + shape.iter().product::<usize>();
            let twin = layout.index.insert(path.clone(), layout.entries.len());
            assert!(twin.is_none(), "two parameters are called `{path}`");
            layout.entries.push(Entry { path, shape, range: layout.len..end });
            layout.len = end;
        }
        layout
    }

    /// Every parameter, in the order of the flat vector.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many numbers the flat vector holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parameter called `path`.
    pub fn find(&self, path: &str) -> Option<&Entry> {
        self.position(path).map(|at| &self.entries[at])
    }

    /// The place of the parameter called `path` among [`Layout::entries`].
    pub fn position(&self, path: &str) -> Option<usize> {
        self.index.get(path).copied()
    }
}
