//! The heads that an author cites: one path that proves what it needs.

use std::sync::Arc;

use vereda_base::{ChainId, DeviceId, Timestamp};

use crate::{
    ChainKind, ChainState, Chains, Cite, DeviceKind, DeviceStanding, DocumentKind, Evaluator, Heads, Need,
    ParentAuthority, Role,
    authority::{may_be_member, may_be_parent},
};

/// Finds the cites of one path by which a device has what `need` asks in a chain: the newest heads of the chains on it,
/// sorted, without the chain itself. The shortest path, of those the first by chain ids. `None` where there is no path.
pub fn cite_path(
    view: &dyn Chains,
    device: &DeviceId,
    chain: &ChainId,
    need: Need,
    now: Option<Timestamp>,
) -> Option<Vec<Cite>> {
    let paths = Paths { view, device: *device, now };
    let mut path = paths.find(&*view.chain(chain)?, need)?;
    path.sort_unstable();
    path.dedup();
    cite_all(view, path)
}

/// Finds the cites by which a device takes another from a user that it does not belong to: `groups` are the agencies and
/// teams to look at. `None` where it is Manager of no agency that the user belongs to
/// and joined himself.
pub fn cite_governing(
    view: &dyn Chains,
    device: &DeviceId,
    user: &ChainId,
    groups: &[ChainId],
    now: Option<Timestamp>,
) -> Option<Vec<Cite>> {
    let newest = Heads::newest(now);
    let known = |kind| groups.iter().filter_map(|group| view.chain(group)).filter(move |state| state.kind() == kind);
    let evaluator = Evaluator::new(view, *device, &newest);
    for agency in known(ChainKind::Agency) {
        let id = agency.id();
        let teams = known(ChainKind::Team).filter(|team| evaluator.is_team_of(team, &id));
        let of_agency: Vec<_> = std::iter::once(agency.clone()).chain(teams).collect();
        let joined = of_agency.iter().find(|group| evaluator.has_joined(group, user));
        let Some((joined, named)) = joined.and_then(|joined| {
            let also_named = of_agency.iter().find(|group| evaluator.has_member(group, user));
            let named = if evaluator.has_member(joined, user) { Some(joined) } else { also_named };
            Some((joined, named?))
        }) else {
            continue;
        };
        let Some(path) = cite_path(view, device, &id, Need::Member(Role::Manager), now) else { continue };
        let mut chains: Vec<ChainId> = path.iter().map(|cite| cite.chain).collect();
        chains.extend([id, joined.id(), named.id()]);
        chains.sort_unstable();
        chains.dedup();
        return cite_all(view, chains);
    }
    None
}

/// Finds the cites of a chunk: the document's own head, the head of the author's user, and those of one path on which
/// the author has at least this role over content. `None` where there is no path.
pub fn cite_content(
    view: &dyn Chains,
    device: &DeviceId,
    document: &ChainId,
    least: Role,
    now: Option<Timestamp>,
) -> Option<Vec<Cite>> {
    let mut cites = cite_path(view, device, document, Need::Content(least), now)?;
    cites.push(Cite { chain: *document, head: view.chain(document)?.head() });
    cites.sort_unstable();
    Some(cites)
}

pub(crate) fn cite_all(view: &dyn Chains, chains: impl IntoIterator<Item = ChainId>) -> Option<Vec<Cite>> {
    chains.into_iter().map(|chain| Some(Cite { chain, head: view.chain(&chain)?.head() })).collect()
}

struct Paths<'a> {
    view: &'a dyn Chains,
    device: DeviceId,
    now: Option<Timestamp>,
}

/// The chains on a path, without the one it starts from.
type Path = Vec<ChainId>;

impl Paths<'_> {
    fn find(&self, state: &ChainState, need: Need) -> Option<Path> {
        match need {
            Need::Founding | Need::Invitation => None,
            Need::Member(least) => self.down(state, least),
            Need::OwnDevice | Need::Removing => {
                let head = state.head_seq();
                state.device(&self.device).filter(|device| device.stands_at(head)).map(|_| Path::new())
            }
            Need::Erasing(least) if state.document_kind() == Some(DocumentKind::Section) => {
                self.find(state, Need::Ending(least))
            }
            Need::Authority(least) | Need::Erasing(least) => self.down(state, least).or_else(|| self.up(state)),
            Need::Ending(least) => self.down(state, least).or_else(|| self.above(state, ParentAuthority::RevokeOnly)),
            Need::Content(least) => self.down(state, least).or_else(|| {
                let mut path = self.down(state, Role::Reader)?;
                path.extend(self.up(state)?);
                Some(path)
            }),
        }
    }

    /// Finds a path of members, each with at least this role, that ends at a user of the device.
    fn down(&self, state: &ChainState, least: Role) -> Option<Path> {
        let head = state.head_seq();
        if state.kind() == ChainKind::User {
            let is_full = |device: &&DeviceStanding| device.kind == DeviceKind::Full && device.stands_at(head);
            return state.device(&self.device).filter(is_full).map(|_| Path::new());
        }
        let fit = state.members().iter().filter(|member| member.role >= least && member.stands_at(head, self.now));
        shortest(fit.filter_map(|member| {
            let subject = self.chain(&member.subject).filter(|found| may_be_member(found.kind(), state.kind()))?;
            Some(through(member.subject, self.down(&subject, least)?))
        }))
    }

    /// Finds a path through parents with full authority, to one where the device is Manager.
    fn up(&self, state: &ChainState) -> Option<Path> {
        self.above(state, ParentAuthority::Full)
    }

    /// Finds a path through a parent with at least this authority and, from there on, full authority, to one where the
    /// device is Manager.
    fn above(&self, state: &ChainState, least: ParentAuthority) -> Option<Path> {
        let parents = state.parents().filter(|parent| parent.authority >= least);
        shortest(parents.filter_map(|parent| {
            let above = self.chain(&parent.chain).filter(|found| may_be_parent(found.kind(), state.kind()))?;
            let path = self.down(&above, Role::Manager).or_else(|| self.up(&above))?;
            Some(through(parent.chain, path))
        }))
    }

    fn chain(&self, id: &ChainId) -> Option<Arc<ChainState>> {
        self.view.chain(id)
    }
}

fn through(chain: ChainId, mut path: Path) -> Path {
    path.insert(0, chain);
    path
}

fn shortest(paths: impl Iterator<Item = Path>) -> Option<Path> {
    paths.min_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)))
}
