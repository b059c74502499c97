//! `mlp`: dense layers over rows of numbers; without anything between them a deep linear net.

use regimen_base::{Key, Result};
use regimen_core::registry::{Arch, BuildCx, Piece};
use regimen_nn::{Elementwise, Mlp, MlpInit, Params};
use regimen_recipe::{Field, KindSpec, Node, Room, Ty};

/// The recipe's description of the layers.
struct Dense {
    mlp: Mlp,
    init: MlpInit,
}

impl Arch for Dense {
    fn reads_tokens(&self) -> bool {
        false
    }

    fn arch(&self, _: usize) -> regimen_nn::Arch {
        regimen_nn::Arch::Mlp(self.mlp.clone())
    }

    fn init(&self, params: &mut Params, key: Key) {
        self.init.apply(&self.mlp, params, key);
    }
}

pub(super) const PIECE: Piece<dyn Arch> = Piece {
    spec: KindSpec::new(
        Room::Arch,
        "mlp",
        "dense layers over rows of numbers, for tasks such as `digits`; it needs no tokenizer",
        &[
            Field::new("inputs", Ty::Count, "numbers of a row that one path reads").required().min(1.0),
            Field::new("hidden", Ty::List(&Ty::Count), "numbers between layers; [] is a single layer")
                .or("[128, 128]")
                .min(1.0),
            Field::new("outputs", Ty::Count, "numbers that it gives: classes, or values").required().min(1.0),
            Field::new(
                "between",
                Ty::Choice(&["relu", "linear"]),
                "what happens between layers; `linear` is nothing",
            )
            .or("relu"),
            Field::new("bias", Ty::Bool, "whether layers have biases").or("true"),
            Field::new("paths", Ty::Count, "nets side by side, each with its own share of a row; they are added")
                .or("1")
                .min(1.0),
            Field::new(
                "init",
                Ty::Choice(&["fan-in", "product", "diagonal"]),
                "normal by a layer's inputs; normal with a given norm of the layers' product; or diagonal",
            )
            .or("fan-in"),
            Field::new(
                "init-scale",
                Ty::Float,
                "fan-in: factor on the standard deviation; product: its Frobenius norm; diagonal: the product's value",
            )
            .or("1.0")
            .above(0.0),
            Field::new("init-jitter", Ty::Float, "diagonal: by which share the product is varied")
                .or("0.0")
                .min(0.0)
                .max(1.0),
        ],
    )
    .source("He et al. 2015 (arXiv:1502.01852) for `fan-in`")
    .example(r#"{ kind = "mlp", inputs = 64, hidden = [128, 128], outputs = 10 }"#),
    build,
};

fn build(node: &Node, _: &BuildCx) -> Result<Box<dyn Arch>> {
    let mlp = Mlp {
        inputs: node.usize("inputs"),
        hidden: node.u64s("hidden").into_iter().map(|n| n as usize).collect(),
        outputs: node.usize("outputs"),
        between: if node.str("between") == "linear" { Elementwise::Linear } else { Elementwise::Relu },
        bias: node.bool("bias"),
        paths: node.usize("paths"),
    };
    mlp.check().map_err(|what| node.error(what))?;
    let (scale, jitter) = (node.f64("init-scale"), node.f64("init-jitter"));
    let init = match node.str("init") {
        "product" => MlpInit::Product { norm: scale },
        "diagonal" => MlpInit::Diagonal { product: scale, jitter },
        _ => MlpInit::FanIn { gain: scale },
    };
    Ok(Box::new(Dense { mlp, init }))
}
