//! `vereda session`: commands as lines of JSON in, answers as lines of JSON out, connected all the while.

mod access;
mod recovery;
mod request;

use std::{io::BufRead, thread, time::Duration};

use clap::Args;
use serde_json::{Value as Json, json};
use tokio::sync::{broadcast::error::RecvError, mpsc};
use vereda_client_core::{native::driver::Notice, sync_machine::Event};

use crate::{
    command::Common,
    contact::Contact,
    fault::{Fault, Outcome},
    opened::Opened,
    output::print_json,
    views::short,
};
use request::{Asked, Request, perform};

/// Longest line taken from the sender, in bytes.
const MAX_LINE_BYTES: usize = 8 << 20;
/// How long `sync` waits where the sender does not say.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves commands as lines of JSON on standard input, answers on standard output, and stays connected
///
/// Each line is an object with `id` and `do`; `docs/automation.md` lists them.
/// What is answered with `"ok": true` is durable on this device.
///
/// Example:
///   echo '{"id":1,"do":"case.list"}' | vereda session --stdio
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Session {
    /// Speaks over standard input and output; the only way there is
    #[arg(long)]
    stdio: bool,
    /// Begins without the network; `connect` brings it into use
    #[arg(long)]
    offline: bool,
}

/// A line of the sender's.
struct Line {
    id: Json,
    request: Outcome<Asked>,
}

impl Session {
    pub(crate) fn run(self, common: &Common) -> Outcome {
        if !self.stdio {
            return Err(Fault::usage("say --stdio: a session speaks over standard input and output"));
        }
        let opened = Opened::open(common)?;
        let device = opened.device().with(|device, _| device.id());
        print_json(&json!({"event": "ready", "vault": opened.label(), "device": device}))?;
        // Kept up for the whole session; `disconnect` only tells the device to use no network.
        let contact = Contact::begin(&opened)?;
        if self.offline {
            opened.device().with(vereda_client_core::device::Device::go_offline)?;
        }
        let served = opened.runtime().block_on(serve(&opened));
        drop(contact);
        served?;
        opened.close()
    }
}

