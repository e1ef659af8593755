//! The network for as long as one command needs it.

use std::time::Duration;

use tokio::{sync::broadcast::error::RecvError, task::JoinHandle, time::timeout};
use vereda_client_core::{
    device::{Device, DeviceError, IncarnatedStore},
    native::driver::{Notice, SharedDevice},
    sync_machine::{Disconnect, Event},
    vault::Vault,
};

use crate::{
    fault::{Fault, FaultKind, Outcome},
    opened::Opened,
};

/// A connection that is kept up in the background.
pub(crate) struct Contact {
    driver: JoinHandle<()>,
}

impl Contact {
    /// Goes online and stays so until dropped.
    pub(crate) fn begin(opened: &Opened) -> Outcome<Self> {
        Self::of(opened, opened.device())
    }

    /// As [`Self::begin`], of a device beside the vault's own.
    pub(crate) fn of<S: IncarnatedStore + Send + 'static>(opened: &Opened, device: &SharedDevice<S>) -> Outcome<Self> {
        let tls = opened.tls();
        device.with(Device::go_online)?;
        let device = device.clone();
        Ok(Self { driver: opened.runtime().spawn(async move { device.stay_connected(tls).await }) })
    }
}

impl Drop for Contact {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Exchanges everything with the relay: waits until all of this device's is there and all of the relay's is here and
/// opened, or until the first attempt fails.
pub(crate) fn exchange(opened: &Opened, patience: Duration) -> Outcome {
    exchange_until(opened, patience, |device| device.is_settled())
}

/// As [`exchange`], until something holds.
pub(crate) fn exchange_until(opened: &Opened, patience: Duration, holds: impl Fn(&Device<Vault>) -> bool) -> Outcome {
    drive_until(opened, opened.device(), patience, |device| device.is_settled() && holds(device))
}

/// Connects a device until something holds, or until the first attempt fails.
pub(crate) fn drive_until<S: IncarnatedStore + Send + 'static>(
    opened: &Opened,
    device: &SharedDevice<S>,
    patience: Duration,
    holds: impl Fn(&Device<S>) -> bool,
) -> Outcome {
    if device.with(|device, _| device.home()).is_none() {
        return Err(DeviceError::NoAgency.into());
    }
    let contact = Contact::of(opened, device)?;
    let done = opened.runtime().block_on(reach(device, patience, holds));
    drop(contact);
    done
}

/// Waits until something holds of a device that is connected, or until an attempt to connect it fails.
pub(crate) async fn reach<S: IncarnatedStore + Send + 'static>(
    device: &SharedDevice<S>,
    patience: Duration,
    holds: impl Fn(&Device<S>) -> bool,
) -> Outcome {
    let mut notices = device.notices();
    let mut steps = device.steps();
    let waiting = async {
        loop {
            if device.with(|device, _| holds(device)) {
                return Ok(());
            }
            tokio::select! {
                changed = steps.changed() => {
                    if changed.is_err() {
                        return Err(Fault::pending("the connection ended"));
                    }
                }
                notice = notices.recv() => match notice {
                    Ok(notice) => fail_if_lost(notice)?,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Err(Fault::pending("the connection ended")),
                },
            }
        }
    };
    match timeout(patience, waiting).await {
        Ok(done) => done,
        Err(_) => Err(Fault::pending(format!(
            "not all is exchanged after {} s; what was asked for is stored and completes by itself",
            patience.as_secs()
        ))),
    }
}

fn fail_if_lost(notice: Notice) -> Outcome {
    match notice {
        Notice::NotReached(reason) => Err(Fault::pending(format!("the relay is not reached: {reason}"))),
        Notice::Event(Event::Disconnected {
            reason: reason @ (Disconnect::RelayForked | Disconnect::LogShorter),
            ..
        }) => Err(Fault::new(FaultKind::Relay, reason)),
        Notice::Event(Event::Disconnected { reason, .. }) => Err(Fault::pending(format!("not connected: {reason}"))),
        Notice::Failed(reason) => Err(Fault::failed(reason)),
        _ => Ok(()),
    }
}

/// Ends the sharing and locks the vault.
pub(crate) fn lock(device: SharedDevice<Vault>) -> Outcome {
    let Some(device) = device.into_inner() else { return Ok(()) };
    let entropy = &mut vereda_client_core::native::entropy::SystemEntropy;
    device.into_store().lock(entropy).map_err(Fault::failed)
}
