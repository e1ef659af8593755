//! Whether a device may have what it says that it was handed last: the log is asked for nothing else, so that nobody learns by
//! naming something whether it is there.

use vereda_base::Timestamp;
use vereda_policy::{ChainKind, ParentAuthority, Role, authority::may_be_parent};
use vereda_protocol::Logged;

use super::{
    admit,
    chains::{Known, View, read_op},
    reach::Tenure,
    session::Open,
    sight::Sight,
    store::{Entry, StoreError},
};

/// Says whether the log holds something that a device made, sees now, or once saw. A role that ended by its time alone counts
/// as if it had not: up to which entry it reached no operation says.
pub(super) fn has_handed(view: &View<'_>, open: &Open, logged: &Logged, now: Timestamp) -> Result<bool, StoreError> {
    let sight = Sight::asked(view, open, now);
    let mut once = Tenure::new(view, open.device, Timestamp(i64::MIN));
    match logged {
        Logged::Op { chain, op } => {
            let Some(known) = view.known(chain) else { return Ok(false) };
            let position = known.state.seq_of(op).and_then(|seq| known.position(seq));
            let Some(position) = position else { return Ok(false) };
            if sight.sees_chain(chain) || once.end(chain).is_some_and(|end| position <= end) {
                return Ok(true);
            }
            let is_own = match view.entry(position) {
                Some(Entry::Op { op, .. }) => read_op(&op)?.device == open.device,
                _ => false,
            };
            let agency = known.agency.filter(|_| known.state.kind() != ChainKind::Document);
            let in_agency = |once: &mut Tenure<'_, '_>| agency.and_then(|agency| once.end_in(&agency));
            Ok(is_own
                || in_agency(&mut once).is_some_and(|end| position <= end)
                || once_governed(view, &mut once, &known))
        }
        Logged::Chunk { document, link } => {
            let Some(position) = view.store().chunk_at(document, link)? else { return Ok(false) };
            if sight.reads(document) || once.end(document).is_some_and(|end| position <= end) {
                return Ok(true);
            }
            Ok(match view.entry(position) {
                Some(Entry::Chunk(chunk)) => {
                    admit::verify_header(&chunk).is_ok_and(|own| own.value().device == open.device)
                }
                _ => false,
            })
        }
    }
}

/// Says whether a device was ever Manager of what may end roles in a chain, or stands above that: he was handed its operations
/// though he is none of its members.
fn once_governed(view: &View<'_>, once: &mut Tenure<'_, '_>, known: &Known) -> bool {
    known.state.all_parents().iter().any(|standing| {
        let fits = |parent: &Known| may_be_parent(parent.state.kind(), known.state.kind());
        let parent = view.known(&standing.parent.chain).filter(|parent| fits(parent));
        let may_end = standing.parent.authority != ParentAuthority::None;
        parent
            .filter(|_| may_end)
            .is_some_and(|parent| once.with_role(&parent, Role::Manager) || once_governed(view, once, &parent))
    })
}
