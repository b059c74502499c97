//! What a recipe will take, found out before anything is trained: every piece is built once around a tiny net, so that
//! a missing file in the last stage is told now and not in an hour.

pub mod data;
mod estimate;
mod load;
mod machine;
mod speed;

pub use estimate::{flops, memory, seconds};
#[cfg(test)]
pub use load::tests::load as a_load;
pub use load::{Depth, Examined, Load, examine, examine_and_keep};
pub use machine::{Room, room};
pub use speed::flops_per_second;

use regimen_base::{Error, Exit, Result};

use crate::number;

/// Refuses what is larger than the machine.
pub fn must_fit(loads: &[Load], room: Room) -> Result<()> {
    let Some((load, need)) = loads.iter().map(|l| (l, memory(l))).max_by_key(|(_, m)| m.total()) else {
        return Ok(());
    };
    let Some(total) = room.total.filter(|&total| need.total() > total) else { return Ok(()) };
    let parts = need.parts().filter(|p| p.bytes > 0);
    let parts: Vec<String> = parts.map(|p| format!("{} {}", p.name, number::bytes(p.bytes as f64))).collect();
    let what = format!(
        "stage `{}` does not fit into memory: it needs about {} ({}), the machine has {}",
        load.stage,
        number::bytes(need.total() as f64),
        parts.join(", "),
        number::bytes(total as f64)
    );
    let remedy = if need.activations > need.total() / 2 {
        format!("set a smaller `micro-batch-tokens` (now {}); results stay the same", load.micro_batch_tokens)
    } else if need.cache > need.total() / 2 {
        "make `max-new` of the rollout or `max-positions` of the model smaller".to_owned()
    } else {
        format!("make the model smaller: it has {} parameters", number::count(load.parameters() as f64))
    };
    Err(Error::new(Exit::Memory, what).remedy(remedy))
}

/// A line for when other programs hold what the run needs.
pub fn is_tight(loads: &[Load], room: Room) -> Option<String> {
    let need = loads.iter().map(|l| memory(l).total()).max()?;
    let free = room.free.filter(|&free| need > free)?;
    let (need, free) = (number::bytes(need as f64), number::bytes(free as f64));
    Some(format!("it needs about {need} of memory, {free} are free: close other programs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::a_load as small;

    #[test]
    fn a_full_machine_is_told() {
        let room = |free| Room { total: None, free: Some(free) };
        assert!(is_tight(&[small()], room(1 << 20)).is_some_and(|l| l.contains("1.00 MiB are free")));
        assert_eq!(is_tight(&[small()], room(1 << 40)), None);
    }

    #[test]
    fn what_is_too_large_is_refused_with_its_largest_part() {
        let small = small();
        let room = |total| Room { total: Some(total), free: None };
        assert!(must_fit(std::slice::from_ref(&small), room(1 << 40)).is_ok());
        assert!(must_fit(std::slice::from_ref(&small), Room { total: None, free: None }).is_ok());
        let error =
            must_fit(std::slice::from_ref(&small), room(1 << 20)).expect_err("a mebibyte is not enough");
        assert_eq!(error.exit, Exit::Memory);
        assert!(error.what.contains("stage `a`") && error.what.contains("activations"), "{error}");
        let wide = Load { micro_batch_tokens: 1 << 20, step_tokens: 1e9, ..small };
        let error = must_fit(&[wide], room(1 << 30)).expect_err("too many tokens at once");
        assert!(error.remedy.is_some_and(|r| r.contains("micro-batch-tokens` (now 1048576)")));
    }
}
