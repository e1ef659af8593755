//! What a relay offers to have a removal name: in pages where it is much, and not for ever.

use std::time::Duration;

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, limits};
use vereda_crypto::Signed;
use vereda_policy::{Frontier, FrontierTree, Leaf, Op, Place};
use vereda_protocol::{Down, Leaves, OfferedLeaf, OpOutcome, PolicyEntry, Position, Up};
use vereda_sync::device::{Disconnect, Event, IntentFailure, IntentId, RelayFault, WakeReason};

use crate::{
    intents::{frontier_of, holding, revoking, taken},
    rig::Rig,
    world::tree_of,
};

/// A removal of Bashir from the team, signed over what Amina's device holds, and refused.
struct Removing {
    rig: Rig,
    id: IntentId,
    request: u64,
    /// What the relay has: what is held, and much else.
    offer: Vec<OfferedLeaf>,
}

fn elsewhere(device: DeviceId, number: u64) -> OfferedLeaf {
    let document = ChainId([8; 32]);
    let place = Place::Content { document, device, incarnation: Incarnation(number) };
    OfferedLeaf { place, seq: number, id: Digest([9; 32]) }
}

impl Removing {
    fn of(places: u64) -> Self {
        let (mut rig, [first, second]) = holding();
        let (team, bashir) = (rig.world.team, rig.world.bashir.clone());
        let body = revoking(&rig);
        let id = rig.machine.enqueue_intent(&mut rig.store, team, body, Vec::new()).unwrap();
        rig.commit();
        let (request, _) = taken(&mut rig);
        let mut offer = rig.world.leaves(&bashir, &[&first, &second]);
        offer.extend((offer.len() as u64..places).map(|number| elsewhere(bashir.device(), number)));
        offer.sort_by_key(|leaf| leaf.place.key());
        Self { rig, id, request, offer }
    }

    fn announce(&mut self, frontier: Frontier) {
        self.rig.down(&Down::OpResult { request: self.request, outcome: OpOutcome::FrontierPaged(frontier) });
    }

    fn page(&mut self, from: usize, leaves: &[OfferedLeaf]) {
        self.rig.down(&Down::Offer { request: self.request, from: from as u64, leaves: leaves.to_vec() });
    }

    /// How many leaves came by the device's count, as it asks for the next page.
    fn asked(&mut self) -> Option<u64> {
        self.rig.sent.retain(|up| !matches!(up, Up::Credit(_)));
        match self.rig.sent.pop_front() {
            Some(Up::AskOffer { request, from }) => {
                assert_eq!(request, self.request);
                Some(from)
            }
            None => None,
            other => panic!("{other:?}"),
        }
    }

    /// Answers until the device asks no more.
    fn hand_out(&mut self) -> Signed<Op> {
        loop {
            match self.rig.sent.pop_front() {
                Some(Up::AskOffer { from, .. }) => {
                    let from = usize::try_from(from).unwrap();
                    let page = self.offer[from..(from + 2_048).min(self.offer.len())].to_vec();
                    self.page(from, &page);
                }
                Some(Up::PutOp { request, op, .. }) => {
                    self.request = request;
                    return op;
                }
                Some(Up::Credit(_)) => {}
                other => panic!("{other:?} {:?}", self.rig.disconnects()),
            }
        }
    }
}

#[test]
fn an_offer_of_many_places_is_fetched_in_pages_and_signed() {
    let mut t = Removing::of(20_000);
    let frontier = tree_of(&t.offer).frontier();
    t.announce(frontier);
    let op = t.hand_out();
    assert_eq!(frontier_of(&op), frontier);
    // The same again: one more came in between.
    t.offer.push(elsewhere(t.rig.world.bashir.device(), 30_000));
    t.offer.sort_by_key(|leaf| leaf.place.key());
    let frontier = tree_of(&t.offer).frontier();
    t.announce(frontier);
    assert_eq!(frontier_of(&t.hand_out()), frontier);
    assert_eq!(t.rig.machine.relay_faults(&t.rig.store).unwrap(), []);
}

