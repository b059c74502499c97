//! A paper as the program carries it.

use regimen_core::registry::Registry;

/// The texts of a folder.
#[derive(Clone, Copy)]
pub struct Paper {
    /// The folder's name: `p021_cot_mechanism`.
    pub folder: &'static str,
    /// README.md.
    pub readme: &'static str,
    /// recipe.toml.
    pub recipe: &'static str,
    /// claim.toml.
    pub claim: &'static str,
    /// result.json, once it was recorded.
    pub result: Option<&'static str>,
    /// The code of its own pieces: file and text.
    pub sources: &'static [(&'static str, &'static str)],
    /// Appends the tables of its own pieces.
    pub pieces: Option<fn(&mut Registry)>,
}

impl Paper {
    /// `p021`.
    pub fn number(&self) -> &'static str {
        &self.folder[..4]
    }

    /// The paper that somebody means by `p021`, `021`, `p021_cot_mechanism` or `cot-mechanism`.
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = name.to_lowercase().replace('-', "_");
        let answers = |paper: &&Self| {
            let (number, slug) = (paper.number(), &paper.folder[5..]);
            [paper.folder, number, &number[1..], slug].contains(&name.as_str())
        };
        crate::PAPERS.iter().find(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paper_answers_to_its_names() {
        for name in ["p021", "021", "P021", "p021_cot_mechanism", "p021-cot-mechanism", "cot-mechanism"] {
            assert_eq!(Paper::find(name).map(|p| p.folder), Some("p021_cot_mechanism"), "{name}");
        }
        assert!(Paper::find("p02").is_none() && Paper::find("").is_none());
    }
}
