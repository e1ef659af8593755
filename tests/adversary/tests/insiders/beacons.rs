//! Managers whose beacons lie, on purpose or by a clock that is wrong.

use std::time::Duration;

use vereda_adversary::{office::assert_appended, town::Town};
use vereda_base::{ChainId, OpId, Timestamp};
use vereda_client_core::access::RevokeRequest;
use vereda_policy::{Beacon, Body, Cite, Role};
use vereda_protocol::{OpOutcome, RefusalCode};
use vereda_sync::people::NOW;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A town, its agency and team, a Manager of the agency who lies, and an Editor of the team.
fn found() -> (Town, ChainId, ChainId, usize, usize) {
    let (mut town, team) = Town::found();
    let (_, agency) = town.devices[0].home().unwrap();
    let mallory = town.join(agency, Role::Manager, "Mallory");
    let berta = town.join(team, Role::Editor, "Berta");
    (town, agency, team, mallory, berta)
}

fn put_out(town: &mut Town, agency: ChainId, device: usize) {
    let (subject, _) = town.devices[device].home().unwrap();
    let request = RevokeRequest { chain: agency, subject, successor: None };
    town.on(0, |device, ambient| device.revoke(ambient, request)).unwrap();
    town.settle();
}

#[test]
fn a_beacon_that_is_dated_ahead_is_no_news_later_than_the_relay_received_it() {
    let days_when = |is_put_out: bool| {
        let (mut town, agency, _, mallory, berta) = found();
        let insider = town.insider(mallory);
        let put = insider.draft(agency, Body::Beacon(Beacon { time: Timestamp(i64::MAX), heads: Vec::new() }));
        assert_appended(&town.put_by_hand(&insider, &put));
        if is_put_out {
            put_out(&mut town, agency, mallory);
        } else {
            town.settle();
        }
        town.pass(DAY * 2);
        // The relay holds back everything from here on.
        town.cut(0);
        town.cut(mallory);
        town.pass(DAY * 30);
        let now = Timestamp(NOW.0 + 32 * 24 * 3_600_000);
        let beacon = town.devices[berta].beacon(now).unwrap();
        assert!(beacon.is_too_old, "{beacon:?}");
        (beacon.days, beacon.device == Some(town.devices[mallory].id()))
    };
    let (days, _) = days_when(false);
    assert!((29..=32).contains(&days), "{days} days");
    let (days, is_his) = days_when(true);
    assert!((29..=32).contains(&days) && !is_his, "of whoever was put out none counts: {days} days");
}

#[test]
fn a_beacon_that_names_what_never_was_is_refused_and_nobody_accuses_the_relay() {
    let (mut town, agency, team, mallory, berta) = found();
    let insider = town.insider(mallory);
    for chain in [agency, team, ChainId([9; 32])] {
        let heads = vec![Cite { chain, head: OpId([66; 32]) }];
        let put = insider.draft(agency, Body::Beacon(Beacon { time: NOW, heads }));
        assert_eq!(town.put_by_hand(&insider, &put), OpOutcome::Refused(RefusalCode::UnknownPolicy));
    }
    town.settle();
    town.pass(DAY);
    for device in [0, berta] {
        assert_eq!(town.devices[device].relay_faults().unwrap(), []);
    }
}
