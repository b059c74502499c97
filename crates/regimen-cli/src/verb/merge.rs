//! `regimen merge RUN|CKPT --out FOLDER`: adapters become part of the weights.

use std::path::PathBuf;

use regimen_base::Error;
use regimen_nn::Device;

use super::export::{free, logits, report, write_folder};
use crate::failure::Outcome;
use crate::target::Named;

#[derive(clap::Args)]
#[command(
    after_help = "W + scale · B · A takes the place of every W that has an adapter; the folder is one that \
transformers loads. It is read again, and the largest difference of the logits is told."
)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// The folder that is written; it must not exist
    #[arg(long, short, value_name = "FOLDER")]
    out: PathBuf,
}

impl Args {
    pub fn go(self) -> Outcome {
        free(&self.out)?;
        let mut model = self.named.find()?.model(&Device::cpu())?;
        if model.shape()?.lora.is_none() {
            return Err(Error::usage("the model has no adapters to merge")
                .remedy("`regimen export --to hf` writes a model as it is")
                .into());
        }
        let before = logits(&mut model)?;
        write_folder(&self.out, model.merged()?.files())?;
        report(&self.out, &before)
    }
}
