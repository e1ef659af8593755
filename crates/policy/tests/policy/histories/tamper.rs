//! What a thief or a broken client might change.

use rand_core::Rng;
use vereda_base::OpId;
use vereda_crypto::DeviceKey;
use vereda_policy::{Body, DeviceKind, Op, Parent, ParentAuthority};

use super::World;

pub const ALL: &[&str] = &[
    "seq ahead",
    "seq behind",
    "prev",
    "cites reversed",
    "a cite less",
    "author",
    "other cites",
    "older cite",
    "body",
];

impl World {
    /// Changes something; tells what.
    pub(super) fn tamper(&mut self, op: &mut Op, author: &mut DeviceKey) -> Option<&'static str> {
        let devices = self.devices.clone();
        let before = op.clone();
        let index = self.below(ALL.len() + 1).min(ALL.len() - 1);
        match ALL[index] {
            "seq ahead" => op.seq += 1,
            "seq behind" => op.seq = op.seq.saturating_sub(1),
            "prev" => op.prev = Some(OpId([self.rng.next_u32() as u8; 32])),
            "cites reversed" => op.cites.reverse(),
            "a cite less" => _ = op.cites.pop(),
            "author" => {
                *author = self.draw(&devices);
                op.device = author.device_id();
            }
            "other cites" => op.cites = self.draw_cites(op.chain),
            "older cite" => {
                if let Some(index) = (!op.cites.is_empty()).then(|| self.below(op.cites.len())) {
                    let count = self.oracle.chains[&op.cites[index].chain].len();
                    let at = 1 + self.below(count);
                    op.cites[index] = self.cite(&op.cites[index].chain.clone(), at);
                }
            }
            _ => self.tamper_body(&mut op.body),
        }
        (*op != before).then_some(ALL[index])
    }

    fn tamper_body(&mut self, body: &mut Body) {
        match body {
            Body::Rotate(rotate) => match self.below(4) {
                0 => rotate.follows += 1,
                1 => rotate.epoch.wraps.count += 1,
                2 => rotate.epoch.targets.iter_mut().for_each(|target| *target = target.map(|epoch| epoch + 1)),
                // Without the key before it: where nobody has that, it may be.
                _ => {
                    rotate.epoch.previous = None;
                    rotate.epoch.wraps.count = rotate.epoch.wraps.count.saturating_sub(1);
                }
            },
            Body::Repair(repair) => match self.below(3) {
                0 => repair.wraps.count += 1,
                1 => repair.targets.iter_mut().for_each(|target| target.epoch += 1),
                _ => repair.epoch += 1,
            },
            Body::AddDevice(add) => {
                add.kind = if add.kind == DeviceKind::Full { DeviceKind::Recovery } else { DeviceKind::Full };
            }
            Body::Accept(accept) => accept.user = self.people[0].user,
            Body::Assign(assign) => {
                // A holder who shuts those above out.
                let own = self.draw(&self.people.clone()).user;
                assign.parents = Some(vec![Parent { chain: own, authority: ParentAuthority::Full }]);
            }
            Body::Expire(expire) => expire.subject = self.draw_subject(),
            _ => {}
        }
    }
}