#[test]
fn an_offer_in_pages_that_cuts_off_what_is_held_is_never_signed() {
    let mut t = Removing::of(10_000);
    let held = t.rig.world.case;
    t.offer.retain(|leaf| leaf.place.chain() != held);
    t.announce(tree_of(&t.offer).frontier());
    while let Some(from) = t.asked() {
        let from = usize::try_from(from).unwrap();
        let page = t.offer[from..(from + 4_000).min(t.offer.len())].to_vec();
        t.page(from, &page);
    }
    assert!(t.rig.saw(&Event::IntentFailed { id: t.id, reason: IntentFailure::CutsOff }));
    let team = t.rig.world.team;
    assert_eq!(t.rig.machine.relay_faults(&t.rig.store).unwrap(), [RelayFault::CutsOff { chain: team }]);
}

#[test]
fn pages_that_repeat_leave_out_do_not_end_or_belong_to_another_offer_are_a_breach() {
    let check = |play: &dyn Fn(&mut Removing, &[OfferedLeaf])| {
        let mut t = Removing::of(300);
        t.announce(tree_of(&t.offer).frontier());
        assert_eq!(t.asked(), Some(0));
        let offer = t.offer.clone();
        t.page(0, &offer[..100]);
        assert_eq!(t.asked(), Some(100));
        play(&mut t, &offer);
        assert_eq!(t.rig.disconnects(), [Disconnect::Violation]);
        assert!(t.rig.sent.is_empty(), "nothing is signed");
    };
    check(&|t, offer| t.page(0, &offer[..100]));
    check(&|t, offer| t.page(100, &offer[..100]));
    check(&|t, offer| t.page(200, &offer[200..]));
    check(&|t, offer| t.page(100, &offer[150..250].iter().rev().copied().collect::<Vec<_>>()));
    // More than was announced, in one page or in many.
    check(&|t, offer| {
        let mut beyond = offer[100..].to_vec();
        beyond.push(elsewhere(offer[0].place.device(), 5_000));
        t.page(100, &beyond);
    });
    // As many as were announced, of which one is another's.
    check(&|t, offer| {
        let mut altered = offer[100..].to_vec();
        altered[50].seq += 1;
        t.page(100, &altered);
    });
}

#[test]
fn an_offer_of_more_than_there_may_be_is_a_breach_and_is_not_fetched() {
    for count in [0, u32::try_from(limits::MAX_FRONTIER_LEAVES).unwrap() + 1, u32::MAX] {
        let mut t = Removing::of(10);
        t.announce(Frontier { root: Digest([1; 32]), count });
        assert_eq!(t.asked(), None);
        assert_eq!(t.rig.disconnects(), [Disconnect::Violation]);
    }
}

#[test]
fn an_offer_that_the_relay_holds_no_longer_is_asked_for_anew() {
    let mut t = Removing::of(300);
    let held = tree_of(&t.rig.world.leaves(&t.rig.world.bashir.clone(), &[])).frontier();
    t.announce(tree_of(&t.offer).frontier());
    assert_eq!(t.asked(), Some(0));
    t.page(0, &[]);
    let (request, op) = taken(&mut t.rig);
    assert_ne!(request, t.request);
    assert_ne!(frontier_of(&op), held, "it names the chunks too");
    // What still comes of the old one says nothing.
    let page = t.offer.clone();
    t.page(0, &page);
    assert!(t.rig.sent.is_empty() && t.rig.disconnects().is_empty());
}

#[test]
fn a_relay_that_offers_without_end_has_the_removal_wait_longer_and_longer_and_is_asked_again() {
    let mut t = Removing::of(10);
    let device = t.rig.world.bashir.device();
    let (mut signed, mut waited) = (0, Vec::new());
    for number in 100..130 {
        t.offer.push(elsewhere(device, number));
        let offer = t.offer.clone();
        t.rig.down(&Down::OpResult { request: t.request, outcome: OpOutcome::FrontierMoved(offer) });
        if t.rig.sent.is_empty() {
            let until = t.rig.machine.waits_for_frontier(t.id).expect("it waits");
            assert!(t.rig.saw(&Event::IntentWaits { id: t.id, until }));
            waited.push(until.0.saturating_sub(t.rig.now.monotonic.0));
            // The connection is kept alive meanwhile, and nothing is signed.
            while t.rig.sent.is_empty() {
                let (_, reason) = t.rig.machine.poll_timeout().unwrap();
                t.rig.sleep();
                if reason == WakeReason::Keepalive {
                    t.rig.input(vereda_sync::device::Input::Alive);
                }
            }
        }
        let (request, _) = taken(&mut t.rig);
        t.request = request;
        signed += 1;
    }
    assert_eq!(signed, 30);
    assert_eq!(waited.len(), 13, "at first at once, then every other time: {waited:?}");
    assert!(waited.is_sorted() && waited[0] == Duration::from_secs(60), "{waited:?}");
    assert!(waited.iter().all(|wait| *wait <= Duration::from_secs(3_600)));
}

