//! What somebody who was put out brings before the group that put him out: nothing, unless one of its Managers lets it in.

use vereda_adversary::{Colluder, Stage, Victim, forge};
use vereda_base::{ChainId, Digest};
use vereda_policy::{Adopt, AdoptedDocument, Assign, Body, DeviceKind, Member, Parent, ParentAuthority, Role};
use vereda_sync::people::{Person, Put, nothing_stands};

use ParentAuthority::{Full, RevokeOnly};

use super::removals::revoke;

/// A case that a person begins under these parents, for the team and himself.
pub fn begin(author: &mut Person, team: ChainId, parents: &[(ChainId, ParentAuthority)]) -> Put {
    let user = author.user();
    let mut members = [user, team].map(|subject| Member { subject, role: Role::Editor });
    members.sort_unstable();
    let mut parents: Vec<Parent> =
        parents.iter().map(|(chain, authority)| Parent { chain: *chain, authority: *authority }).collect();
    parents.sort_unstable();
    let (epoch, wraps) = forge::epoch(9, false, &members.map(|member| (Digest(member.subject.0), 0)));
    let cited: Vec<ChainId> = parents.iter().map(|parent| parent.chain).chain([user]).collect();
    let like = author.clone().create_case(user);
    let begun = forge::changed(author, &Put { wraps, ..like }, |op| {
        let Body::Create(create) = &mut op.body else { panic!("a case is begun") };
        (create.parents, create.members, create.epoch) = (parents, members.to_vec(), epoch);
        op.cites = forge::cites(author, &cited);
    });
    author.learn(&begun.op);
    begun
}

/// An adoption of a document in a chain, by an author who relies on these chains.
pub fn adopt(author: &Person, chain: ChainId, cited: &[ChainId], document: ChainId, holder: ChainId) -> Put {
    let holders = vec![Member { subject: holder, role: Role::Editor }];
    let documents = vec![AdoptedDocument { document, holders, chunks: vec![] }];
    forge::op(author, chain, forge::cites(author, cited), Body::Adopt(Adopt { chunks: vec![], documents }))
}

/// Bashir is put out of the team; the device under attack knows.
pub fn put_out(stage: &mut Stage) -> Victim {
    let mut victim = Victim::of(stage);
    let removal = revoke(stage, None, &[]);
    victim.policy([stage.admit(&removal), vec![Colluder::leaves(&removal, &[])]].concat());
    victim
}

pub fn knows(victim: &Victim, document: ChainId) -> bool {
    victim.machine.documents(&victim.store).unwrap().contains(&document)
}

#[test]
fn nobody_who_was_put_out_brings_a_document_before_his_team_by_deciding_on_it_himself() {
    for (own, of_team) in [(Full, RevokeOnly), (Full, Full), (RevokeOnly, RevokeOnly)] {
        for adopts_first in [true, false] {
            let mut stage = Stage::set();
            let (mut before, team) = (stage.bashir.clone(), stage.team);
            let user = before.user();
            let begun = begin(&mut before, team, &[(user, own), (team, of_team)]);
            let document = begun.chain();
            let mut unaware = Victim::of(&stage);
            unaware.policy(stage.relay.forge(&begun));
            assert!(knows(&unaware, document), "without the removal it stands");
            let mut victim = put_out(&mut stage);
            let adopted = adopt(&forge::knowing(&before, &stage.relay.chains), user, &[], document, team);
            let mut puts = [&adopted, &begun];
            if !adopts_first {
                puts.reverse();
            }
            puts.iter().for_each(|put| victim.policy(stage.relay.forge(put)));
            assert!(victim.obeys(&adopted), "in his own chain he decides");
            assert!(!victim.obeys(&begun) && !knows(&victim, document));
            // A Manager of the team may.
            let amina = forge::knowing(&stage.amina, &stage.relay.chains);
            let let_in = adopt(&amina, team, &[amina.user()], document, team);
            victim.policy(stage.admit(&let_in));
            victim.policy(stage.relay.forge(&begun));
            assert!(victim.obeys(&let_in) && victim.obeys(&begun) && knows(&victim, document));
        }
    }
}

#[test]
fn an_accomplice_who_shares_his_user_with_one_who_was_put_out_lets_nothing_in_for_him() {
    let mut stage = Stage::set();
    let (mut accomplice, team) = (Person::new(4), stage.team);
    let joins = accomplice.create_user();
    stage.admit(&joins);
    let shared = forge::add_device(&accomplice, &stage.bashir.key, DeviceKind::Full);
    accomplice.learn(&shared.op);
    stage.admit(&shared);
    let mut before = stage.bashir.clone();
    let begun = begin(&mut before, team, &[(accomplice.user(), Full), (team, RevokeOnly)]);
    let mut unaware = Victim::of(&stage);
    unaware.policy(stage.relay.forge(&begun));
    assert!(knows(&unaware, begun.chain()), "without the removal it stands");
    let mut victim = put_out(&mut stage);
    let adopted = adopt(&accomplice, accomplice.user(), &[], begun.chain(), team);
    for put in [&adopted, &begun] {
        victim.policy(stage.relay.forge(put));
    }
    assert!(victim.obeys(&adopted), "in his own chain he decides");
    assert!(!victim.obeys(&begun) && !knows(&victim, begun.chain()));
}

#[test]
fn nobody_who_was_put_out_gives_a_document_of_his_own_a_parent_and_so_brings_it_in() {
    let mut stage = Stage::set();
    let (mut before, team) = (stage.bashir.clone(), stage.team);
    let user = before.user();
    let own = before.create_case(user);
    let mut parents = vec![Parent { chain: user, authority: Full }, Parent { chain: team, authority: RevokeOnly }];
    parents.sort_unstable();
    let body = |gives: Vec<Member>| {
        let parents = Some(parents.clone());
        Body::Assign(Assign { gives, takes: vec![], parents, sections: vec![], frontier: nothing_stands() })
    };
    let cites = forge::cites(&before, &[user, team]);
    let parent = forge::op(&before, own.chain(), cites.clone(), body(vec![]));
    before.learn(&parent.op);
    let gives = body(vec![Member { subject: team, role: Role::Editor }]);
    let given = forge::op(&before, own.chain(), cites, gives);
    let mut unaware = Victim::of(&stage);
    let mut victim = put_out(&mut stage);
    for put in [&own, &parent, &given] {
        unaware.policy(stage.relay.forge(put));
        victim.policy(stage.relay.forge(put));
    }
    assert!(knows(&unaware, own.chain()), "without the removal it stands");
    assert!(victim.obeys(&own), "what is his own is his");
    assert!(!victim.obeys(&parent) && !victim.obeys(&given) && !knows(&victim, own.chain()));
}
