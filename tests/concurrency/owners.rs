//! CloudFormation's own sequences, in any order: nothing that anyone still uses is removed, and what is nobody's is not
//! left behind.

use proptest::prelude::*;

use crate::cases::cases;
use crate::ownership::{Deed, Model};
use crate::stacks::{Fate, Resource};

/// How many calls a handler makes at most, about.
const CALLS: usize = 9;

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        5 => Just(Fate::Fine),
        1 => (0..CALLS).prop_map(Fate::Refused),
        1 => (0..CALLS).prop_map(Fate::OutOfTime),
        1 => (0..CALLS).prop_map(Fate::Dies),
    ]
}

fn any_resource() -> impl Strategy<Value = Resource> {
    (0..2_usize, 0..2_usize).prop_map(|(stack, logical_id)| Resource { stack, logical_id })
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let who = 0..4_usize;
    prop_oneof![
        4 => (any_resource(), 0..2_usize, any_fate())
            .prop_map(|(who, rack, fate)| Deed::Create { who, rack, fate }),
        2 => (who.clone(), 0..4_usize, any_fate())
            .prop_map(|(who, change, fate)| Deed::Update { who, change, fate }),
        2 => (who.clone(), any_fate(), any::<bool>())
            .prop_map(|(who, fate, is_rolled_back)| Deed::Move { who, fate, is_rolled_back }),
        2 => (who.clone(), any::<bool>())
            .prop_map(|(who, is_rolled_back)| Deed::Rename { who, is_rolled_back }),
        3 => (who, any_fate()).prop_map(|(who, fate)| Deed::Delete { who, fate }),
        3 => (0..6_usize).prop_map(|back| Deed::Repeat { back }),
    ]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn nothing_that_anyone_uses_is_removed_and_nothing_that_is_nobodys_stays(
        deeds in prop::collection::vec(any_deed(), 1..10),
    ) {
        Model::empty().live_through(&deeds);
    }

    #[test]
    fn a_deployed_set_survives_whatever_is_tried_beside_it(
        deeds in prop::collection::vec(any_deed(), 1..10),
    ) {
        Model::deployed().live_through(&deeds);
    }

    #[test]
    fn a_deployed_set_whose_own_resource_comes_here_goes_with_it(
        deeds in prop::collection::vec(any_deed(), 1..10),
    ) {
        Model::migrated().live_through(&deeds);
    }

    #[test]
    fn a_second_delivery_at_once_does_no_harm_where_nothing_tells_its_date(
        deeds in prop::collection::vec(any_deed(), 1..10),
        is_deployed in any::<bool>(),
    ) {
        let at_once = |deed| match deed {
            Deed::Repeat { .. } => Deed::Repeat { back: 0 },
            deed => deed,
        };
        let deeds: Vec<_> = deeds.into_iter().map(at_once).collect();
        let model = if is_deployed { Model::deployed() } else { Model::empty() };
        model.undated().live_through(&deeds);
    }
}
