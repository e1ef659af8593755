//! Canonical CBOR of everything that is signed: what is accepted is written again to the byte.

use vereda_base::{Digest, Incarnation, Link, limits::MAX_FRAME_BYTES};
use vereda_crypto::{KdfParams, Nonce24, Signable, Signature, Signed, WrapInfo};
use vereda_policy::{
    Body, Frontier, FrontierTree, InviteProof, JoinProof, Leaf, LeafAnswer, Op, Place, Receipt, Wrap, WrapList,
    WrapProof, decode_op,
};
use vereda_protocol::{Auth, Chunk, Header, Leaves, OfferedLeaf};

/// Reads bytes as each type that has a canonical form.
pub fn cbor_forms(data: &[u8]) {
    again::<Op>(data);
    again::<Body>(data);
    again::<Receipt>(data);
    again::<Header>(data);
    again::<Auth>(data);
    again::<Wrap>(data);
    again::<WrapList>(data);
    again::<WrapProof>(data);
    again::<WrapInfo>(data);
    again::<JoinProof>(data);
    again::<InviteProof>(data);
    again::<KdfParams>(data);
    again::<Nonce24>(data);
    again::<Signature>(data);
    again::<Link>(data);
    again::<Incarnation>(data);
    again::<Vec<Digest>>(data);
    again::<Frontier>(data);
    again::<Leaf>(data);
    again::<Place>(data);
    again::<Leaves>(data);
    again::<OfferedLeaf>(data);
    if let Some(answer) = again::<LeafAnswer>(data) {
        // An answer proves nothing against a frontier with one leaf that it does not name.
        let leaf = Leaf { key: Digest([0x55; 32]), seq: 0, id: Digest([0x55; 32]) };
        let found = answer.verify(&FrontierTree::new([leaf]).frontier(), &leaf.key);
        assert!(found.is_err() || found == Ok(Some(leaf)), "proven absent where it is");
    }
}

/// Reads bytes as a signed operation.
pub fn signed_operation(data: &[u8]) {
    if let Ok(op) = decode_op(data) {
        assert_eq!(vereda_base::encode(op.signed()), data);
        assert_eq!(vereda_base::encode(op.value()), op.bytes());
    }
    // The payload of what no longer verifies is read too.
    if let Ok(signed) = vereda_base::decode::<Signed<Op>>(data, MAX_FRAME_BYTES) {
        again::<Op>(signed.bytes());
    }
}

/// Reads bytes as a signed receipt.
pub fn receipt(data: &[u8]) {
    signed::<Receipt>(data);
}

/// Reads bytes as a chunk, then its header.
pub fn chunk_header(data: &[u8]) {
    signed::<Header>(data);
    if let Ok(chunk) = vereda_base::decode::<Chunk>(data, MAX_FRAME_BYTES) {
        assert_eq!(vereda_base::encode(&chunk), data);
        if let Some(header) = again::<Header>(chunk.header.bytes()) {
            let _ = (header.link(), header.associated_data(), chunk.id());
        }
        let _ = chunk.header.verify();
    }
}

fn signed<T: Signable>(data: &[u8]) {
    if let Ok(signed) = vereda_base::decode::<Signed<T>>(data, T::MAX_BYTES + 96) {
        assert_eq!(vereda_base::encode(&signed), data);
        again::<T>(signed.bytes());
        let _ = signed.verify();
    }
}

fn again<T>(data: &[u8]) -> Option<T>
where
    T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let value: T = vereda_base::decode(data, MAX_FRAME_BYTES).ok()?;
    assert_eq!(vereda_base::encode(&value), data, "accepted what would be written otherwise");
    Some(value)
}
