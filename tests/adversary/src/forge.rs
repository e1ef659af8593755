//! Signs what no honest program would.

use vereda_base::{ChainId, Digest, Timestamp};
use vereda_crypto::{DeviceKey, Key32, Signed, Verified, WrapKeyPair, WrapPublicKey};
use vereda_policy::{
    AddDevice, Body, ChainKind, ChainMap, ChainState, Chains, Cite, DeviceKind, Epoch, Frontier, FrontierTree, Grant,
    Leaf, Op, Role, Rotate, SUITE, Wrap, WrappedKey, epoch_targets, hash_previous, wrap_list,
};
use vereda_protocol::{Chunk, Header};
use vereda_sync::people::{NOW, Person, Put};

use crate::line::header_of;

/// Cites the newest heads that a person knows of these chains.
pub fn cites(person: &Person, chains: &[ChainId]) -> Vec<Cite> {
    let cite = |chain: &ChainId| Some(Cite { chain: *chain, head: person.chains.chain(chain)?.head() });
    let mut cites: Vec<Cite> = chains.iter().filter_map(cite).collect();
    cites.sort_unstable();
    cites.dedup();
    cites
}

/// Signs an operation at the newest head that its author knows, whether or not policy allows it.
pub fn op(author: &Person, chain: ChainId, cites: Vec<Cite>, body: Body) -> Put {
    let state = author.chains.chain(&chain).expect("the author knows the chain");
    let op = Op {
        suite: SUITE,
        chain: Some(chain),
        seq: state.head_seq() + 1,
        prev: Some(state.head()),
        device: author.device(),
        cites,
        body,
    };
    sign(author, op, Vec::new())
}

/// Changes an operation and signs it anew, by whoever is the author then.
pub fn changed(author: &Person, put: &Put, change: impl FnOnce(&mut Op)) -> Put {
    let mut op = put.op.value().clone();
    op.device = author.device();
    change(&mut op);
    sign(author, op, put.wraps.clone())
}

/// Signs an operation as it is.
pub fn sign(author: &Person, op: Op, wraps: Vec<Wrap>) -> Put {
    Put { op: Verified::sign(&author.key, op).unwrap(), wraps }
}

/// Changes a chunk's header and signs it anew, by whoever is the author then.
pub fn rewritten(author: &Person, chunk: &Chunk, change: impl FnOnce(&mut Header)) -> Chunk {
    let mut header = header_of(chunk);
    header.device = author.device();
    change(&mut header);
    Chunk { header: Signed::sign(&author.key, &header).unwrap(), ciphertext: chunk.ciphertext.clone() }
}

/// Changes a chunk's header and keeps the signature that was made for another.
pub fn tampered(chunk: &Chunk, change: impl FnOnce(&mut Header)) -> Chunk {
    let mut header = header_of(chunk);
    change(&mut header);
    let signed = Signed::from_parts(vereda_base::encode(&header), *chunk.header.signature());
    Chunk { header: signed, ciphertext: chunk.ciphertext.clone() }
}

/// The frontier of these leaves.
pub fn frontier(leaves: &[Leaf]) -> Frontier {
    FrontierTree::new(leaves.iter().copied()).frontier()
}

/// A grant without an end.
pub fn grant(subject: ChainId, role: Role) -> Body {
    Body::Grant(Grant { subject, role, expires: None, sealed_purpose: None })
}

/// A grant that ends.
pub fn grant_until(subject: ChainId, role: Role, expires: Timestamp) -> Body {
    Body::Grant(Grant { subject, role, expires: Some(expires), sealed_purpose: None })
}

/// A wrap that opens nothing, of the right size.
pub fn wrap_to(recipient: vereda_base::Digest, recipient_epoch: u64) -> Wrap {
    Wrap { recipient, recipient_epoch, key: WrappedKey::Group(vec![7; 72]) }
}

/// Commits to wraps.
pub fn listed(wraps: Vec<Wrap>) -> (vereda_policy::WrapList, Vec<Wrap>) {
    let (list, proven) = wrap_list(wraps);
    (list, proven.into_iter().map(|(wrap, _)| wrap).collect())
}

/// An epoch whose key nobody holds, wrapped to these recipients under these epochs of theirs.
pub fn epoch(seed: u8, is_group: bool, recipients: &[(Digest, u64)]) -> (Epoch, Vec<Wrap>) {
    let mut recipients = recipients.to_vec();
    recipients.sort_unstable();
    let (wraps_list, wraps) = listed(recipients.iter().map(|(to, epoch)| wrap_to(*to, *epoch)).collect());
    let epoch = Epoch {
        public_key: is_group.then(|| wrapping_key(seed)),
        commitment: Digest([seed; 32]),
        wraps: wraps_list,
        previous: None,
        targets: recipients.iter().map(|(_, epoch)| Some(*epoch)).collect(),
    };
    (epoch, wraps)
}

/// A wrapping key of a test.
pub fn wrapping_key(seed: u8) -> WrapPublicKey {
    WrapKeyPair::from_seed(&Key32::new([seed; 32])).public().clone()
}

/// What a new epoch of a chain must be, as its author knows it, with its wraps; none of them opens to anything.
pub fn rotation(author: &Person, chain: ChainId) -> (Rotate, Vec<Wrap>) {
    let state = author.chains.chain(&chain).expect("the author knows the chain");
    let targets = epoch_targets(&author.chains, &chain, Some(NOW));
    rotation_to(&state, &targets)
}

/// A new epoch of a chain for these targets.
pub fn rotation_to(state: &ChainState, targets: &[Option<u64>]) -> (Rotate, Vec<Wrap>) {
    let follows = state.epoch_to_follow().expect("an epoch to follow").number;
    let sealed = wrap_to(Digest(state.id().0), follows);
    let WrappedKey::Group(bytes) = &sealed.key else { panic!("a sealed key") };
    let previous = Some(hash_previous(bytes));
    let pairs = state.recipients().into_iter().zip(targets);
    let mut wraps: Vec<Wrap> = pairs.filter_map(|(to, epoch)| Some(wrap_to(to, (*epoch)?))).collect();
    wraps.push(sealed);
    let (wraps_list, wraps) = listed(wraps);
    let number = state.newest_epoch().map_or(0, |epoch| epoch.number) as u8;
    let epoch = Epoch {
        public_key: (state.kind() != ChainKind::Document).then(|| wrapping_key(number + 100)),
        commitment: Digest([number + 100; 32]),
        wraps: wraps_list,
        previous,
        targets: targets.to_vec(),
    };
    (Rotate { epoch, follows, carries: Vec::new() }, wraps)
}

/// Signs a new epoch of a chain as policy has it.
pub fn rotate(author: &Person, chain: ChainId) -> Put {
    let (rotate, wraps) = rotation(author, chain);
    Put { wraps, ..author.draft(chain, Body::Rotate(rotate)) }
}

/// Signs the addition of a device to its author's user.
pub fn add_device(author: &Person, key: &DeviceKey, kind: DeviceKind) -> Put {
    let add = AddDevice::with_key(author.user(), key, wrapping_key(77), kind);
    author.draft(author.user(), Body::AddDevice(add))
}

/// A person who knows these chains.
pub fn knowing(person: &Person, chains: &ChainMap) -> Person {
    let mut knowing = person.clone();
    knowing.chains = chains.clone();
    knowing
}

/// A second device of a person's user.
pub fn second_device(of: &Person, seed: u8) -> Person {
    let mut device = Person::new(seed);
    device.user = of.user;
    device.chains = of.chains.clone();
    device
}