async fn serve(opened: &Opened) -> Outcome {
    let mut lines = read_lines();
    let mut notices = opened.device().notices();
    let mut terminated = terminated()?;
    loop {
        tokio::select! {
            biased;
            line = lines.recv() => {
                let Some(line) = line else { return Ok(()) };
                if !answer(opened, line)? {
                    return Ok(());
                }
            }
            notice = notices.recv() => match notice {
                Ok(notice) => event_of(notice).map_or(Ok(()), |event| print_json(&event))?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = terminated.recv() => return Ok(()),
        }
    }
}

#[cfg(unix)]
fn terminated() -> Outcome<tokio::signal::unix::Signal> {
    Ok(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?)
}

#[cfg(not(unix))]
fn terminated() -> Outcome<tokio::signal::windows::CtrlC> {
    Ok(tokio::signal::windows::ctrl_c()?)
}

/// Answers a line; says whether the session goes on.
fn answer(opened: &Opened, Line { id, request }: Line) -> Outcome<bool> {
    match request {
        Ok(Asked::Base(Request::Quit)) => {
            print_json(&json!({"id": id, "ok": true}))?;
            return Ok(false);
        }
        Ok(Asked::Base(Request::Sync { seconds })) => {
            let device = opened.device().clone();
            let patience = seconds.map_or(PATIENCE, Duration::from_secs);
            tokio::spawn(async move {
                // What was asked for before counts too: the next step of the driver sees it.
                let settled = tokio::time::timeout(patience, device.settled()).await.is_ok();
                let answer = if settled {
                    Ok(json!({"bytes_up": device.counters().up(), "bytes_down": device.counters().down()}))
                } else {
                    Err(Fault::pending(format!("not all is exchanged after {} s", patience.as_secs())))
                };
                // The reader may be gone; then the session ends by itself.
                drop(print_json(&answer_line(&id, answer)));
            });
        }
        Ok(Asked::Recover(recover)) => match recover.begin(opened) {
            Ok(done) => drop(tokio::spawn(async move { drop(print_json(&answer_line(&id, done.await))) })),
            Err(fault) => print_json(&answer_line(&id, Err(fault)))?,
        },
        Ok(request) => print_json(&answer_line(&id, perform(opened, request)))?,
        Err(fault) => print_json(&answer_line(&id, Err(fault)))?,
    }
    Ok(true)
}

fn answer_line(id: &Json, answer: Outcome<Json>) -> Json {
    let mut line = json!({"id": id, "ok": answer.is_ok()});
    let fields = match answer {
        Ok(Json::Object(fields)) => fields,
        Ok(_) => serde_json::Map::new(),
        Err(Fault { kind, sentence }) => {
            [("code".to_owned(), Json::from(kind.word())), ("error".to_owned(), Json::from(sentence))]
                .into_iter()
                .collect()
        }
    };
    if let Some(line) = line.as_object_mut() {
        line.extend(fields.into_iter().filter(|(key, _)| key != "id" && key != "ok"));
    }
    line
}

/// What a notice looks like to a script; `None` for those that it need not see.
pub(crate) fn event_of(notice: Notice) -> Option<Json> {
    Some(match notice {
        Notice::Event(Event::Welcomed { .. }) => json!({"event": "connected"}),
        Notice::Event(Event::CaughtUp) => json!({"event": "caught_up"}),
        Notice::Event(Event::Disconnected { reason, .. }) => {
            json!({"event": "disconnected", "reason": reason.to_string()})
        }
        Notice::Event(Event::Quarantined { document, chunk }) => {
            json!({"event": "quarantined", "document": document, "chunk": chunk})
        }
        Notice::Event(Event::IntentFailed { reason, .. }) => {
            json!({"event": "refused", "reason": reason.to_string()})
        }
        Notice::Event(Event::ChunkRefused { document, code, .. }) => {
            json!({"event": "refused", "document": document, "reason": code.to_string()})
        }
        Notice::Event(Event::RelayForked { chain, .. }) => {
            json!({"event": "relay_fault", "fault": "forked", "chain": chain})
        }
        Notice::Event(Event::RelayWithholds { chain }) => {
            json!({"event": "relay_fault", "fault": "withholds", "chain": chain})
        }
        Notice::Event(Event::RelaySevers { chain }) => {
            json!({"event": "relay_fault", "fault": "severs", "chain": chain})
        }
        Notice::Event(_) => return None,
        Notice::NotReached(reason) => json!({"event": "not_reached", "reason": reason}),
        Notice::Changed(documents) => json!({"event": "changed", "documents": documents}),
        Notice::Failed(reason) => json!({"event": "failed", "reason": reason}),
    })
}

/// What a notice looks like to a person; `None` for those of no interest to one.
pub(crate) fn sentence_of(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Event(Event::Welcomed { .. }) => "Connected.".to_owned(),
        Notice::Event(Event::CaughtUp) => "Everything the relay had is here.".to_owned(),
        Notice::Event(Event::Disconnected { reason, .. }) => format!("Not connected: {reason}."),
        Notice::Event(Event::Quarantined { document, .. }) => {
            format!("Set aside: something for {} breaks a rule; it is kept as evidence.", short(document))
        }
        Notice::Event(Event::IntentFailed { reason, .. }) => format!("Refused: {reason}."),
        Notice::Event(Event::ChunkRefused { document, code, .. }) => {
            format!("Refused: an edit of {}: {code}; it is kept here.", short(document))
        }
        Notice::Event(Event::RelayForked { chain, .. }) => {
            format!("Beware: the relay gave two different accounts of one decision in {}.", short(chain))
        }
        Notice::Event(Event::RelayWithholds { chain }) => {
            format!("Beware: the relay withholds news of {} that colleagues know.", short(chain))
        }
        Notice::Event(Event::RelaySevers { chain }) => {
            format!("Beware: a removal in {} does not name work that the relay had handed over before.", short(chain))
        }
        Notice::Event(_) => return None,
        Notice::NotReached(reason) => {
            format!("The relay is not reached: {reason}. The next attempt follows by itself.")
        }
        Notice::Changed(documents) => {
            let ids: Vec<String> = documents.iter().map(short).collect();
            format!("Changed by others: {}", ids.join(", "))
        }
        Notice::Failed(reason) => format!("Failed: {reason}."),
    })
}

/// Reads lines in a thread of its own: standard input cannot be waited for otherwise on every system.
fn read_lines() -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(64);
    thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut text = String::new();
        loop {
            text.clear();
            let mut bounded = std::io::Read::take(&mut input, MAX_LINE_BYTES as u64);
            match bounded.read_line(&mut text) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
            if !text.trim().is_empty() && sender.blocking_send(parse(&text)).is_err() {
                return;
            }
        }
    });
    lines
}

fn parse(text: &str) -> Line {
    let malformed = || Fault::usage("a line is a JSON object with id and do");
    let Ok(Json::Object(mut object)) = serde_json::from_str(text) else {
        return Line { id: Json::Null, request: Err(malformed()) };
    };
    let id = object.remove("id").unwrap_or(Json::Null);
    // The sentence names keys and kinds only: serde quotes no value of a field here beyond the word after `do`.
    let request = Asked::read(Json::Object(object))
        .map_err(|_| Fault::usage("no such command, or a field that it does not take: see docs/automation.md"));
    Line { id, request }
}
