//! Each checker is proven: under a fault of its kind it speaks up, and names itself.

use std::collections::BTreeSet;

use vereda_simulator::{breach::Checker, malice::Malice, mutation::Mutation, plan::Plan, run::run};

/// Worlds in which a fault must have shown.
const WORLDS: u64 = 40;

fn check(mutation: Mutation, checker: Checker) {
    let mut others: BTreeSet<Checker> = BTreeSet::new();
    let is_flagged = (0..WORLDS).any(|seed| {
        let report = run(Plan::of(seed).with(mutation), false);
        let found: BTreeSet<Checker> = report.breaches.iter().map(|breach| breach.checker).collect();
        others.extend(&found);
        found.contains(&checker)
    });
    assert!(is_flagged, "{mutation:?} was not flagged by {checker:?} in {WORLDS} worlds, only by {others:?}");
}

#[test]
fn a_device_that_acknowledges_before_it_commits_is_flagged() {
    check(Mutation::DeviceAcksBeforeCommit, Checker::Acknowledged);
}

#[test]
fn a_device_store_that_drops_an_edit_is_flagged() {
    check(Mutation::DeviceDropsEdit, Checker::Acknowledged);
}

#[test]
fn a_replica_that_lacks_a_stored_chunk_is_flagged() {
    check(Mutation::DeviceHidesChunk, Checker::Convergence);
}

#[test]
fn an_outbox_that_reorders_is_flagged() {
    check(Mutation::OutboxReorders, Checker::Honesty);
}

#[test]
fn a_world_that_cannot_come_to_rest_is_flagged() {
    check(Mutation::OutboxReorders, Checker::Settling);
}

#[test]
fn a_relay_that_releases_effects_before_it_commits_is_flagged() {
    check(Mutation::RelayEffectsBeforeCommit, Checker::Agreement);
}

#[test]
fn a_relay_store_that_loses_a_committed_chunk_is_flagged() {
    check(Mutation::RelayLosesChunk, Checker::Agreement);
}

#[test]
fn receipts_that_run_back_are_flagged() {
    check(Mutation::ReceiptsRunBack, Checker::Agreement);
}

#[test]
fn a_relay_that_filters_nothing_is_flagged() {
    check(Mutation::ContentFilterOff, Checker::Entitlement);
}

#[test]
fn content_that_leaves_unsealed_is_flagged() {
    check(Mutation::SealingSkipped, Checker::Secrecy);
}

#[test]
fn a_cursor_that_passes_what_is_not_stored_is_flagged() {
    check(Mutation::CursorRunsAhead, Checker::Cursors);
}

#[test]
fn edits_in_another_order_than_acknowledged_are_flagged() {
    check(Mutation::EditsSwapped, Checker::Order);
}

#[test]
fn edits_acknowledged_and_coalesced_are_flagged() {
    check(Mutation::EditsCoalesced, Checker::Order);
}

/// As [`check`], in worlds where people decide on access: flagged where the same world without the fault is not.
fn check_deciding(mutation: Mutation, checker: Checker) {
    let finds = |plan: Plan| run(plan, false).breaches.iter().any(|breach| breach.checker == checker);
    let is_flagged = (0..WORLDS).any(|seed| {
        let plan = Plan::of(seed).with_access();
        finds(plan.with(mutation)) && !finds(plan)
    });
    assert!(is_flagged, "{mutation:?} was not flagged by {checker:?} in {WORLDS} worlds");
}

#[test]
fn keys_that_get_about_are_flagged() {
    check_deciding(Mutation::KeysLeak, Checker::Reading);
}

#[test]
fn keys_that_get_to_whoever_was_put_out_are_flagged() {
    check_deciding(Mutation::RemovedKeepUp, Checker::Reading);
}

#[test]
fn work_that_is_lost_as_it_is_taken_in_is_flagged() {
    check_deciding(Mutation::AdoptedDropped, Checker::Acknowledged);
}

#[test]
fn work_in_review_that_nobody_is_shown_is_flagged() {
    check_deciding(Mutation::ReviewHidden, Checker::Acknowledged);
}

#[test]
fn a_device_that_is_not_told_of_the_review_is_flagged() {
    check_deciding(Mutation::ReviewUntold, Checker::Stuck);
}

/// As [`check_deciding`], in worlds where the relay lies.
fn check_lied_to(malice: Malice, mutation: Mutation, checker: Checker) {
    let finds = |plan: Plan| run(plan, false).breaches.iter().any(|breach| breach.checker == checker);
    let is_flagged = (0..WORLDS).any(|seed| {
        let plan = Plan::of(seed).with_malice(malice);
        finds(plan.with(mutation)) && !finds(plan)
    });
    assert!(is_flagged, "{mutation:?} was not flagged by {checker:?} in {WORLDS} worlds with {malice:?}");
}

#[test]
fn a_device_that_ignores_frontiers_is_flagged() {
    check_lied_to(Malice::BackDates, Mutation::FrontiersIgnored, Checker::BackDated);
}

#[test]
fn a_device_that_does_not_name_a_relay_that_forked_is_flagged() {
    check_lied_to(Malice::Forks, Mutation::FaultsForgotten, Checker::Naming);
}

#[test]
fn a_device_that_does_not_name_a_relay_that_went_back_is_flagged() {
    check_lied_to(Malice::RollsBack, Mutation::FaultsForgotten, Checker::Naming);
}

#[test]
fn a_device_that_does_not_name_a_relay_that_withholds_is_flagged() {
    check_lied_to(Malice::Withholds, Mutation::FaultsForgotten, Checker::Naming);
}

#[test]
fn keys_that_get_about_under_a_relay_that_lies_are_flagged() {
    check_lied_to(Malice::Withholds, Mutation::KeysLeak, Checker::Reading);
}

/// As [`check_lied_to`], in wide worlds.
fn check_widely_lied_to(malice: Malice, mutation: Mutation, checker: Checker) {
    let finds = |plan: Plan| run(plan, false).breaches.iter().any(|breach| breach.checker == checker);
    let is_flagged = (0..WORLDS).any(|seed| {
        let plan = Plan::of(seed).with_malice(malice).wide();
        finds(plan.with(mutation)) && !finds(plan)
    });
    assert!(is_flagged, "{mutation:?} was not flagged by {checker:?} in {WORLDS} wide worlds with {malice:?}");
}

/// Kept worlds in which a device makes edits again: they built on what came after its author's rights had ended. In the
/// second the relay withheld the removal.
const REMADE: [u64; 2] = [10_026, 20_100];

#[test]
fn edits_that_do_not_stand_and_are_never_made_again_are_flagged() {
    for seed in REMADE {
        let plain = run(Plan::of(seed), false);
        assert!(plain.counts.remade > 0 && plain.breaches.is_empty(), "seed {seed}: {:?}", plain.breaches);
        let skipped = run(Plan { mutation: Some(Mutation::RemakingSkipped), ..Plan::of(seed) }, false);
        let is_flagged = skipped.breaches.iter().any(|breach| breach.checker == Checker::Acknowledged);
        assert!(is_flagged, "seed {seed}: {:?}", skipped.breaches);
    }
}

#[test]
fn twins_that_do_not_name_a_relay_that_parts_them_are_flagged() {
    check_widely_lied_to(Malice::Parts, Mutation::FaultsForgotten, Checker::Naming);
}
