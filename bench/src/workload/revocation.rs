//! Removing one of 150 members of a team with 3,000 cases: what it costs whoever does it, every other member, and the relay;
//! and what policy costs from edit to edit.

use anyhow::{Context, Result, bail};
use vereda_base::{ChainId, Digest, Timestamp};
use vereda_crypto::{GroupEpochSecret, WrapInfo, seal_for_group, wrap};
use vereda_policy::{
    Body, Chains, Epoch, Evaluator, FrontierTree, Heads, Role, Rotate, Wrap, WrappedKey, authorize_content,
    epoch_targets, hash_previous, wrap_list,
};
use vereda_protocol::{Chunk, Credential, OpOutcome, Up, founding_credential};
use vereda_relay::entropy::SystemEntropy;
use vereda_sync::{
    people::{Person, Put, frontier},
    relay::SessionId,
};

use crate::{
    crowd::{Crowd, FOUNDING, up_of},
    report::{Measurement, Report, Unit, progress},
    stopwatch::Stopwatch,
};

const NAME: &str = "revoke";
/// Sessions that stay open meanwhile: what one member receives all receive.
const WATCHING: usize = 8;
/// Cases that a member usually wrote in.
const USUAL: usize = 60;
const CHUNK_BYTES: usize = 512;
/// Operations of a case with a long past.
const LONG_PAST: usize = 200;
const CHECKS: u32 = 2_000;

/// The team and its cases.
struct Team {
    crowd: Crowd,
    manager: Person,
    desk: SessionId,
    team: ChainId,
    members: Vec<Person>,
    cases: Vec<ChainId>,
}

pub(super) fn run(folder: &std::path::Path, cases: usize, members: usize, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut team = Team::form(folder.path(), cases, members)?;
    let mut leavers = team.members.split_off(team.members.len().saturating_sub(2)).into_iter();
    let (Some(mut seldom), Some(mut often)) = (leavers.next(), leavers.next()) else { bail!("too few members") };
    let usual = USUAL.min(cases);
    team.write(&mut seldom, usual)?;
    team.write(&mut often, cases)?;
    let new = |metric: String, value: f64, unit| Measurement::new(NAME, cases, metric, value, unit);
    report.take(new(
        format!("policy check of a chunk, {members} members"),
        team.check_chunk(&mut seldom)? * 1e3,
        Unit::Milliseconds,
    ))?;
    report.take(
        new(format!("role in a case with {LONG_PAST} operations"), long_past()? * 1e3, Unit::Milliseconds).limit(1.0),
    )?;
    let watching = team.watch()?;
    for (leaver, wrote) in [(&seldom, usual), (&often, cases)] {
        progress(&format!("revoke: one of {members} members leaves, who wrote in {wrote} cases"));
        let tell = |metric: &str, value: f64, unit| new(format!("{metric}, wrote in {wrote}"), value, unit);
        let before = watching.iter().map(|id| team.crowd.counted(*id)).collect::<Vec<_>>();
        let own = team.crowd.counted(team.desk);
        let watch = Stopwatch::start();
        team.revoke(leaver.user())?;
        report.take(tell("time to revoke", watch.seconds(), Unit::Seconds))?;
        let revoked = team.crowd.counted(team.desk).since(own);
        report.take(tell("revoker, bytes up", revoked.up as f64, Unit::Bytes))?;
        report.take(tell("revoker, bytes down", revoked.down as f64, Unit::Bytes))?;
        let received = |team: &Team| {
            let down = watching.iter().zip(&before).map(|(id, before)| team.crowd.counted(*id).since(*before).down);
            super::middle(down.map(|down| down as f64))
        };
        let removal = received(&team);
        report.take(tell("each member, bytes of the removal", removal, Unit::Bytes))?;
        let own = team.crowd.counted(team.desk);
        let watch = Stopwatch::start();
        team.rotate()?;
        report.take(tell("time to rotate the team", watch.seconds(), Unit::Seconds))?;
        let rotated = team.crowd.counted(team.desk).since(own);
        report.take(tell("who rotates, bytes up", rotated.up as f64, Unit::Bytes))?;
        report.take(tell("each member, bytes of the new epoch", received(&team) - removal, Unit::Bytes))?;
    }
    Ok(())
}

