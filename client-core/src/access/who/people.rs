//! The people behind a role: through which groups, since when, and who let them in there.

use serde::Serialize;
use vereda_base::{ChainId, Timestamp};
use vereda_policy::{ChainKind, Membership, Role};
use vereda_sync::device::DeviceStore;

use super::{SubjectView, giver};
use crate::{device::Device, directory::AuthorView, words};

/// A person reached by a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachedPerson {
    /// The person.
    pub user: ChainId,
    /// The name, if known.
    pub name: Option<String>,
    /// What the person may do.
    pub role: &'static str,
    /// Through which agency and team, from the outer to the inner; empty where the role is the person's own.
    pub through: Vec<SubjectView>,
    /// Since when, in milliseconds since 1970 by the relay's clock: since the last of all that it takes; `None` while the
    /// relay does not have that.
    pub since: Option<Timestamp>,
    /// Who let the person in, where he is in himself: proven.
    pub by: AuthorView,
}

/// How somebody came by a role.
#[derive(Debug, Clone)]
pub(super) struct Came {
    /// Since when; `None` while the relay does not have it.
    pub(super) since: Option<Timestamp>,
    pub(super) by: AuthorView,
}

/// A way from a role to a person.
struct Way {
    subject: ChainId,
    role: Role,
    through: Vec<ChainId>,
    came: Came,
}

impl<S: DeviceStore> Device<S> {
    /// Lists the people behind a role, each by the way that lets them do most.
    pub(super) fn people_reached(&self, held: &Membership, came: Came, now: Timestamp) -> Vec<ReachedPerson> {
        let mut open = vec![Way { subject: held.subject, role: held.role, through: Vec::new(), came }];
        let mut found: Vec<Way> = Vec::new();
        // Members are of lower kinds, so it ends.
        while let Some(way) = open.pop() {
            match self.chain(&way.subject).map(|state| state.kind()) {
                Some(ChainKind::User) => found.push(way),
                Some(_) => open.extend(self.ways_into(&way, now)),
                None => {}
            }
        }
        found.sort_by_key(|way| (way.subject, std::cmp::Reverse(way.role), way.through.len()));
        found.dedup_by_key(|way| way.subject);
        let mut people: Vec<ReachedPerson> = found.into_iter().map(|way| self.view_reached(way)).collect();
        people.sort_by(|one, other| (&one.name, one.user).cmp(&(&other.name, other.user)));
        people
    }

    fn ways_into(&self, way: &Way, now: Timestamp) -> Vec<Way> {
        let Some(group) = self.chain(&way.subject) else { return Vec::new() };
        let ops = match &self.machine {
            // Without them it is not told who let somebody in.
            Some(machine) => machine.operations(&self.store, &way.subject).unwrap_or_default(),
            None => Vec::new(),
        };
        let head = group.head_seq();
        let standing = group.members().iter().filter(|member| member.stands_at(head, Some(now)));
        let further = standing.map(|member| {
            let op = usize::try_from(member.from_seq).ok().and_then(|seq| ops.get(seq));
            let joined = group.op(member.from_seq).and_then(|record| record.time);
            Way {
                subject: member.subject,
                role: way.role.min(member.role),
                through: way.through.iter().chain([&way.subject]).copied().collect(),
                came: Came {
                    since: way.came.since.zip(joined).map(|(given, joined)| given.max(joined)),
                    by: self.author_view(op.map(|op| giver(&group, op))),
                },
            }
        });
        further.collect()
    }

    fn view_reached(&self, way: Way) -> ReachedPerson {
        ReachedPerson {
            user: way.subject,
            name: self.name_of(&way.subject).map(str::to_owned),
            role: words::role(way.role),
            through: way.through.iter().map(|group| self.subject_view(group)).collect(),
            since: way.came.since,
            by: way.came.by,
        }
    }
}
