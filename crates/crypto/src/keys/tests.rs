use std::collections::BTreeSet;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

const SCOPE: ChunkKeyScope = ChunkKeyScope {
    suite: 1,
    kind: 0,
    document: ChainId([1; 32]),
    device: DeviceId([2; 32]),
    incarnation: Incarnation(3),
    seq: 4,
    epoch: 5,
};

fn document_key() -> DocumentEpochKey {
    DocumentEpochKey::from_key(Key32::new([7; 32]))
}

#[test]
fn a_chunk_key_depends_on_everything_in_its_scope() {
    let scopes = [
        SCOPE,
        ChunkKeyScope { suite: 2, ..SCOPE },
        ChunkKeyScope { kind: 1, ..SCOPE },
        ChunkKeyScope { document: ChainId([9; 32]), ..SCOPE },
        ChunkKeyScope { device: DeviceId([9; 32]), ..SCOPE },
        ChunkKeyScope { incarnation: Incarnation(9), ..SCOPE },
        ChunkKeyScope { seq: 9, ..SCOPE },
        ChunkKeyScope { epoch: 9, ..SCOPE },
    ];
    let mut keys: BTreeSet<[u8; 32]> =
        scopes.iter().map(|scope| *derive_chunk_key(&document_key(), scope).expose()).collect();
    keys.insert(*derive_chunk_key(&DocumentEpochKey::from_key(Key32::new([8; 32])), &SCOPE).expose());
    assert_eq!(keys.len(), scopes.len() + 1);
}

#[test]
fn a_link_depends_on_everything_that_it_names() {
    let (device, other_device) = (DeviceId([1; 32]), DeviceId([2; 32]));
    let (document, other_document) = (ChainId([1; 32]), ChainId([2; 32]));
    let (one, two) = (Incarnation(1), Incarnation(2));
    let (before, other) = (Link([3; 32]), Link([4; 32]));
    let (root, other_root) = (Digest([5; 32]), Digest([6; 32]));
    let deps = [before, other];
    let links = [
        link(device, one, document, 2, Some(&before), &deps, &root),
        link(other_device, one, document, 2, Some(&before), &deps, &root),
        link(device, two, document, 2, Some(&before), &deps, &root),
        link(device, one, other_document, 2, Some(&before), &deps, &root),
        link(device, one, document, 3, Some(&before), &deps, &root),
        link(device, one, document, 2, Some(&other), &deps, &root),
        link(device, one, document, 2, None, &deps, &root),
        link(device, one, document, 2, None, &[before, before, other], &root),
        link(device, one, document, 2, Some(&before), &[before], &root),
        link(device, one, document, 2, Some(&before), &[], &root),
        link(device, one, document, 2, Some(&before), &deps, &other_root),
    ];
    assert_eq!(links.iter().collect::<BTreeSet<_>>().len(), links.len());
}

#[test]
fn the_ops_root_names_count_order_and_content_and_needs_the_first_key() {
    let (a, b) = ([1; 32], [2; 32]);
    let roots = [
        ops_root(&document_key(), &[]),
        ops_root(&document_key(), &[a]),
        ops_root(&document_key(), &[a, b]),
        ops_root(&document_key(), &[b, a]),
        ops_root(&DocumentEpochKey::from_key(Key32::new([8; 32])), &[a]),
    ];
    assert_eq!(roots.iter().collect::<BTreeSet<_>>().len(), roots.len());
}

#[test]
fn an_actor_is_one_per_device_incarnation_and_document() {
    let (device, document) = (DeviceId([1; 32]), ChainId([2; 32]));
    let actors = [
        derive_actor(device, Incarnation(1), document),
        derive_actor(device, Incarnation(2), document),
        derive_actor(DeviceId([3; 32]), Incarnation(1), document),
        derive_actor(device, Incarnation(1), ChainId([3; 32])),
    ];
    assert_eq!(actors.iter().collect::<BTreeSet<_>>().len(), actors.len());
}

#[test]
fn the_keys_of_one_epoch_are_all_different_and_so_are_those_of_the_next() {
    let secret = GroupEpochSecret::from_key(Key32::new([7; 32]));
    let document = document_key();
    let chain = ChainId([1; 32]);
    let keys: Vec<[u8; 32]> = [1, 2]
        .into_iter()
        .flat_map(|epoch| {
            [
                secret.derive_wrap_key(chain, epoch),
                secret.derive_previous_key_seal(chain, epoch),
                secret.derive_name_key(chain, epoch),
                document.derive_ephemeral_key(chain, epoch),
            ]
        })
        .map(|key| *key.expose())
        .chain([*secret.key().expose(), secret.commitment().0])
        .collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[test]
fn every_member_derives_the_same_wrapping_pair() {
    let secret = GroupEpochSecret::make(&mut ChaCha20Rng::seed_from_u64(1));
    let again = GroupEpochSecret::from_key(secret.key().clone());
    let chain = ChainId([1; 32]);
    let public = secret.derive_wrap_key_pair(chain, 1).public().clone();
    assert_eq!(again.derive_wrap_key_pair(chain, 1).public(), &public);
    assert_ne!(again.derive_wrap_key_pair(chain, 2).public(), &public);
    assert_ne!(again.derive_wrap_key_pair(ChainId([2; 32]), 1).public(), &public);
}

#[test]
fn debug_of_epoch_secrets_shows_nothing_of_them() {
    assert_eq!(format!("{:?}", document_key()), "DocumentEpochKey(Key32(…))");
    let secret = GroupEpochSecret::from_key(Key32::new([7; 32]));
    assert_eq!(format!("{secret:?}"), "GroupEpochSecret(Key32(…))");
}

#[test]
fn derivations_are_pinned() {
    let check = |found: [u8; 32], expected: &str| assert_eq!(hex::encode(found), expected);
    check(
        *derive_chunk_key(&document_key(), &SCOPE).expose(),
        "7e6f078b42bd9d85e9ef3b137ca86d89ee8d3bf59f24af1a357ade7689e366d0",
    );
    check(
        ops_root(&document_key(), &[[1; 32], [2; 32]]).0,
        "79a662b9444e4e371592237ec181bc4a535207b2426b1883f46c80a9aa1855aa",
    );
    check(document_key().commitment().0, "ac34932dcfb773ec8ee8b989c742bb6c0c067688f78cda02c16654d256e60c06");
    let (device, incarnation, document) = (SCOPE.device, SCOPE.incarnation, SCOPE.document);
    check(
        link(device, incarnation, document, 0, None, &[Link([8; 32])], &Digest([9; 32])).0,
        "aa02887944abb8a4061e36a381f10510905f52c39f4b02ff9eb826956e367644",
    );
    let actor = derive_actor(device, incarnation, document);
    assert_eq!(hex::encode(actor.0), "98f99b961d92425c33df2f78f9bac4c4");
}
