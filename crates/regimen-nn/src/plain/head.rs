//! From hidden states to what the objectives see.

use burn::{Tensor, activation};
use regimen_base::Result;

use super::pass::Pass;
use crate::net::{Outputs, Tokens, Want};

impl Pass<'_> {
    pub(super) fn outputs(
        &mut self,
        hidden_btd: Tensor<3>,
        tokens: &Tokens<'_>,
        want: Want,
    ) -> Result<Outputs> {
        let [documents, longest, width] = hidden_btd.dims();
        let slots: Vec<i64> = self.slots().map(|slot| slot as i64).collect();
        let hidden = hidden_btd.reshape([documents * longest, width]);
        let rows: Vec<i64> = tokens.picks.iter().map(|pick| slots[pick.position as usize]).collect();
        let logits = self.logits(hidden.clone().select(0, self.ints(rows.clone())));
        let logits = self.tap_logits(rows, logits)?;
        let logp_pv = activation::log_softmax(logits.clone().div_scalar(tokens.temperature), 1);
        let targets = self.ints(tokens.picks.iter().map(|pick| i64::from(pick.target)).collect());
        Ok(Outputs {
            logp: logp_pv.clone().gather(1, targets.unsqueeze_dim(1)).squeeze_dim(1),
            entropy: want.entropy.then(|| (logp_pv.clone().exp() * logp_pv).sum_dim(1).neg().squeeze_dim(1)),
            logits: want.logits.then_some(logits),
            hidden: want.hidden.then(|| hidden.select(0, self.ints(slots))),
            values: None,
        })
    }

    fn logits(&self, hidden_pd: Tensor<2>) -> Tensor<2> {
        let head = if self.shape.tied { "model.embed_tokens.weight" } else { "lm_head.weight" };
        hidden_pd.matmul(self.weights.matrix(head).transpose())
    }
}