impl Team {
    fn form(folder: &std::path::Path, cases: usize, members: usize) -> Result<Self> {
        let mut crowd = Crowd::gather(folder)?;
        let mut manager = Person::new(1);
        let device = manager.device();
        let desk = crowd.enter(&manager, |opening| founding_credential(opening, &device, &FOUNDING))?;
        crowd.append(desk, &manager.create_user())?;
        let agency = manager.create_agency();
        crowd.append(desk, &agency)?;
        let user = manager.user();
        let made = manager.create_team(agency.chain(), &[(user, Role::Manager)]);
        crowd.append(desk, &made)?;
        let chain = made.chain();
        let mut team = Self { crowd, manager, desk, team: chain, members: Vec::new(), cases: Vec::new() };
        progress(&format!("revoke: {members} members join"));
        for seed in 2..=members {
            team.join(u8::try_from(seed).context("too many members")?)?;
        }
        progress(&format!("revoke: {cases} cases are begun"));
        for _ in 0..cases {
            let put = team.manager.create_case(chain);
            team.cases.push(put.chain());
            team.crowd.pour(desk, &up_of(&put))?;
        }
        team.crowd.settle(desk)?;
        Ok(team)
    }

    fn join(&mut self, seed: u8) -> Result<()> {
        let until = Timestamp(vereda_sync::people::NOW.0 + 1_000_000);
        let invite = self.manager.invite(self.team, Role::Editor, seed, until);
        self.crowd.append(self.desk, &invite)?;
        let mut person = Person::new(seed);
        person.chains = self.manager.chains.clone();
        let (team, id) = (self.team, invite.id());
        let guest = person.clone();
        let session = self.crowd.enter(&person, |opening| guest.credential(opening, team, id, seed))?;
        let (user, accept) = (person.create_user(), person.accept(team, id, seed));
        self.crowd.append(session, &user)?;
        self.crowd.append(session, &accept)?;
        self.crowd.leave(session)?;
        for put in [&user, &accept] {
            self.manager.learn(&put.op);
        }
        self.members.push(person);
        Ok(())
    }

    /// A member writes a chunk in each of so many cases.
    fn write(&mut self, person: &mut Person, count: usize) -> Result<()> {
        progress(&format!("revoke: a member writes in {count} cases"));
        person.chains = self.manager.chains.clone();
        let session = self.crowd.enter(person, |_| Credential::Member)?;
        for case in self.cases.iter().take(count) {
            let chunk: Chunk = person.chunk(*case, 0, None, &[], CHUNK_BYTES);
            self.crowd.pour(session, &Up::PutChunk(chunk))?;
        }
        self.crowd.settle(session)?;
        self.crowd.leave(session)
    }

    /// Some members are there and have everything.
    fn watch(&mut self) -> Result<Vec<SessionId>> {
        progress(&format!("revoke: {WATCHING} members fetch everything"));
        let members = self.members.iter().take(WATCHING).cloned().collect::<Vec<_>>();
        members.iter().map(|member| self.crowd.enter(member, |_| Credential::Member)).collect()
    }

    /// Times the policy check of a chunk, in seconds.
    fn check_chunk(&self, person: &mut Person) -> Result<f64> {
        let case = *self.cases.first().context("no case")?;
        let chunk = person.chunk(case, 1, None, &[], CHUNK_BYTES);
        let header = chunk.header.verify()?;
        let watch = Stopwatch::start();
        for _ in 0..CHECKS {
            authorize_content(&self.manager.chains, &header, Some(vereda_sync::people::NOW))?;
        }
        Ok(watch.seconds() / f64::from(CHECKS))
    }

