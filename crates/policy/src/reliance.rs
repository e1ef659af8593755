//! On which ended rights content or an operation relies: these removals must name it, or it does not stand (protocol.md
//! §6).

use vereda_base::{ChainId, DeviceId, OpId};
use vereda_crypto::Verified;

use crate::{
    AppendContext, Chains, Content, Evaluator, Frontier, Heads, Op, Role, Waiting, append::would_stand_at, chain_of,
};

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

/// Lists the removals that content must be named by to stand: its author had his rights, at the heads that he cites, by
/// roles, devices or parents that have ended since, and not also by others that last. Empty for most content.
///
/// # Errors
/// [`Waiting`] if a head cited is unknown here.
pub fn content_reliance(view: &dyn Chains, content: &impl Content) -> Result<Vec<Reliance>, Waiting> {
    let cited = Heads::cited(view, content.cites(), None)?;
    let (device, document) = (content.device(), content.document());
    let lasts = Evaluator::new(view, device, &cited.lasting()).role(&document) >= Some(Role::Editor);
    Ok(if lasts { Vec::new() } else { ended_since(view, &device, &cited) })
}

/// Lists the removals that an operation must be named by to have an effect, as [`content_reliance`] does for content.
///
/// # Errors
/// [`Waiting`] if a head cited is unknown here.
pub fn op_reliance(view: &dyn Chains, op: &Verified<Op>, context: &AppendContext) -> Result<Vec<Reliance>, Waiting> {
    let value = op.value();
    let chain = chain_of(value);
    let own = view.chain(&chain).filter(|_| value.seq > 0).map(|_| (chain, value.seq.saturating_sub(1)));
    let cited = Heads::cited(view, &value.cites, own)?;
    let lasts = would_stand_at(view, value, &cited.lasting(), context);
    Ok(if lasts { Vec::new() } else { ended_since(view, &value.device, &cited) })
}

/// Lists the removals after the heads cited that ended a role of a chain that the device reaches, the device itself, or a
/// parent.
fn ended_since(view: &dyn Chains, device: &DeviceId, cited: &Heads) -> Vec<Reliance> {
    let mut evaluator = Evaluator::new(view, *device, cited);
    let mut found = Vec::new();
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
                found.push(Reliance { chain, seq: until, removal: removal.op });
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
