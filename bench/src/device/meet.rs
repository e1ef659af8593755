//! Meeting the relay until everything that is expected is here.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail};
use tokio::{sync::broadcast::error::RecvError, time::timeout};
use vereda_base::ChainId;
use vereda_client_core::{
    native::driver::{Notice, SharedDevice},
    vault::Vault,
};

use super::ask::{Expected, Met, SCREEN};
use crate::stopwatch::Stopwatch;

/// Longer than anything takes on a busy machine; reaching it is a failure, never a measure.
const PATIENCE: Duration = Duration::from_secs(1_200);

pub(super) async fn meet(device: &SharedDevice<Vault>, expect: Expected) -> Result<Met> {
    match timeout(PATIENCE, wait(device, expect)).await {
        Ok(met) => met,
        Err(_) => bail!("what was expected does not come: {:?}", device.with(|device, _| device.status())),
    }
}

async fn wait(device: &SharedDevice<Vault>, expect: Expected) -> Result<Met> {
    let mut notices = device.notices();
    let mut missing: BTreeSet<ChainId> = expect.changed.into_iter().collect();
    let (mut brought, mut list, wanted) = (0, None, SCREEN.min(expect.cases));
    let watch = Stopwatch::start();
    device.with(|device, ambient| device.go_online(ambient))?;
    // A device that joined is at rest until a colleague's device passes the key on: what comes then is told.
    let mut waits_for_news = false;
    loop {
        tokio::select! {
            notice = notices.recv() => match notice {
                Ok(Notice::Changed(documents)) => {
                    waits_for_news = false;
                    brought += documents.len();
                    missing.retain(|case| !documents.contains(case));
                    if list.is_none() && wanted > 0 && brought >= wanted {
                        let shown = device.with(|device, _| device.list_cases(None))?.len();
                        list = (shown >= wanted).then(|| watch.seconds());
                    }
                }
                Ok(Notice::Failed(reason) | Notice::NotReached(reason)) => bail!(reason),
                Ok(Notice::Event(_)) => waits_for_news = false,
                Err(RecvError::Lagged(_)) if missing.is_empty() => waits_for_news = false,
                Err(error) => bail!("notices were missed: {error}"),
            },
            () = device.settled(), if missing.is_empty() && !waits_for_news => {
                let everything = watch.seconds();
                if expect.cases == 0 || device.with(|device, _| device.count_cases())? >= expect.cases {
                    return Ok(Met { list: list.unwrap_or(everything), everything });
                }
                waits_for_news = true;
            }
        }
    }
}