#[test]
fn a_relay_that_offers_what_it_never_hands_over_is_named_and_the_removal_waits() {
    let check = |spoil: &dyn Fn(&Removing, &mut Vec<OfferedLeaf>)| {
        let mut t = Removing::of(10);
        let held = tree_of(&t.rig.world.leaves(&t.rig.world.bashir.clone(), &[])).frontier();
        let (team, mut offer) = (t.rig.world.team, t.offer.clone());
        spoil(&t, &mut offer);
        for _ in 0..12 {
            assert_eq!(t.rig.machine.relay_faults(&t.rig.store).unwrap(), []);
            t.rig.down(&Down::OpResult { request: t.request, outcome: OpOutcome::FrontierMoved(offer.clone()) });
            while t.rig.sent.is_empty() {
                let (_, reason) = t.rig.machine.poll_timeout().unwrap();
                t.rig.sleep();
                if reason == WakeReason::Keepalive {
                    t.rig.input(vereda_sync::device::Input::Alive);
                }
            }
            let (request, op) = taken(&mut t.rig);
            assert!(frontier_of(&op).count <= held.count + 1, "only what is held is named");
            t.request = request;
        }
        assert_eq!(t.rig.machine.relay_faults(&t.rig.store).unwrap(), [RelayFault::Invents { chain: team }]);
    };
    let case = |t: &Removing| t.rig.world.case;
    // More of a place that is held.
    check(&|t, offer| {
        let of_case = offer.iter_mut().find(|leaf| leaf.place.chain() == case(t)).unwrap();
        of_case.seq = u64::MAX;
    });
    // A place of a known document, or chain, at which nothing is held.
    check(&|t, offer| {
        let device = t.rig.world.bashir.device();
        let place = Place::Content { document: case(t), device, incarnation: Incarnation(77) };
        offer.push(OfferedLeaf { place, seq: 0, id: Digest([9; 32]) });
    });
    check(&|t, offer| {
        let place = Place::Ops { chain: case(t), device: t.rig.world.bashir.device() };
        offer.push(OfferedLeaf { place, seq: u64::MAX, id: Digest([9; 32]) });
    });
    // Somebody whom the removal does not concern.
    check(&|_, offer| offer.push(elsewhere(DeviceId([7; 32]), 1)));
}

#[test]
fn leaves_that_come_in_ranges_are_kept_and_false_ones_are_a_breach() {
    let check = |spoil: &dyn Fn(&mut vereda_policy::LeafRange), holds: bool| {
        let (mut rig, [first, second]) = holding();
        let (team, bashir) = (rig.world.team, rig.world.bashir.clone());
        let mut offer = rig.world.leaves(&bashir, &[&first, &second]);
        offer.extend((0..50).map(|number| elsewhere(bashir.device(), number)));
        let removed = rig.world.revoke(&bashir, &team, &offer);
        let tree: FrontierTree = tree_of(&offer);
        rig.policy(&[&removed.op], 200);
        let mut range = tree.prove_range(0, offer.len() / 2).unwrap();
        let rest = tree.prove_range(offer.len() / 2, offer.len() - offer.len() / 2).unwrap();
        spoil(&mut range);
        for range in [range, rest] {
            if rig.disconnects().is_empty() {
                let (chain, removal) = (team, removed.removal);
                let entry = PolicyEntry::Frontier { chain, removal, leaves: Leaves::Range(range) };
                rig.down(&Down::Policy { entries: vec![entry], cursor: Position(201) });
            }
        }
        assert_eq!(rig.disconnects().is_empty(), holds);
        assert_eq!(rig.stored().len(), 2, "what is held stands");
        let asks = rig.sent.iter().filter(|up| matches!(up, Up::AskLeaves { .. })).count();
        assert!(asks <= 1, "before they came; {asks}");
    };
    check(&|_| (), true);
    check(&|range| range.first = 1, false);
    check(&|range| range.leaves.truncate(2), false);
    check(&|range| range.leaves[3].seq += 1, false);
    check(&|range| range.leaves.swap(1, 2), false);
    check(&|range| range.leaves.push(Leaf { key: Digest([255; 32]), seq: 0, id: Digest([0; 32]) }), false);
}