    /// Ends a member's role: first naming nothing, then what the relay offers.
    fn revoke(&mut self, user: ChainId) -> Result<()> {
        let put = |person: &mut Person, frontier| {
            let revoke = vereda_policy::Revoke { subject: user, keeps: None, successor: None, frontier };
            person.draft(self.team, Body::Revoke(revoke))
        };
        let first = put(&mut self.manager, frontier(&[]));
        let OpOutcome::FrontierMoved(offer) = self.crowd.put(self.desk, &first)? else {
            bail!("the relay offered no frontier")
        };
        let tree = FrontierTree::new(offer.iter().map(vereda_protocol::OfferedLeaf::leaf));
        let second = put(&mut self.manager, tree.frontier());
        self.crowd.append(self.desk, &second)?;
        self.manager.learn(&second.op);
        Ok(())
    }

    /// Begins the team's next epoch, wrapped to everybody who is left.
    fn rotate(&mut self) -> Result<()> {
        let mut rng = SystemEntropy;
        let state = self.manager.chains.chain(&self.team).context("no team")?;
        let targets = epoch_targets(&self.manager.chains, &self.team, Some(vereda_sync::people::NOW));
        let number = state.epochs().len() as u64;
        let follows = state.epoch_to_follow().map_or(0, |epoch| epoch.number);
        let secret = GroupEpochSecret::make(&mut rng);
        let info = |recipient: [u8; 32], recipient_epoch| WrapInfo {
            chain: self.team,
            epoch: number,
            recipient,
            recipient_epoch,
        };
        let mut wraps = Vec::new();
        for (recipient, epoch) in state.recipients().into_iter().zip(&targets) {
            let Some(epoch) = *epoch else { continue };
            let member = self.manager.chains.chain(&ChainId(recipient.0)).context("no member")?;
            let public = member.epoch(epoch).and_then(|epoch| epoch.public_key.clone()).context("no key")?;
            let key = WrappedKey::Hpke(wrap(&public, &info(recipient.0, epoch), secret.key(), &mut rng)?);
            wraps.push(Wrap { recipient, recipient_epoch: epoch, key });
        }
        let seal = secret.derive_previous_key_seal(self.team, number);
        let sealed = seal_for_group(&seal, &info(self.team.0, follows), secret.key(), &mut rng);
        let previous = Some(hash_previous(&sealed));
        let recipient = Digest(self.team.0);
        wraps.push(Wrap { recipient, recipient_epoch: follows, key: WrappedKey::Group(sealed) });
        let (list, wraps) = wrap_list(wraps);
        let public_key = Some(secret.derive_wrap_key_pair(self.team, number).public().clone());
        let epoch = Epoch { public_key, commitment: secret.commitment(), wraps: list, previous, targets };
        let drafted = self.manager.draft(self.team, Body::Rotate(Rotate { epoch, follows, carries: Vec::new() }));
        let put = Put { op: drafted.op, wraps: wraps.into_iter().map(|(wrap, _)| wrap).collect() };
        self.crowd.append(self.desk, &put)?;
        self.manager.learn(&put.op);
        Ok(())
    }
}

/// Times who may do what in a case with a long past, in seconds.
fn long_past() -> Result<f64> {
    let (mut manager, mut other) = (Person::new(1), Person::new(2));
    manager.create_user();
    let guest = other.create_user();
    manager.learn(&guest.op);
    let agency = manager.create_agency().chain();
    let user = manager.user();
    let team = manager.create_team(agency, &[(user, Role::Manager)]).chain();
    let case = manager.create_case(team).chain();
    for number in 1..LONG_PAST {
        if number % 2 == 1 {
            manager.grant(case, other.user(), Role::Editor);
        } else {
            manager.revoke(case, other.user(), None, frontier(&[]));
        }
    }
    let heads = Heads::newest(Some(vereda_sync::people::NOW));
    let watch = Stopwatch::start();
    for _ in 0..CHECKS {
        let role = Evaluator::new(&manager.chains, manager.device(), &heads).role(&case);
        if role != Some(Role::Manager) {
            bail!("the manager of the case has the role {role:?}");
        }
    }
    Ok(watch.seconds() / f64::from(CHECKS))
}
