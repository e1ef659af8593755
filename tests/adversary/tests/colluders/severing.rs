//! Removals that do not name what there was: whoever signs one together with the relay takes nothing from a device that had it
//! before, and the relay is named.

use std::time::Duration;

use vereda_adversary::{Colluder, Stage, Victim, forge};
use vereda_base::Timestamp;
use vereda_policy::{Body, DeviceKind, Leaf, Place, RemoveDevice, Role};
use vereda_protocol::Chunk;
use vereda_sync::{
    device::{Event, RelayFault},
    people::{NOW, Person, Put, link_of},
};

use super::{
    frontiers::leaf_of,
    removals::{revoke, two_chunks},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Serves a removal that the relay says to have received at a time, with its leaves.
fn serve_at(victim: &mut Victim, stage: &mut Stage, removal: &Put, leaves: &[Leaf], time: Timestamp) {
    stage.relay.time = time;
    let leaves = Colluder::leaves(removal, leaves);
    victim.policy([stage.admit(removal), vec![leaves]].concat());
}

/// Whoever found Bashir's recovery key adds a device with it and removes his; the frontier names these leaves.
fn remove_device(stage: &mut Stage, leaves: &[Leaf]) -> Put {
    let mut finder = forge::second_device(&stage.bashir, 60);
    let add = forge::add_device(&stage.bashir, &finder.key, DeviceKind::Recovery);
    stage.admit(&add);
    finder.chains = stage.relay.chains.clone();
    let thief = forge::second_device(&stage.bashir, 61);
    stage.admit(&forge::add_device(&finder, &thief.key, DeviceKind::Full));
    finder.chains = stage.relay.chains.clone();
    let frontier = forge::frontier(leaves);
    finder.draft(stage.bashir.user(), Body::RemoveDevice(RemoveDevice { device: stage.bashir.device(), frontier }))
}

/// A case that Bashir began, his chunk in it, two of his in Amina's case, and one of Chipo's that builds on those.
struct Work {
    case: Put,
    chunks: [Chunk; 4],
}

impl Work {
    fn of(stage: &mut Stage) -> Self {
        let case = stage.bashir.create_case(stage.team);
        stage.admit(&case);
        let own = stage.bashir.chunk(case.chain(), 0, None, &[], 300);
        let [first, second] = two_chunks(stage);
        let on_top = stage.chipo.chunk(stage.case, 0, None, &[link_of(&second)], 300);
        Self { case, chunks: [own, first, second, on_top] }
    }

    fn stands(&self, victim: &Victim) -> Vec<bool> {
        let chunks = self.chunks.iter().map(|chunk| victim.has(chunk));
        [victim.obeys(&self.case)].into_iter().chain(chunks).collect()
    }

    fn leaves(&self, stage: &Stage) -> Vec<Leaf> {
        let device = stage.bashir.device();
        let begun = Leaf::new(&Place::Ops { chain: self.case.chain(), device }, 0, self.case.id());
        vec![begun, leaf_of(&self.chunks[0]), leaf_of(&self.chunks[2])]
    }
}

#[test]
fn whoever_finds_a_recovery_key_and_the_relay_cut_off_nothing_that_was_here_before() {
    for names_all in [true, false] {
        let mut stage = Stage::set();
        let work = Work::of(&mut stage);
        let leaves = if names_all { work.leaves(&stage) } else { Vec::new() };
        let removal = remove_device(&mut stage, &leaves);
        // Somebody else's device comes to hear of the work only after the removal.
        let mut newcomer = Victim::of(&stage);
        let mut victim = Victim::of(&stage);
        victim.content(&work.chunks.each_ref());
        assert_eq!(work.stands(&victim), [true; 5]);
        serve_at(&mut victim, &mut stage, &removal, &leaves, NOW.saturating_add(HOUR));
        assert!(victim.obeys(&removal));
        assert_eq!(work.stands(&victim), [true; 5]);
        let severs = RelayFault::Severs { chain: removal.chain() };
        let faults = if names_all { vec![] } else { vec![severs] };
        assert_eq!(victim.faults(), faults);
        assert_eq!(victim.saw(&Event::RelaySevers { chain: removal.chain() }), !names_all);
        // Back-dated work stands no more than before.
        let later = stage.bashir.chunk(stage.case, 2, Some(link_of(&work.chunks[2])), &[link_of(&work.chunks[2])], 300);
        victim.content(&[&later]);
        assert!(!victim.has(&later));
        let victim = victim.restart();
        assert_eq!((work.stands(&victim), victim.faults()), (vec![true; 5], faults), "after a restart too");
        let news = [stage.relay.entries.last().cloned().unwrap(), Colluder::leaves(&removal, &leaves)];
        newcomer.policy(news.to_vec());
        newcomer.content(&work.chunks.each_ref());
        assert_eq!(newcomer.has(&work.chunks[1]), names_all, "what was not here before does not stand");
    }
}

#[test]
fn work_that_was_handed_over_after_a_removal_had_its_receipt_does_not_stand_and_is_kept_and_the_relay_is_named() {
    for is_withheld in [true, false] {
        let mut stage = Stage::set();
        let chunks = two_chunks(&mut stage);
        let leaves = [leaf_of(&chunks[0])];
        let removal = revoke(&stage, None, &leaves);
        let mut victim = Victim::of(&stage);
        victim.pass(HOUR);
        if is_withheld {
            victim.content(&[&chunks[0], &chunks[1]]);
            serve_at(&mut victim, &mut stage, &removal, &leaves, NOW);
        } else {
            serve_at(&mut victim, &mut stage, &removal, &leaves, NOW);
            victim.content(&[&chunks[0], &chunks[1]]);
        }
        assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]));
        let severs = RelayFault::Severs { chain: stage.team };
        assert_eq!(victim.faults(), if is_withheld { vec![severs] } else { vec![] });
        let kept = victim.machine.find_chunk(&victim.store, &link_of(&chunks[1])).unwrap();
        assert_eq!(kept.is_some(), is_withheld, "what stood here once is kept");
    }
}

