//! Recovering over a session: the key's device is driven beside the vault's own until it has brought that in.

use std::{future::Future, time::Duration};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use vereda_client_core::{devices::RecoveryKey, link::RecoveryLink};

use crate::{
    contact::{Contact, reach},
    fault::Outcome,
    opened::Opened,
};

/// How long the relay is waited for where the sender does not say.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command that takes as long as the relay does.
#[derive(Deserialize)]
#[serde(tag = "do", deny_unknown_fields)]
pub(super) enum RecoverRequest {
    #[serde(rename = "device.recovery.recover")]
    Recover(Recover),
}

/// The fields of `device.recovery.recover`.
/// Not `Debug`: it holds the key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recover {
    link: String,
    key: String,
    name: String,
    seconds: Option<u64>,
}

impl Recover {
    /// Begins; what it returns ends when this vault is a device of the key's person, or cannot become one.
    pub(super) fn begin(self, opened: &Opened) -> Outcome<impl Future<Output = Outcome<Json>> + Send + use<>> {
        let (link, key): (RecoveryLink, RecoveryKey) = (self.link.parse()?, self.key.trim().parse()?);
        let of_key = opened.device().with(|device, ambient| device.begin_recovery(ambient, &link, &key))?;
        let new = opened.device().with(|device, _| device.id());
        let (of_key, device) = (opened.share(of_key), opened.device().clone());
        let contact = Contact::of(opened, &of_key)?;
        let (name, patience) = (self.name, self.seconds.map_or(PATIENCE, Duration::from_secs));
        Ok(async move {
            let driven = reach(&of_key, patience, |of_key| of_key.is_done(&new)).await;
            drop(contact);
            let finished =
                of_key.with(|of_key, _| device.with(|device, _| device.finish_recovery(&link, of_key, &name)));
            if finished.is_err() {
                // What is missing is said by itself; else by why the relay was not reached.
                driven?;
            }
            let user = finished?;
            let status = device.with(|device, ambient| {
                device.go_online_if_wanted(ambient)?;
                device.status()
            })?;
            Ok(json!({"user": user, "membership": status.membership}))
        })
    }
}
