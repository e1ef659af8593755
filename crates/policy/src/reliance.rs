//! On which ended rights content or an operation relies: these removals must name it, or it does not stand (protocol.md
//! §6).

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, OpId, Timestamp};
use vereda_crypto::Verified;

use crate::{AppendContext, Chains, Content, Evaluator, Frontier, Heads, Op, Role, Waiting, append::would_stand_at};

/// A removal that ended something on which an author relied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reliance {
    /// The removal's chain.
    pub chain: ChainId,
    /// Its place there.
    pub seq: u64,
    /// The removal.
    pub removal: OpId,
}

impl Reliance {
    /// Finds the removal's frontier.
    pub fn frontier(&self, view: &dyn Chains) -> Option<Frontier> {
        view.chain(&self.chain)?.removal(self.seq).map(|removal| removal.frontier)
    }
}

/// Lists the removals that content must be named by to stand, by all of them: its author had his rights, at the heads that
/// he cites, by roles, devices or parents that have ended since, and not also by others that last. Where several ways gave
/// him his rights, the one that lasted longest counts. Empty for most content.
///
/// # Errors
/// [`Waiting`] if a head cited is unknown here.
pub fn content_reliance(view: &dyn Chains, content: &impl Content) -> Result<Vec<Reliance>, Waiting> {
    let cited = Heads::cited(view, content.cites(), None)?;
    let (device, document) = (content.device(), content.document());
    let suffices = |heads: &Heads| Evaluator::new(view, device, heads).role(&document) >= Some(Role::Editor);
    Ok(relied_on(view, &device, &cited, None, suffices))
}

/// Lists the removals that an operation must be named by to have an effect, as [`content_reliance`] does for content. Those
/// of its own chain are not among them: they follow it there, so whoever signed them knew of it.
///
/// # Errors
/// [`Waiting`] if a head cited is unknown here.
pub fn op_reliance(view: &dyn Chains, op: &Verified<Op>, context: &AppendContext) -> Result<Vec<Reliance>, Waiting> {
    let value = op.value();
    let own = value.chain.filter(|chain| view.chain(chain).is_some()).map(|chain| (chain, value.seq.saturating_sub(1)));
    let cited = Heads::cited(view, &value.cites, own)?;
    let suffices = |heads: &Heads| would_stand_at(view, value, heads, context);
    Ok(relied_on(view, &value.device, &cited, value.chain, suffices))
}

/// Tells when the author of content lost the right to it that he had at the heads cited: by a removal, or as a role of his
/// expired by `now`. Of several ways, when the last one ended. Asked only where none lasts; `None` where he never had it.
///
/// # Errors
/// [`Waiting`] if a head cited is unknown here.
pub fn content_ended(view: &dyn Chains, content: &impl Content, now: Timestamp) -> Result<Option<Timestamp>, Waiting> {
    let cited = Heads::cited(view, content.cites(), None)?;
    let (device, document) = (content.device(), content.document());
    let suffices = |heads: &Heads| Evaluator::new(view, device, heads).role(&document) >= Some(Role::Editor);
    Ok(last_end(view, &device, &cited, now, suffices))
}

/// Tells when the author of an operation lost the right to it, as [`content_ended`] does for content.
///
/// # Errors
/// [`Waiting`] if a head cited is unknown here.
pub fn op_ended(
    view: &dyn Chains,
    op: &Verified<Op>,
    context: &AppendContext,
    now: Timestamp,
) -> Result<Option<Timestamp>, Waiting> {
    let value = op.value();
    let own = value.chain.filter(|chain| view.chain(chain).is_some()).map(|chain| (chain, value.seq.saturating_sub(1)));
    let cited = Heads::cited(view, &value.cites, own)?;
    Ok(last_end(view, &value.device, &cited, now, |heads| would_stand_at(view, value, heads, context)))
}

