//! Policy over operations that someone entitled signed, however odd.

use vereda_base::{Timestamp, limits::MAX_OP_BYTES};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{
    AppendContext, ForkProof, Op, Wrap, WrapList, WrapProof, authorize, check_wraps, decode_op, needed_chains,
    verify_wrap,
};
use vereda_vectors::world::START;

use crate::{sequence, world::world};

/// Decodes an operation; signs its payload anew as each person could, and authorises and applies it.
pub fn authorization(data: &[u8]) {
    let world = world();
    if let Ok(op) = decode_op(data) {
        judge(&op);
    }
    let payload = vereda_base::decode::<Signed<Op>>(data, MAX_OP_BYTES + 96).map(|signed| signed.bytes().to_vec());
    let payload = payload.unwrap_or_else(|_| data.to_vec());
    let Ok(op) = vereda_base::decode::<Op>(&payload, MAX_OP_BYTES) else { return };
    for person in [&world.amina, &world.chipo] {
        // As it stands, and moved to the present head of its chain.
        let mut op = Op { device: person.key.device_id(), ..op.clone() };
        judge_signed(&person.key, &op);
        let state = op.chain.and_then(|chain| vereda_policy::Chains::chain(&world.chains, &chain));
        if let Some(state) = state {
            (op.seq, op.prev) = (state.head_seq().saturating_add(1), Some(state.head()));
            for cite in &mut op.cites {
                if let Some(state) = vereda_policy::Chains::chain(&world.chains, &cite.chain) {
                    cite.head = state.head();
                }
            }
            judge_signed(&person.key, &op);
        }
    }
}

/// Reads evidence of a fork: what verifies convicts somebody of two statements that both were signed.
pub fn fork_proof(data: &[u8]) {
    let Ok(proof) = vereda_base::decode::<ForkProof>(data, 2 * MAX_OP_BYTES + 512) else { return };
    assert_eq!(vereda_base::encode(&proof), data);
    let _ = proof.verify();
}

/// Reads wraps, proofs and a list: a wrap that is proven stands in the list.
pub fn wrap_list(data: &[u8]) {
    let messages = sequence::split(data);
    let wraps: Vec<Wrap> = messages.iter().filter_map(|bytes| vereda_base::decode(bytes, 4_096).ok()).collect();
    let proofs: Vec<WrapProof> = messages.iter().filter_map(|bytes| vereda_base::decode(bytes, 4_096).ok()).collect();
    for list in messages.iter().filter_map(|bytes| vereda_base::decode::<WrapList>(bytes, 64).ok()) {
        let whole = check_wraps(&list, &wraps);
        for (wrap, proof) in wraps.iter().zip(&proofs) {
            if verify_wrap(&list, wrap, proof).is_ok()
                && let Ok(whole) = &whole
            {
                assert!(whole.contains(proof), "proven, but not in the whole list");
            }
        }
    }
}

fn judge_signed(key: &vereda_crypto::DeviceKey, op: &Op) {
    if let Ok(op) = Verified::sign(key, op.clone()) {
        judge(&op);
    }
}

fn judge(op: &Verified<Op>) {
    let time = Timestamp(START.0 + 60_000);
    for context in [AppendContext::relay(time), AppendContext::unreceipted()] {
        let mut chains = world().chains.clone();
        if let Ok(authorized) = authorize(&chains, op, &context) {
            chains.apply(&authorized, context.time()).expect("what was authorised for this head applies to it");
            let _ = needed_chains(&chains, &authorized.chain());
            // What stands is not taken twice.
            assert!(authorize(&chains, op, &context).is_err());
        }
    }
}
