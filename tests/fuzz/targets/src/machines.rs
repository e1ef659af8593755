//! Whole sessions against the machines of relay and device: an honest opening, then whatever comes.
//!
//! The first byte says how far the opening is honest: 0 wholly, else not at all.

use minicbor::bytes::ByteArray;
use rand_chacha::ChaCha20Rng;
use vereda_base::{Monotonic, Now, Sensitive, Timestamp};
use vereda_crypto::{Signature, context};
use vereda_protocol::{
    Auth, Credential, Down, Opening, Packer, Position, Unpacker, Up, WelcomeFields, auth_message, decode_down,
    decode_up, encode_down, encode_up, founding_credential, founding_key, invite_auth_message, welcome_message,
};
use vereda_sync::{device, relay};
use vereda_vectors::world::{Event, Person, START, rng};

use crate::{sequence, world::world};

const FOUNDING_SECRET: [u8; 32] = [0xf0; 32];

/// Lets a relay that holds an agency hear frames from a member's device, or from anybody.
pub fn relay_session(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let mut relay = Relay::with_agency();
    let id = relay::SessionId(1_000);
    if *first == 0 {
        relay.open(id, &world().chipo, Credential::Member);
    } else {
        relay.take(relay::Input::Opened(id));
    }
    for frame in sequence::split(rest) {
        let effects = relay.take(relay::Input::Frame(id, frame.to_vec()));
        if effects.contains(&relay::Effect::Close(id)) {
            break;
        }
    }
    relay.take(relay::Input::Closed(id));
    // Whatever it heard, it serves the next.
    relay.open(relay::SessionId(1_001), &world().amina, Credential::Member);
}

/// Lets a new device hear frames from its relay, or from somebody who plays the relay.
pub fn device_session(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let mut device = Device::new();
    device.take(device::Input::Start);
    device.take(device::Input::Connected);
    if *first == 0 {
        device.open();
    }
    for frame in sequence::split(rest) {
        let effects = device.take(device::Input::Frame(frame.to_vec()));
        if effects.contains(&device::Effect::Close) {
            break;
        }
    }
    device.take(device::Input::Closed);
    // What it heard may have ended the session, not the device.
    device.take(device::Input::Start);
}

struct Relay {
    machine: relay::RelayMachine,
    store: relay::MemoryStore,
    rng: ChaCha20Rng,
}

impl Relay {
    fn with_agency() -> Self {
        let (mut store, mut rng) = (relay::MemoryStore::default(), rng(9));
        let founding = relay::founding_digest(&FOUNDING_SECRET);
        relay::RelayStore::set_founding(&mut store, &founding, &relay::store::Founding::Open).expect("memory");
        let config = relay::RelayConfig::default();
        let machine = relay::RelayMachine::open(world().relay.clone(), config, &mut store, &mut rng).expect("memory");
        let mut relay = Self { machine, store, rng };
        relay.fill();
        relay
    }

    /// Puts the world's operations in as their authors would.
    fn fill(&mut self) {
        let world = world();
        let key = founding_key(&FOUNDING_SECRET).device_id();
        let founding = Credential::Founding { key, proof: Signature([0; 64]) };
        let named = |names: &[&str]| -> Vec<&Event> {
            world.events.iter().filter(|event| names.contains(&event.name)).collect()
        };
        let rest = ["repair team", "add device", "repair user"];
        let founded = ["create user", "create agency", "create configuration", "create team", "invite"];
        self.put(1, &world.amina, founding, &named(&founded));
        let invite = Credential::Invite { chain: world.team, invite: world.invite, proof: Signature([0; 64]) };
        self.put(2, &world.chipo, invite, &named(&["create second user", "accept"]));
        self.put(3, &world.amina, Credential::Member, &named(&rest));
        self.put(4, &world.chipo, Credential::Member, &named(&["create case"]));
    }

    fn put(&mut self, id: u64, person: &Person, credential: Credential, events: &[&Event]) {
        let id = relay::SessionId(id);
        let mut packer = self.open(id, person, credential);
        for (request, event) in (0..).zip(events) {
            let wraps = event.wraps.iter().map(|(wrap, _)| wrap.clone()).collect();
            let up = Up::PutOp { request, op: event.op.signed().clone(), wraps };
            let frame = encode_up(&up, &mut packer).expect("a small frame");
            let effects = self.take(relay::Input::Frame(id, frame));
            assert!(!effects.contains(&relay::Effect::Close(id)), "operation {:?} ended the session", event.name);
        }
        self.take(relay::Input::Closed(id));
    }

