//! Chunks under a key that somebody does not hold: nobody's work stands still behind them.

use std::{collections::BTreeSet, time::Duration};

use vereda_adversary::{line::header_of, office::assert_appended, town::Town};
use vereda_base::ChainId;
use vereda_client_core::access::{ReferRequest, RevokeRequest};
use vereda_policy::{BadRotate, Body, Chains, EpochFault, Role};
use vereda_protocol::Header;
use vereda_sync::people::Person;

use crate::{Lie, chunk_of, next_epoch};

/// Lets somebody into a case, and time pass until it is done.
pub fn refer(town: &mut Town, case: ChainId, to: ChainId) {
    let request = ReferRequest {
        document: case,
        to,
        role: Role::Editor,
        expires: None,
        purpose: None,
        consent: None,
        sections: Vec::new(),
    };
    town.on(0, |device, ambient| device.refer(ambient, &request)).unwrap();
    town.pass(Duration::from_secs(60));
}

/// Calls the newest epoch of a case bad and begins another, which carries nothing.
pub fn give_alarm(town: &mut Town, author: &mut Person, member: usize, case: ChainId, lie: Lie) {
    let keys = town.keys(member);
    author.chains = town.chains();
    let epoch = author.chains.chain(&case).unwrap().newest_epoch().unwrap().number;
    let alarm = author.draft(case, Body::BadRotate(BadRotate { epoch, fault: EpochFault::Wrap }));
    assert_appended(&town.put_by_hand(author, &alarm));
    author.chains = town.chains();
    assert_appended(&town.put_by_hand(author, &next_epoch(author, &keys, case, lie)));
    author.chains = town.chains();
}

pub fn chunks_of(town: &Town, document: &ChainId) -> Vec<Header> {
    let headers = town.entries().into_iter().filter_map(chunk_of).map(|chunk| header_of(&chunk));
    headers.filter(|header| header.document == *document).collect()
}

/// Every change number of an author is that of one change.
pub fn assert_unforked(town: &Town, document: &ChainId) {
    let mut taken = BTreeSet::new();
    for header in chunks_of(town, document) {
        for seq in (header.first_change..).take(header.change_count as usize) {
            assert!(taken.insert((header.device, header.incarnation, seq)), "{header:?}");
        }
    }
}

#[test]
fn a_chunk_that_nobody_can_open_holds_nothing_up() {
    let (mut town, team) = Town::found();
    let member = town.join(team, Role::Editor, "Bashir");
    let colleague = town.join(team, Role::Editor, "Chipo");
    let case = town.create_case(0, "Ana");
    let below = chunks_of(&town, &case)[0].link();
    let mut author = town.insider(member);
    town.cut(member);
    give_alarm(&mut town, &mut author, member, case, Lie::Wrap);
    let garbage = author.chunk(case, 0, None, &[below], 300);
    town.push_by_hand(&author, &[garbage]);
    town.settle();
    for turn in 0..4 {
        town.rename(0, &case, &format!("Ana {turn}"));
        town.pass(Duration::from_secs(60));
    }
    assert_eq!([0, colleague].map(|device| town.name(device, &case)), ["Ana 3", "Ana 3"]);
    town.rename(colleague, &case, "Ana C.");
    town.pass(Duration::from_secs(600));
    let late = town.join(team, Role::Editor, "Dayo");
    town.pass(Duration::from_secs(600));
    assert_eq!([0, colleague, late].map(|device| town.name(device, &case)), ["Ana C.", "Ana C.", "Ana C."]);
    let told = town.devices[late].explain(&case).unwrap();
    assert_eq!(told.state, "waiting_for_key", "{}", told.sentence);

    town.restart(0);
    assert_eq!(town.name(0, &case), "Ana C.", "after a restart");
    town.rename(0, &case, "Ana again");
    town.connect(0);
    town.pass(Duration::from_secs(600));
    assert_eq!([0, colleague, late].map(|device| town.name(device, &case)), ["Ana again"; 3]);
    assert_unforked(&town, &case);
}

/// A case of which something was written under an epoch that was falsely called bad, and followed by one that carries
/// nothing. Gives the town, its team, who gave the alarm, and the case.
fn passed_over() -> (Town, ChainId, usize, ChainId) {
    let (mut town, team) = Town::found();
    let member = town.join(team, Role::Editor, "Bashir");
    let colleague = town.join(team, Role::Editor, "Chipo");
    let case = town.create_case(0, "Ana");
    town.cut(member);
    let mut author = town.insider(member);
    let alarm = author.draft(case, Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Wrap }));
    assert_appended(&town.put_by_hand(&author, &alarm));
    town.settle();
    town.rename(colleague, &case, "Ana 1");
    town.pass(Duration::from_secs(60));
    assert_eq!(town.name(0, &case), "Ana 1");
    give_alarm(&mut town, &mut author, member, case, Lie::Nothing);
    town.settle();
    let chains = town.chains();
    let state = chains.chain(&case).unwrap();
    let newest = state.newest_epoch().unwrap();
    assert_eq!((newest.number, newest.follows, newest.carries.len()), (2, Some(0), 0));
    (town, team, member, case)
}

#[test]
fn who_comes_after_a_false_alarm_sees_what_opens_writes_on_it_and_gains_the_rest_with_its_key() {
    let (mut town, team, member, case) = passed_over();
    // Of another team: no key of theirs leads him to that one.
    let south = town.on(0, |device, ambient| device.create_team(ambient, "South")).unwrap();
    town.settle();
    let late = town.join(south, Role::Editor, "Dayo");
    town.pass(Duration::from_secs(60));
    let to = town.insider(late).user();
    refer(&mut town, case, to);
    assert_eq!(town.name(late, &case), "Ana", "what was written before is shown");
    assert_eq!(town.devices[late].explain(&case).unwrap().state, "waiting_for_key");
    // Others see what was written under that key, and what is built on it stays closed with it.
    town.rename(0, &case, "Ana 2");
    town.rename(late, &case, "Ana D.");
    town.restart(late);
    town.connect(late);
    town.pass(Duration::from_secs(60));
    assert_eq!(town.name(late, &case), "Ana D.", "his own stays after a restart");
    assert!(town.devices[late].is_settled());

    // The next epoch is begun by somebody who holds the key.
    let user = town.insider(member).user();
    let revoke = RevokeRequest { chain: team, subject: user, successor: None };
    town.on(0, |device, ambient| device.revoke(ambient, revoke)).unwrap();
    town.pass(Duration::from_secs(60));
    town.rename(0, &case, "Ana 3");
    town.pass(Duration::from_secs(60));
    assert_eq!([0, 2, late].map(|device| town.name(device, &case)), ["Ana 3"; 3]);
    assert_eq!(town.devices[late].explain(&case).unwrap().state, "synced");
    town.rename(late, &case, "Ana 4");
    town.pass(Duration::from_secs(60));
    let shown = [0, 2, late].map(|device| town.devices[device].digest().unwrap().digest.to_string());
    assert!(shown.iter().all(|digest| *digest == shown[0]), "{shown:?}");
    assert_unforked(&town, &case);
}
