//! The named places of a decoder.

use regimen_base::{Error, Result};
use regimen_kernels::Shape;

/// The sites of one layer, with their axes and meaning; a name is `blocks.{l}.` and this.
const BLOCK: [&str; 13] = [
    "resid.pre",    // btd  what enters the layer
    "attn.q",       // bthd queries, before norm and rotation
    "attn.k",       // bthd keys, before norm and rotation
    "attn.v",       // bthd values
    "attn.scores",  // bhqk scaled products, before the softmax; the lowest f32 where masked
    "attn.pattern", // bhqk weights after the softmax
    "attn.z",       // bthd mixed values, before the output projection
    "attn.out",     // btd  what attention adds to the stream
    "resid.mid",    // btd  the stream after attention
    "mlp.pre",      // btd  before the activation: the gate of a gated MLP
    "mlp.post",     // btd  what enters the last projection
    "mlp.out",      // btd  what the MLP adds to the stream
    "resid.post",   // btd  what leaves the layer
];

/// Every site of a decoder: `embed` (btd), `blocks.{l}.…`, `final` (btd, after the last norm), `logits` (pv: a row for
/// every position that is put out).
pub fn sites(shape: &Shape) -> Vec<String> {
    let exists = |name: &str| shape.ffn > 0 || !(name.starts_with("mlp.") || name == "resid.mid");
    let block =
        |layer| BLOCK.iter().filter(|name| exists(name)).map(move |name| format!("blocks.{layer}.{name}"));
    let mut names = vec!["embed".to_owned()];
    names.extend((0..shape.layers).flat_map(block));
    names.extend(["final", "logits"].map(str::to_owned));
    names
}

pub(super) fn check(site: &str, shape: &Shape) -> Result<()> {
    let mut names = sites(shape);
    if names.iter().any(|name| name == site) {
        return Ok(());
    }
    names.sort_by(|a, b| strsim::jaro_winkler(b, site).total_cmp(&strsim::jaro_winkler(a, site)));
    names.truncate(3);
    Err(Error::usage(format!("the model has no site `{site}`"))
        .remedy(format!("nearest: {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::shapes;

    #[test]
    fn an_unknown_site_names_its_neighbours() {
        let shape = &shapes()[0];
        assert!(sites(shape).iter().all(|site| check(site, shape).is_ok()));
        let e = check("blocks.0.attn.patern", shape).expect_err("it is misspelt");
        assert!(e.remedy.is_some_and(|r| r.starts_with("nearest: blocks.0.attn.pattern, ")));
        assert!(check("blocks.99.attn.pattern", shape).is_err());
    }

    #[test]
    fn attention_only_has_no_mlp() {
        let bare = Shape { ffn: 0, ..shapes()[0].clone() };
        assert!(check("blocks.0.mlp.out", &bare).is_err());
        assert!(check("blocks.0.resid.post", &bare).is_ok());
    }
}
