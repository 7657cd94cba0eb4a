use super::{Checker, Scenario, run};
use crate::sim::mutation::Mutation;

/// Unoptimised builds run few; `cargo xtask sim --quorum` runs many.
const SEEDS: u64 = 12;

#[test]
fn a_few_seeds_keep_every_promise() {
    let mut broken = Vec::new();
    let mut exercised = std::collections::BTreeMap::new();
    for seed in 0..SEEDS {
        let report = run(seed, None);
        for (checker, count) in report.exercised {
            *exercised.entry(checker).or_insert(0) += count;
        }
        if let Some(violation) = report.violations.into_iter().next() {
            broken.push((seed, violation));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    for checker in Checker::ALL {
        assert!(exercised.contains_key(&checker), "{checker:?} had nothing to check");
    }
}

#[test]
fn a_seed_repeats_itself() {
    assert_eq!(run(3, None), run(3, None));
}

#[test]
fn a_clone_in_the_middle_goes_on_the_same_way() {
    let mut world = Scenario::new(5, None).world().clone();
    for id in world.nodes.keys().copied().collect::<Vec<_>>() {
        assert!(world.start(id));
    }
    world.run(1_700_000);
    let mut clone = world.clone();
    world.run(5_000_000);
    clone.run(5_000_000);
    assert!(world.counts.elections > 0, "{:?}", world.counts);
    assert_eq!((world.hash(), world.counts), (clone.hash(), clone.counts));
}

#[test]
fn planted_bugs_are_all_of_the_quorum() {
    assert!(Mutation::QUORUM.iter().all(|mutation| !Mutation::BROKER.contains(mutation)));
}