    /// Opens a session honestly.
    fn open(&mut self, id: relay::SessionId, person: &Person, mut credential: Credential) -> Packer {
        let effects = self.take(relay::Input::Opened(id));
        let challenge = effects.iter().find_map(|effect| match effect {
            relay::Effect::Send(to, frame) if *to == id => decode_down(frame, &mut Unpacker::new()).ok(),
            _ => None,
        });
        let Some(Down::Challenge { relay, relay_epoch, challenge, .. }) = challenge else { panic!("no challenge") };
        let opening = Opening { relay, relay_epoch, challenge: *challenge };
        let device = person.key.device_id();
        if let Credential::Invite { chain, invite, proof } = &mut credential {
            let key = vereda_crypto::derive_key(context::INVITE_KEY, &world().invite_secret, &[]);
            let message = invite_auth_message(&opening, &device, chain, invite);
            *proof = vereda_crypto::DeviceKey::from_seed(key.expose()).sign(context::INVITE_AUTH_SIGNATURE, &message);
        }
        if let Credential::Founding { .. } = &credential {
            credential = founding_credential(&opening, &device, &FOUNDING_SECRET);
        }
        let mut auth = Auth {
            versions: vec![1],
            device,
            incarnation: person.incarnation,
            nonce: ByteArray::from([1; 32]),
            relay_epoch: None,
            credential,
            signature: Signature([0; 64]),
        };
        auth.signature = person.key.sign(context::AUTH_SIGNATURE, &auth_message(&opening, &auth));
        let mut packer = Packer::new();
        for up in [Up::Auth(auth), Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] }] {
            let frame = encode_up(&up, &mut packer).expect("a small frame");
            let effects = self.take(relay::Input::Frame(id, frame));
            assert!(!effects.contains(&relay::Effect::Close(id)), "an honest opening was refused");
        }
        packer
    }

    fn take(&mut self, input: relay::Input) -> Vec<relay::Effect> {
        self.machine.handle_input(now(), input, &mut self.store, &mut self.rng);
        let committed = self.machine.commit(&mut self.store);
        assert!(committed.failure.is_none(), "memory does not fail: {:?}", committed.failure);
        committed.effects
    }
}

struct Device {
    machine: device::DeviceMachine,
    store: device::MemoryStore,
    rng: ChaCha20Rng,
}

impl Device {
    fn new() -> Self {
        let (world, mut store) = (world(), device::MemoryStore::default());
        let config = device::DeviceConfig {
            key: world.chipo.key.clone(),
            incarnation: world.chipo.incarnation,
            user: world.chipo.user,
            agency: world.agency,
            relay: world.relay.device_id(),
            credential: device::DeviceCredential::Founding(Sensitive::new(FOUNDING_SECRET)),
            limits: device::DeviceLimits::default(),
        };
        let machine = device::DeviceMachine::open(config, &mut store).expect("memory");
        Self { machine, store, rng: rng(10) }
    }

    /// Plays the honest relay up to its welcome.
    fn open(&mut self) {
        let world = world();
        let opening = Opening { relay: world.relay.device_id(), relay_epoch: 7, challenge: [2; 32] };
        let challenge = Down::Challenge {
            versions: vec![1],
            relay: opening.relay,
            relay_epoch: opening.relay_epoch,
            challenge: ByteArray::from(opening.challenge),
        };
        let mut packer = Packer::new();
        let frame = encode_down(&challenge, &mut packer).expect("a small frame");
        let effects = self.take(device::Input::Frame(frame));
        let auth = effects.iter().find_map(|effect| match effect {
            device::Effect::Send(frame) => decode_up(frame, &mut Unpacker::new()).ok(),
            _ => None,
        });
        let Some(Up::Auth(auth)) = auth else { panic!("no proof of identity") };
        let (device, nonce) = (auth.device, *auth.nonce);
        let fields = WelcomeFields { device, nonce, version: 1, time: START, held: 0, end: Position(1 << 20) };
        let signature = world.relay.sign(context::WELCOME_SIGNATURE, &welcome_message(&opening, &fields));
        let welcome = Down::Welcome { version: 1, time: START, held: 0, end: Position(1 << 20), signature };
        let frame = encode_down(&welcome, &mut packer).expect("a small frame");
        let effects = self.take(device::Input::Frame(frame));
        assert!(!effects.contains(&device::Effect::Close), "an honest welcome was refused");
    }

    fn take(&mut self, input: device::Input) -> Vec<device::Effect> {
        self.machine.handle_input(now(), input, &mut self.store, &mut self.rng);
        let committed = self.machine.commit(&mut self.store);
        assert!(committed.failure.is_none(), "memory does not fail: {:?}", committed.failure);
        committed.effects
    }
}

fn now() -> Now {
    Now { monotonic: Monotonic::default(), wall: Timestamp(START.0 + 30_000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::seeds;

    #[test]
    fn the_relay_takes_the_golden_frames_after_an_honest_opening() {
        let mut relay = Relay::with_agency();
        let id = relay::SessionId(1_000);
        relay.open(id, &world().chipo, Credential::Member);
        let mut sent = 0;
        for frame in sequence::split(&seeds("relay_session")[0][1..]) {
            let effects = relay.take(relay::Input::Frame(id, frame.to_vec()));
            assert!(!effects.contains(&relay::Effect::Close(id)), "closed after {sent} answers");
            sent += effects.len();
        }
        assert!(sent > 0);
    }

    #[test]
    fn the_device_takes_the_golden_frames_after_an_honest_opening() {
        let mut device = Device::new();
        device.take(device::Input::Start);
        device.take(device::Input::Connected);
        device.open();
        let mut effects = Vec::new();
        for frame in sequence::split(&seeds("device_session")[0][1..]).into_iter().take(2) {
            effects.extend(device.take(device::Input::Frame(frame.to_vec())));
        }
        assert!(!effects.contains(&device::Effect::Close), "{effects:?}");
    }
}
