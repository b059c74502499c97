/// Which part of a task or data set an item belongs to. Part of every key, and of the item itself: a task sorts its
/// items into splits by their content, so that no item can occur in two of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Split {
    /// Items that training may see.
    Train,
    /// Items held out for evaluation.
    Eval,
}

impl Split {
    /// The split's name in paths, keys and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Eval => "eval",
        }
    }

    /// The split that owns an item whose content hashes to `hash`: a fifth is held out.
    pub fn of(hash: u64) -> Self {
        if hash.is_multiple_of(5) { Self::Eval } else { Self::Train }
    }
}
