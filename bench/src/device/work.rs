//! What people do on a device.

use std::{ops::ControlFlow, time::Duration};

use anyhow::{Context, Result};
use vereda_base::ChainId;
use vereda_client_core::{
    cases::{CreateCase, plain::PlainEdit},
    identity::{CreateAgency, InviteRequest},
    link::{FoundingLink, InviteLink},
    native::driver::SharedDevice,
    sync_machine::{DeviceStore, Table, tables},
    vault::Vault,
};
use vereda_policy::Role;
use vereda_records::{Edit, Record, RecordType, edit::changes, sample::Generator};

use super::ask::{Digested, Held};
use crate::{
    fixture::{Cases, Drawn, configuration, draw_edits},
    quantiles::Quantiles,
    report::progress,
    stopwatch::Stopwatch,
};

/// Cases after which progress is told.
const STEP: usize = 250;

pub(super) fn found(device: &SharedDevice<Vault>, link: &str) -> Result<ChainId> {
    let link: FoundingLink = link.parse()?;
    let request = CreateAgency { link, name: "Child Aid".to_owned(), person: "Amina".to_owned() };
    device.with(|device, ambient| {
        device.create_agency(ambient, &request)?;
        let team = device.create_team(ambient, "North")?;
        device.apply_configuration(ambient, configuration().clone())?;
        Ok(team)
    })
}

pub(super) fn own_team(device: &SharedDevice<Vault>) -> Result<Option<ChainId>> {
    let people = device.with(|device, _| device.people())?;
    Ok(people.teams.first().map(|team| team.team))
}

pub(super) async fn invite(device: &SharedDevice<Vault>, team: ChainId) -> Result<String> {
    let request = InviteRequest { chain: team, role: Role::Editor, open_for: Duration::from_secs(3_600) };
    let mut notices = device.notices();
    let invite = device.with(|device, ambient| device.invite(ambient, &request))?;
    loop {
        let invites = device.with(|device, ambient| device.invites(ambient.now.wall))?;
        let view = invites.into_iter().find(|view| view.invite == invite).context("the invite is gone")?;
        if let Some(link) = view.link {
            return Ok(link);
        }
        notices.recv().await?;
    }
}

pub(super) fn join(device: &SharedDevice<Vault>, link: &str, name: &str) -> Result<()> {
    let link: InviteLink = link.parse()?;
    device.with(|device, ambient| device.join(ambient, &link, name))?;
    Ok(())
}

pub(super) fn fill(device: &SharedDevice<Vault>, cases: usize, drawn: Drawn) -> Result<Vec<ChainId>> {
    let mut draw = Cases::new(drawn);
    let mut made = Vec::new();
    for done in 1..=cases {
        let (record, edits) = draw.draw()?;
        let answers = typed(changes(&Record::new(RecordType::Case), &record));
        let request = CreateCase { team: None, answers };
        let case = device.with(|device, ambient| {
            let case = device.create_case(ambient, &request)?;
            for edit in edits {
                device.edit_case(ambient, &case, &typed(vec![edit]))?;
            }
            anyhow::Ok(case)
        })?;
        made.push(case);
        if done % STEP == 0 {
            progress(&format!("{done} of {cases} cases registered"));
        }
    }
    Ok(made)
}

pub(super) fn edit(device: &SharedDevice<Vault>, cases: &[ChainId], edits: usize, seed: u64) -> Result<Quantiles> {
    let mut generator = Generator::new(seed);
    let mut sample = Vec::new();
    for case in cases {
        let mut record = device.with(|device, _| device.show_case(case))?.record;
        for edit in draw_edits(&mut generator, &mut record, edits)? {
            let request = typed(vec![edit]);
            let watch = Stopwatch::start();
            device.with(|device, ambient| device.edit_case(ambient, case, &request))?;
            sample.push(watch.seconds());
        }
    }
    Ok(Quantiles::of(sample))
}

pub(super) fn show(device: &SharedDevice<Vault>, cases: &[ChainId]) -> Result<Quantiles> {
    let mut sample = Vec::new();
    for case in cases {
        let watch = Stopwatch::start();
        device.with(|device, _| device.show_case(case))?;
        sample.push(watch.seconds());
    }
    Ok(Quantiles::of(sample))
}

pub(super) fn filter(device: &SharedDevice<Vault>, words: &[String]) -> Result<Quantiles> {
    let mut sample = Vec::new();
    for word in words {
        let watch = Stopwatch::start();
        device.with(|device, _| device.list_cases(Some(word)))?;
        sample.push(watch.seconds());
    }
    Ok(Quantiles::of(sample))
}

pub(super) fn digest(device: &SharedDevice<Vault>) -> Result<Digested> {
    let digest = device.with(|device, _| device.digest())?;
    Ok(Digested { digest: digest.digest, cases: digest.cases })
}

pub(super) fn measure(device: &SharedDevice<Vault>) -> Result<Held> {
    let sum = |table: Table| {
        let (mut bytes, mut count) = (0, 0);
        device.with(|device, _| {
            device.store().scan(table, None, &mut |_, row| {
                bytes += row.len() as u64;
                count += 1;
                ControlFlow::Continue(())
            })
        })?;
        anyhow::Ok((bytes, count))
    };
    let (chunks, chunk_count) = sum(tables::CHUNKS)?;
    Ok(Held { operations: sum(tables::OPS)?.0, wraps: sum(tables::WRAPS)?.0, chunks, chunk_count })
}

fn typed(edits: Vec<Edit>) -> PlainEdit {
    PlainEdit { edits, ..PlainEdit::default() }
}