/// Finds the last time just before which what stood at the heads cited was enough.
fn last_end(
    view: &dyn Chains,
    device: &DeviceId,
    cited: &Heads,
    now: Timestamp,
    suffices: impl Fn(&Heads) -> bool,
) -> Option<Timestamp> {
    let ended = ended_since(view, device, cited);
    let mut times: BTreeSet<Timestamp> = ended.iter().filter_map(|(time, _)| *time).collect();
    times.extend(expiries(view, device, cited).into_iter().filter(|expires| *expires <= now));
    let lasts_until = |time: Timestamp| {
        // What a removal of that very time ended stood just before.
        let later = ended.iter().filter(|(ended, _)| ended.is_none_or(|ended| ended >= time));
        let later = later.map(|(_, removal)| (removal.chain, removal.seq)).collect();
        suffices(&cited.lasting_until(later, Timestamp(time.0.saturating_sub(1))))
    };
    times.into_iter().rev().find(|time| lasts_until(*time))
}

/// Lists when roles expire of chains that the device reaches, as they stood at the heads cited.
fn expiries(view: &dyn Chains, device: &DeviceId, cited: &Heads) -> BTreeSet<Timestamp> {
    let mut evaluator = Evaluator::new(view, *device, cited);
    let mut found = BTreeSet::new();
    for (chain, seq) in cited.seqs() {
        let Some(state) = view.chain(&chain) else { continue };
        for member in state.members().iter().filter(|member| member.stands_at(seq, None)) {
            if let Some(expires) = member.expires
                && evaluator.membership(&member.subject).is_some()
            {
                found.insert(expires);
            }
        }
    }
    found
}

/// Finds the least removals that must not have been for rights at the heads cited to last. The earliest are left out first:
/// whoever had another way left when one ended is only cut off by the end of that.
fn relied_on(
    view: &dyn Chains,
    device: &DeviceId,
    cited: &Heads,
    own: Option<ChainId>,
    suffices: impl Fn(&Heads) -> bool,
) -> Vec<Reliance> {
    let own = own.and_then(|own| view.chain(&own));
    let following: BTreeSet<_> =
        own.iter().flat_map(|own| own.removals().iter().map(|removal| (own.id(), removal.seq))).collect();
    if suffices(&cited.lasting_without(following.clone())) {
        return Vec::new();
    }
    let mut kept = ended_since(view, device, cited);
    kept.retain(|(_, reliance)| !following.contains(&(reliance.chain, reliance.seq)));
    let mut index = 0;
    while index < kept.len() {
        let others = kept.iter().enumerate().filter(|(at, _)| *at != index);
        let without = others.map(|(_, (_, other))| (other.chain, other.seq)).chain(following.iter().copied()).collect();
        if suffices(&cited.lasting_without(without)) {
            kept.remove(index);
        } else {
            index += 1;
        }
    }
    let mut found: Vec<Reliance> = kept.into_iter().map(|(_, reliance)| reliance).collect();
    found.sort_unstable();
    found
}

/// Lists the removals after the heads cited that ended a role of a chain that the device reaches, the device itself, or a
/// parent: the earliest first, by their receipts.
fn ended_since(view: &dyn Chains, device: &DeviceId, cited: &Heads) -> Vec<(Option<Timestamp>, Reliance)> {
    let mut evaluator = Evaluator::new(view, *device, cited);
    let mut found = BTreeSet::new();
    for (chain, seq) in cited.seqs() {
        let Some(state) = view.chain(&chain) else { continue };
        let mut ended = Vec::new();
        for member in state.members().iter().filter(|member| member.stands_at(seq, None)) {
            if let Some(until) = member.until_seq
                && evaluator.membership(&member.subject).is_some()
            {
                ended.push(until);
            }
        }
        let devices = state.devices().iter().filter(|known| known.device == *device && known.stands_at(seq));
        ended.extend(devices.filter_map(|known| known.until_seq));
        let parents = state.all_parents().iter().filter(|parent| parent.stands_at(seq));
        ended.extend(parents.filter_map(|parent| parent.until_seq));
        for until in ended {
            if let Some(removal) = state.removal(until) {
                let time = state.op(until).and_then(|record| record.time);
                found.insert((time, Reliance { chain, seq: until, removal: removal.op }));
            }
        }
    }
    found.into_iter().collect()
}