#[test]
fn what_a_manager_decided_before_his_removal_lasts_where_it_was_known_and_nothing_that_he_decides_after_it() {
    for is_withheld in [false, true] {
        let mut stage = Stage::set();
        let mut friend = Person::new(40);
        let user = friend.create_user();
        stage.admit(&user);
        let promote = stage.amina.draft(stage.team, forge::grant(stage.bashir.user(), Role::Manager));
        stage.admit(&promote);
        let before = stage.bashir.clone();
        let mut victim = Victim::of(&stage);
        victim.pass(HOUR);
        let removal = revoke(&stage, None, &[]);
        let grant = before.draft(stage.case, forge::grant(friend.user(), Role::Editor));
        let entries = stage.admit(&grant);
        victim.policy(entries);
        friend.chains = stage.relay.chains.clone();
        let chunk = friend.chunk(stage.case, 0, None, &[], 300);
        victim.content(&[&chunk]);
        assert!(victim.obeys(&grant) && victim.has(&chunk));
        let hours = if is_withheld { 0 } else { 2 };
        serve_at(&mut victim, &mut stage, &removal, &[], NOW.saturating_add(HOUR * hours));
        assert_eq!((victim.obeys(&grant), victim.has(&chunk)), (!is_withheld, !is_withheld));
        assert_eq!(victim.faults(), [RelayFault::Severs { chain: stage.team }]);
        let later = forge::grant(stage.amina.user(), Role::Reader);
        let cites = forge::cites(&before, &[before.user(), stage.team]);
        let later = forge::op(&forge::knowing(&before, &stage.relay.chains), stage.case, cites, later);
        victim.policy(stage.relay.forge(&later));
        assert!(!victim.obeys(&later));
        let victim = victim.restart();
        assert_eq!((victim.obeys(&grant), victim.has(&chunk)), (!is_withheld, !is_withheld), "after a restart too");
    }
}
