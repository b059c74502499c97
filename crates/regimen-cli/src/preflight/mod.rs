//! What a recipe will take, found out before anything is trained: every piece is built once around a tiny net, so that
//! a missing file in the last stage is told now and not in an hour.

pub mod data;
mod estimate;
mod examine;
mod load;
mod machine;
mod speed;
mod work;

pub use estimate::{flops, memory, seconds};
pub use examine::{Depth, Examined, examine, examine_and_keep};
pub use load::Load;
#[cfg(test)]
pub use load::tests::load as a_load;
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
    let remedy = if let Some(way) = smaller(load, total) {
        way
    } else if load.loaded && load.adapted() && memory(&Load { half: true, ..load.clone() }).total() <= total {
        "set `model.dtype = \"bf16\"`: then it fits; what does not train is rounded to 16 bits".to_owned()
    } else if need.activations > need.total() / 2 {
        format!("set a smaller `micro-batch-tokens` (now {}); results stay the same", load.micro_batch_tokens)
    } else if need.cache > need.total() / 2 {
        "make `max-new` of the rollout or `max-positions` of the model smaller".to_owned()
    } else {
        format!("make the model smaller: it has {} parameters", number::count(load.parameters() as f64))
    };
    Err(Error::new(Exit::Memory, what).remedy(remedy))
}

/// What makes a stage fit that does not change its results, if that is enough.
fn smaller(load: &Load, total: u64) -> Option<String> {
    let fits = |load: &Load| memory(load).total() <= total;
    let with = |checkpointing, tokens| Load { checkpointing, micro_batch_tokens: tokens, ..load.clone() };
    let halves: Vec<usize> =
        std::iter::successors(Some(load.micro_batch_tokens), |n| (*n > 512).then_some(n / 2))
            .skip(1)
            .collect();
    let (checkpointing, tokens) = (!load.checkpointing && load.steps > 0, load.micro_batch_tokens);
    if checkpointing && fits(&with(true, tokens)) {
        return Some(
            "set `gradient-checkpointing = true`: then it fits, and results stay the same".to_owned(),
        );
    }
    let fitting = |on: bool| halves.iter().copied().find(|&n| fits(&with(on, n)));
    if let Some(tokens) = fitting(load.checkpointing) {
        return Some(format!(
            "set `micro-batch-tokens = {tokens}` (now {}): then it fits, and results stay the same",
            load.micro_batch_tokens
        ));
    }
    let tokens = fitting(true).filter(|_| checkpointing)?;
    Some(format!(
        "set `gradient-checkpointing = true` and `micro-batch-tokens = {tokens}`: then it fits, and results stay the same"
    ))
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
    fn the_remedy_is_enough() {
        let wide = Load { micro_batch_tokens: 1 << 17, step_tokens: 1e9, ..small() };
        let least = |load: &Load| memory(load).total();
        let again = Load { checkpointing: true, ..wide.clone() };
        assert!(
            smaller(&wide, least(&again))
                .is_some_and(|r| r.starts_with("set `gradient-checkpointing = true`:"))
        );
        let half = Load { micro_batch_tokens: 1 << 16, ..wide.clone() };
        let told = smaller(&wide, least(&again) - 1).expect("half is enough");
        assert_eq!(told.contains("65536"), least(&half) < least(&again), "{told}");
        let both = Load { checkpointing: true, micro_batch_tokens: 512, ..wide.clone() };
        assert!(
            smaller(&wide, least(&both)).is_some_and(|r| r.contains("`gradient-checkpointing = true` and"))
        );
        assert_eq!(smaller(&wide, least(&both) / 2), None);
        let told = must_fit(&[wide], Room { total: Some(1 << 20), free: None }).expect_err("a mebibyte");
        assert!(told.remedy.is_some());
    }

    #[test]
    fn sixteen_bits_are_a_way_beside_adapters() {
        let targets = regimen_nn::Targets::default();
        let lora = regimen_nn::Lora { rank: 8, alpha: 8.0, rslora: false, dropout: 0.0, targets };
        let shape = small().arch.decoder().cloned().expect("a decoder");
        let arch = regimen_nn::Arch::Decoder(regimen_nn::Shape { lora: Some(lora), width: 960, ..shape });
        let full = Load { loaded: true, step_tokens: 1.0, arch, ..small() };
        let total = memory(&Load { half: true, ..full.clone() }).total();
        let told = must_fit(&[full], Room { total: Some(total), free: None }).expect_err("f32 is larger");
        assert!(told.remedy.is_some_and(|r| r.contains("model.dtype = \"bf16\"")));
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
        let remedy = error.remedy.expect("there is a way");
        assert!(remedy.contains("micro-batch-tokens = ") && remedy.contains("(now 1048576)"), "{remedy}");
    }
}
