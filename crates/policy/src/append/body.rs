//! What operations after the first need.

use vereda_base::Timestamp;

use super::{Append, MAX_DEVICES, OpRefusal, Part};
use crate::{Accept, AddDevice, Body, BodyCode, ChainKind, ChainState, InviteEnd, InviteProof, JoinProof, Repair};

impl Append<'_> {
    pub(super) fn check_body(&self, state: &ChainState) -> Result<(), OpRefusal> {
        self.check_role(state)?;
        match &self.op.body {
            // Its place was checked: a Create follows nothing.
            Body::Create(_) => Err(OpRefusal::Place { seq: self.op.seq }),
            Body::AddDevice(add) => check_new_device(state, add),
            Body::Grant(grant) => {
                self.check_subject(&grant.subject, state.kind())?;
                if state.kind() != ChainKind::Document {
                    return Ok(());
                }
                self.at_each_moment(|evaluator, moment| {
                    self.check_covered(state.parents(), &grant.subject, evaluator, moment)
                })
            }
            Body::Invite(_) => Ok(()),
            Body::Accept(accept) => self.check_accept(state, accept),
            Body::Repair(repair) => check_repair(state, repair),
        }
    }

    fn check_accept(&self, state: &ChainState, accept: &Accept) -> Result<(), OpRefusal> {
        check_open(state, accept, self.context.time)?;
        let device = self.op.device;
        let user = accept.user;
        self.at_each_moment(|evaluator, moment| {
            let is_user = self.view.chain(&user).is_some_and(|state| state.kind() == ChainKind::User);
            if is_user && evaluator.membership(&user).is_some() {
                return Ok(());
            }
            Err(OpRefusal::NotOfUser { user, device, moment })
        })?;
        let key = state.invite(&accept.invite).map(|invite| invite.key);
        let proof = InviteProof { invite: accept.invite, user, device };
        if key.is_some_and(|key| proof.holds(&key, &accept.proof)) {
            return Ok(());
        }
        Err(OpRefusal::Proof { body: BodyCode::ACCEPT })
    }
}

fn check_open(state: &ChainState, accept: &Accept, time: Option<Timestamp>) -> Result<(), OpRefusal> {
    let invite = accept.invite;
    let open = state.invite(&invite).ok_or(OpRefusal::NoInvite { invite })?;
    match open.end {
        Some(InviteEnd::Accepted { .. }) => return Err(OpRefusal::InviteTaken { invite }),
        Some(InviteEnd::Cancelled { .. }) => return Err(OpRefusal::InviteCancelled { invite }),
        None => {}
    }
    match time {
        Some(time) if time < open.expires => Ok(()),
        Some(time) => Err(OpRefusal::InviteExpired { invite, expires: open.expires, time }),
        None => Err(OpRefusal::NoReceipt { op: invite }),
    }
}

fn check_new_device(state: &ChainState, add: &AddDevice) -> Result<(), OpRefusal> {
    if state.device(&add.device).is_some() {
        return Err(OpRefusal::DeviceKnown { device: add.device });
    }
    let found = state.devices().len().saturating_add(1);
    if found > MAX_DEVICES {
        return Err(OpRefusal::TooLong { part: Part::Devices, found, max: MAX_DEVICES });
    }
    let proof = JoinProof { user: state.id(), device: add.device, wrapping_key: add.wrapping_key.clone() };
    if proof.holds(&add.proof) { Ok(()) } else { Err(OpRefusal::Proof { body: BodyCode::ADD_DEVICE }) }
}

fn check_repair(state: &ChainState, repair: &Repair) -> Result<(), OpRefusal> {
    if repair.wraps.count == 0 {
        return Err(OpRefusal::Shape { kind: state.kind(), part: Part::Wraps });
    }
    let newest = state.newest_epoch().map_or(0, |epoch| epoch.number);
    if repair.epoch > newest {
        return Err(OpRefusal::NoEpoch { found: repair.epoch, newest });
    }
    Ok(())
}
