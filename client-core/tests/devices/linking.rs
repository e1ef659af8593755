//! Further devices of one person: links, codes, keys, names.

use std::time::Duration;

use serde_json::json;
use vereda_base::{ChainId, DeviceId, OpId};
use vereda_client_core::{
    devices::{LinkError, LinkingCode, OFFER_LASTS},
    link::{DeviceAnswer, DeviceOffer},
};
use vereda_policy::Role;

use super::world::World;

impl World {
    /// Offers on one device, answers on a new one; the links travel as texts.
    pub fn exchange_links(&mut self, old: usize, name: &str) -> (usize, DeviceAnswer, LinkingCode) {
        let offer = self.on(old, |device, ambient| device.offer_link(ambient)).unwrap();
        let new = self.add_device();
        let offer: DeviceOffer = offer.text().parse().unwrap();
        let linking = self.on(new, |device, ambient| device.answer_link(ambient, &offer, name)).unwrap();
        (new, linking.answer.parse().unwrap(), linking.code)
    }

    /// Links a further device to a person, online.
    pub fn link(&mut self, old: usize, name: &str) -> usize {
        let (new, answer, code) = self.exchange_links(old, name);
        self.on(old, |device, ambient| device.confirm_answer(ambient, &answer, code)).unwrap();
        self.on(new, |device, _| device.confirm_offer(code)).unwrap();
        self.settle();
        self.connect(new);
        self.settle();
        new
    }
}

