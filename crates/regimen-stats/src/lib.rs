//! Statistics over runs and items, and the rules by which a claim about them holds. Pure functions of numbers.

mod anytime;
mod beta;
mod bootstrap;
mod claim;
mod curve;
mod fit;
mod holm;
mod interval;
mod line;
mod mean;
mod paired_t;
mod sign;
mod student;

pub use anytime::{CoinSequence, MeanSequence};
pub use bootstrap::Bootstrap;
pub use claim::{
    Beside, Cell, Claim, Design, Evidence, Outcome, Quantity, Reading, Rule, SeedValue, Table, Term, Verdict,
};
pub use curve::{Crossing, Curve, Side};
pub use fit::{Fit, Law};
pub use holm::holm;
pub use interval::{Interval, clopper_pearson, wilson};
pub use line::{Line, spearman};
pub use mean::{Estimate, mean};
pub use paired_t::PairedT;
pub use sign::{sign_flip, sign_test};
