//! Thousands of random histories against what must hold of them.
//!
//! The model of a sequence is its tokens; keys and values are a function of
//! all tokens so far, so that a page in a wrong place shows.

mod world;

use proptest::prelude::*;

use self::world::{Nature, World};
use super::disk::{Disk, DiskOptions};

#[derive(Debug, Clone)]
enum Operation {
    /// Begins with a part of an earlier text, then goes on by itself.
    Admit {
        text: usize,
        keep: usize,
        more: Vec<u32>,
        expected: usize,
    },
    Compute {
        which: usize,
        tokens: usize,
    },
    Generate {
        which: usize,
        token: u32,
    },
    /// A token, and behind it proposals of which some stay.
    Propose {
        which: usize,
        tokens: Vec<u32>,
        stay: usize,
    },
    Seal {
        which: usize,
    },
    /// Ended, cancelled or preempted.
    Release {
        which: usize,
    },
    Fail {
        which: usize,
    },
    Clear,
    /// Pages go to the disk, if there is one.
    Save,
    /// The program is killed and started again.
    Restart,
}

fn operation() -> impl Strategy<Value = Operation> {
    let which = 0usize..8;
    let admit = (
        0usize..16,
        0usize..1400,
        prop::collection::vec(0u32..3, 1..300),
        0usize..400,
    );
    prop_oneof![
        5 => admit.prop_map(|(text, keep, more, expected)| Operation::Admit { text, keep, more, expected }),
        8 => (which.clone(), 1usize..300).prop_map(|(which, tokens)| Operation::Compute { which, tokens }),
        2 => (which.clone(), 0u32..3).prop_map(|(which, token)| Operation::Generate { which, token }),
        3 => (which.clone(), prop::collection::vec(0u32..3, 2..12), 0usize..12).prop_map(
            |(which, tokens, stay)| Operation::Propose { which, tokens, stay }
        ),
        3 => which.clone().prop_map(|which| Operation::Seal { which }),
        4 => which.clone().prop_map(|which| Operation::Release { which }),
        1 => which.prop_map(|which| Operation::Fail { which }),
        1 => Just(Operation::Clear),
        2 => Just(Operation::Save),
        1 => Just(Operation::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_sees_its_own_tokens(
        limit in 1024u64..6000,
        kept in 0u64..6000,
        has_window: bool,
        recurrent: bool,
        ram in 0u64..60_000,
        operations in prop::collection::vec(operation(), 1..80),
    ) {
        // First without a tier below memory: what is found is known then.
        for ram in [0, ram] {
            let nature = Nature { ram, has_window, recurrent, ..Nature::default() };
            let mut world = World::new(limit, kept, nature);
            for operation in operations.clone() {
                world.apply(operation);
                world.check();
            }
            world.end();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_disk_brings_back_what_was_computed(
        limit in 1024u64..6000,
        kept in 0u64..6000,
        has_window: bool,
        recurrent: bool,
        stored in 20_000u64..400_000,
        ram in prop_oneof![Just(0), 1000u64..60_000],
        operations in prop::collection::vec(operation(), 1..80),
    ) {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::start(DiskOptions { folder: home.path().to_owned(), limit: stored });
        let nature = Nature { disk: Some(disk), ram, has_window, recurrent };
        let mut world = World::new(limit, kept, nature);
        for operation in operations {
            world.apply(operation);
            world.check();
        }
        let disk = world.disk.as_ref().map(Disk::counters);
        prop_assert_eq!(disk.map(|disk| disk.rejects.total()), Some(0));
        world.end();
    }
}