#[test]
fn a_linked_device_is_its_person_and_reads_and_writes_all_that_he_may() {
    let mut world = World::new(100);
    let (amina, team) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let tablet = world.link(amina, "Tablet");
    let status = world.devices[tablet].status().unwrap();
    assert_eq!((status.membership, status.settled), ("member", true), "{status:?}");
    assert_eq!(status.person.as_deref(), Some("Amina"));
    assert_eq!(world.field(tablet, &case, "name_first"), json!("Samir"));
    world.edit_case(tablet, &case, json!({"set": {"name_last": "Hassan"}}));
    world.settle();
    assert_eq!(world.field(amina, &case, "name_last"), json!("Hassan"));
    let berta = world.join(tablet, team, Role::Editor, "Berta");
    world.settle();
    assert_eq!(world.field(berta, &case, "name_last"), json!("Hassan"));
    let id = world.devices[tablet].id();
    for device in [amina, tablet, berta] {
        assert_eq!(world.devices[device].device_name(&id), Some("Tablet"), "device {device}");
    }
    let digests = world.digests();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_second_linked_device_gets_its_keys_from_the_first_while_the_founding_one_is_away() {
    let mut world = World::new(101);
    let (amina, _) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let tablet = world.link(amina, "Tablet");
    world.cut(amina);
    let laptop = world.link(tablet, "Laptop");
    assert_eq!(world.field(laptop, &case, "name_first"), json!("Samir"));
}

#[test]
fn a_new_device_waits_until_the_old_one_has_added_it() {
    let mut world = World::new(102);
    let (amina, _) = world.found();
    world.connect(amina);
    let (tablet, answer, code) = world.exchange_links(amina, "Tablet");
    world.on(tablet, |device, _| device.confirm_offer(code)).unwrap();
    world.connect(tablet);
    assert_eq!(world.devices[tablet].status().unwrap().membership, "pending");
    world.on(amina, |device, ambient| device.confirm_answer(ambient, &answer, code)).unwrap();
    world.settle();
    world.pass(Duration::from_secs(300));
    world.settle();
    let status = world.devices[tablet].status().unwrap();
    assert_eq!((status.membership, status.settled), ("member", true), "{status:?}");
}

#[test]
fn a_link_exchanged_on_its_way_changes_the_code_and_links_nothing() {
    let mut world = World::new(103);
    let (amina, _) = world.found();
    world.connect(amina);
    let (mallory, of_mallory, _) = world.exchange_links(amina, "Mallory");
    let offer = world.on(amina, |device, ambient| device.offer_link(ambient)).unwrap();
    // Whoever stands between hands Amina keys of his own for those of her tablet.
    let tablet = world.add_device();
    let shown = world.on(tablet, |device, ambient| device.answer_link(ambient, &offer, "Tablet")).unwrap();
    let swapped = world.on(mallory, |device, ambient| device.answer_link(ambient, &offer, "Tablet")).unwrap();
    let swapped: DeviceAnswer = swapped.answer.parse().unwrap();
    assert_ne!(world.devices[amina].check_answer(world.now.wall, &swapped).unwrap(), shown.code);
    let added = world.on(amina, |device, ambient| device.confirm_answer(ambient, &swapped, shown.code));
    assert!(matches!(added, Err(LinkError::CodesDiffer)), "{added:?}");
    // There is one attempt an offer.
    let code = LinkingCode::of(&offer, &swapped);
    let again = world.on(amina, |device, ambient| device.confirm_answer(ambient, &swapped, code));
    assert!(matches!(again, Err(LinkError::Nothing)), "{again:?}");
    world.settle();
    let (user, _) = world.devices[amina].home().unwrap();
    assert_eq!(world.devices[amina].status().unwrap().pending_operations, 0);
    let stale = world.on(amina, |device, ambient| {
        device.offer_link(ambient)?;
        device.check_answer(ambient.now.wall, &of_mallory)
    });
    assert!(matches!(stale, Err(LinkError::OtherOffer)), "{stale:?}");
    // The other way round: the tablet was shown another person.
    let differs = world.on(tablet, |device, _| device.confirm_offer(code));
    assert!(matches!(differs, Err(LinkError::CodesDiffer)), "{differs:?}");
    assert!(world.devices[tablet].home().is_none() && world.devices[amina].home().unwrap().0 == user);
}

#[test]
fn keys_that_answered_one_offer_answer_no_other() {
    let mut world = World::new(104);
    let (amina, _) = world.found();
    world.connect(amina);
    let tablet = world.add_device();
    let answer = |world: &mut World| {
        let offer = world.on(amina, |device, ambient| device.offer_link(ambient)).unwrap();
        let linking = world.on(tablet, |device, ambient| device.answer_link(ambient, &offer, "Tablet")).unwrap();
        linking.answer.parse::<DeviceAnswer>().unwrap()
    };
    let (first, second) = (answer(&mut world), answer(&mut world));
    assert!(first.device != second.device && first.wrapping_key != second.wrapping_key);
    assert_eq!(world.devices[tablet].id(), second.device);
    world.crash(tablet);
    assert_eq!(world.devices[tablet].id(), second.device);
    assert_eq!(world.devices[tablet].linking().unwrap().unwrap().answer, second.text());
}

#[test]
fn the_code_covers_every_part_of_both_links() {
    let mut world = World::new(105);
    let (amina, _) = world.found();
    world.connect(amina);
    let offer = world.on(amina, |device, ambient| device.offer_link(ambient)).unwrap();
    let (tablet, other) = (world.add_device(), world.add_device());
    let mut answer = |device: usize| {
        let linking = world.on(device, |device, ambient| device.answer_link(ambient, &offer, "Tablet")).unwrap();
        linking.answer.parse::<DeviceAnswer>().unwrap()
    };
    let (answer, others) = (answer(tablet), answer(other));
    let code = LinkingCode::of(&offer, &answer);
    assert_eq!(code.to_string().parse(), Ok(code));
    assert_eq!(code.to_string().len(), 14);
    let mut offers = vec![offer.clone(); 6];
    offers[0].relay.url.push('x');
    offers[1].relay.key = DeviceId([1; 32]);
    offers[2].agency = ChainId([1; 32]);
    offers[3].user = ChainId([1; 32]);
    offers[4].heads[0].head = OpId([1; 32]);
    offers[5].nonce[0] ^= 1;
    let mut answers = vec![answer.clone(); 4];
    answers[0].device = others.device;
    answers[1].wrapping_key = others.wrapping_key;
    answers[2].proof = others.proof;
    answers[3].nonce[0] ^= 1;
    let codes = offers.iter().map(|changed| LinkingCode::of(changed, &answer));
    for other in codes.chain(answers.iter().map(|changed| LinkingCode::of(&offer, changed))) {
        assert_ne!(other, code);
    }
}

#[test]
fn an_offer_lasts_ten_minutes_and_a_forged_answer_is_refused() {
    let mut world = World::new(106);
    let (amina, _) = world.found();
    world.connect(amina);
    let (_, answer, code) = world.exchange_links(amina, "Tablet");
    let mut forged = answer.clone();
    forged.device = DeviceId([7; 32]);
    let refused = world.devices[amina].check_answer(world.now.wall, &forged);
    assert!(matches!(refused, Err(LinkError::Proof)), "{refused:?}");
    world.pass(OFFER_LASTS);
    let late = world.on(amina, |device, ambient| device.confirm_answer(ambient, &answer, code));
    assert!(matches!(late, Err(LinkError::Nothing)), "{late:?}");
}

#[test]
fn a_relay_without_the_promised_heads_is_told_nothing_by_a_linked_device() {
    let mut world = World::new(107);
    let (amina, _) = world.found();
    world.connect(amina);
    let mut offer = world.on(amina, |device, ambient| device.offer_link(ambient)).unwrap();
    offer.heads[1].head = OpId([7; 32]);
    let tablet = world.add_device();
    let linking = world.on(tablet, |device, ambient| device.answer_link(ambient, &offer, "Tablet")).unwrap();
    let answer: DeviceAnswer = linking.answer.parse().unwrap();
    let code = world.devices[amina].check_answer(world.now.wall, &answer).unwrap();
    world.on(amina, |device, ambient| device.confirm_answer(ambient, &answer, code)).unwrap();
    world.on(tablet, |device, _| device.confirm_offer(linking.code)).unwrap();
    world.settle();
    world.connect(tablet);
    let connection = world.devices[tablet].status().unwrap().connection;
    assert!(connection.state == "offline" && connection.reason.unwrap_or_default().contains("promised"));
    let faults = world.devices[tablet].status().unwrap().relay_faults;
    assert_eq!(faults.iter().map(|fault| fault.fault).collect::<Vec<_>>(), ["withholds"]);
    let id = world.devices[tablet].id();
    assert_eq!(world.devices[amina].device_name(&id), None);
}
