//! What somebody brings before others by an agency of his own, begun with the relay's help: nothing.

use vereda_adversary::{Colluder, Stage, Victim, forge};
use vereda_base::ChainId;
use vereda_policy::{Chains, ParentAuthority, Role};
use vereda_protocol::{Down, PolicyEntry};
use vereda_sync::{
    device::Event,
    people::{Person, Put},
};

use ParentAuthority::{Full, RevokeOnly};

use super::entering::{adopt, begin, knows, put_out};

/// A case of an agency, put before a team and a person by its Manager.
fn put_before(author: &mut Person, agency: ChainId, to: [ChainId; 2]) -> Vec<Put> {
    let begun = author.create_case(agency);
    let document = begun.chain();
    let granted = to.map(|subject| author.grant(document, subject, Role::Editor));
    [vec![begun], granted.to_vec()].concat()
}

fn entries(relay: &Colluder, puts: &[Put]) -> Vec<PolicyEntry> {
    puts.iter().flat_map(|put| relay.forge(put)).collect()
}

#[test]
fn a_case_of_an_agency_that_somebody_began_with_the_relay_is_put_before_no_team_and_nobody_of_another() {
    for is_put_out in [false, true] {
        let mut stage = Stage::set();
        let to = [stage.team, stage.chipo.user()];
        let mut victim = if is_put_out { put_out(&mut stage) } else { Victim::of(&stage) };
        let mut founder = forge::knowing(&stage.bashir, &stage.relay.chains);
        let agency = founder.create_agency();
        let team = founder.create_team(agency.chain(), &[(founder.user(), Role::Manager)]);
        let puts = put_before(&mut founder, agency.chain(), to);
        let of_team = put_before(&mut founder, team.chain(), to);
        let held = founder.chains.chain(&puts[0].chain()).unwrap();
        assert!(to.iter().all(|subject| held.standing_members().contains(subject)), "within itself all is in order");
        let all = [vec![agency, team], puts, of_team].concat();
        victim.policy(entries(&stage.relay, &all));
        let mut victim = victim.restart();
        victim.connect(&stage.relay);
        victim.policy(entries(&stage.relay, &all));
        victim.hear(&Down::CaughtUp { cursor: victim.cursor() });
        assert!(!all.iter().any(|put| victim.obeys(put) || knows(&victim, put.chain())), "put out: {is_put_out}");
        assert!(victim.saw(&Event::OpQuarantined { chain: all[0].chain(), seq: 0 }), "it is kept as evidence");
        assert_eq!(victim.disconnects(), []);
        // A Manager of the agency that all are in may.
        let mut amina = forge::knowing(&stage.amina, &stage.relay.chains);
        let honest = put_before(&mut amina, stage.agency, to);
        victim.policy(entries(&stage.relay, &honest));
        assert!(honest.iter().all(|put| victim.obeys(put)) && knows(&victim, honest[0].chain()));
    }
}

#[test]
fn nobody_who_was_put_out_brings_a_document_before_his_team_by_an_agency_of_his_own() {
    for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0]] {
        let mut stage = Stage::set();
        let (mut before, team) = (stage.bashir.clone(), stage.team);
        let agency = before.create_agency();
        let begun = begin(&mut before, team, &[(agency.chain(), Full), (team, RevokeOnly)]);
        let mut victim = put_out(&mut stage);
        let adopted = adopt(&before, agency.chain(), &[before.user()], begun.chain(), team);
        let puts = [agency, adopted, begun];
        for index in order {
            victim.policy(stage.relay.forge(&puts[index]));
        }
        assert!(!puts.iter().any(|put| victim.obeys(put) || knows(&victim, put.chain())));
    }
    // By another team of the agency that he is Manager of he does: it holds the document, and may put it before anybody.
    let mut stage = Stage::set();
    let south = stage.amina.create_team(stage.agency, &[(stage.bashir.user(), Role::Manager)]);
    stage.admit(&south);
    let (mut before, team) = (stage.bashir.clone(), stage.team);
    let begun = begin(&mut before, team, &[(south.chain(), Full), (team, RevokeOnly)]);
    let mut victim = put_out(&mut stage);
    let adopted = adopt(&before, south.chain(), &[before.user()], begun.chain(), team);
    for put in [&adopted, &begun] {
        victim.policy(stage.relay.forge(put));
    }
    assert!(victim.obeys(&adopted) && victim.obeys(&begun) && knows(&victim, begun.chain()));
}
