//! The command line: what can be asked for, one file a subject.

pub(crate) mod access;
mod agency;
pub(crate) mod case;
mod config;
pub(crate) mod device;
mod import;
mod invite;
mod join;
pub(crate) mod review;
pub(crate) mod section;
mod sync;
mod vault;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use config::read as read_configuration;
pub(crate) use import::read_primero;

use crate::{fault::Outcome, passphrase::PassphraseSource, session};

/// Stands over the options that every command takes.
pub(crate) const EVERYWHERE: &str = "Options of every command";

/// Case management that works without a network and through relays that cannot
/// read.
///
/// A first look, beside a relay that printed its founding link:
///
///   vereda vault new amina
///   vereda agency create --founding 'vereda://found?…' --name Aid --person Amina
///   vereda team create North
///   vereda config apply --starter
///   vereda case create --set name_first=Samir --set sex=male
///   vereda case list
///   vereda invite North --role editor
///
/// Exit codes: 0 done; 1 failed; 2 wrong command line; 3 the vault stays
/// locked; 4 no such thing; 5 stored, but the relay was not reached; 6 a
/// file or value cannot be used; 7 something speaks against the relay.
#[derive(Debug, Parser)]
#[command(name = "vereda", version, verbatim_doc_comment, max_term_width = 100)]
pub(crate) struct Vereda {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The vault to open; may be left out where there is only one
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME", env = "VEREDA_VAULT")]
    pub(crate) vault: Option<String>,
    /// The folder of the vaults [default: vereda in the user's data folder]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FOLDER", env = "VEREDA_HOME")]
    pub(crate) home: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseSource,
    /// Trusts these certificate authorities (PEM) besides the public ones
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE", env = "VEREDA_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Connects without TLS to other machines; for test networks you trust
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "VEREDA_ALLOW_PLAIN",
        value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub(crate) allow_plain: bool,
    /// Prints JSON for scripts
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    /// Logs to standard error: ids and sizes only
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Level::Warn, value_name = "LEVEL")]
    log: Level,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(subcommand)]
    Vault(vault::Vault),
    Unlock(vault::Unlock),
    #[command(subcommand)]
    Agency(agency::Agency),
    #[command(subcommand)]
    Team(agency::Team),
    People(agency::People),
    Invite(invite::Invite),
    Invites(invite::Invites),
    Join(join::Join),
    #[command(subcommand)]
    Device(device::Device),
    #[command(subcommand)]
    Import(import::Import),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Case(case::Case),
    #[command(subcommand)]
    Section(section::Section),
    #[command(subcommand)]
    Policy(access::Policy),
    Refer(access::Refer),
    Withdraw(access::Withdraw),
    Assign(access::Assign),
    Revoke(access::Revoke),
    Leave(access::Leave),
    #[command(subcommand)]
    Review(review::Review),
    Sync(sync::Sync),
    Status(sync::Status),
    Digest(sync::Digest),
    Session(session::Session),
}

impl Vereda {
    /// The filter of the log.
    pub(crate) const fn log_filter(&self) -> &'static str {
        match self.common.log {
            Level::Off => "off",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    /// Does what was asked for.
    pub(crate) fn run(self) -> Outcome {
        let common = &self.common;
        match self.command {
            Command::Vault(vault) => vault.run(common),
            Command::Unlock(unlock) => unlock.run(common),
            Command::Agency(agency) => agency.run(common),
            Command::Team(team) => team.run(common),
            Command::People(people) => people.run(common),
            Command::Invite(invite) => invite.run(common),
            Command::Invites(invites) => invites.run(common),
            Command::Join(join) => join.run(common),
            Command::Device(device) => device.run(common),
            Command::Import(import) => import.run(common),
            Command::Config(config) => config.run(common),
            Command::Case(case) => case.run(common),
            Command::Section(section) => section.run(common),
            Command::Policy(policy) => policy.run(common),
            Command::Refer(refer) => refer.run(common),
            Command::Withdraw(withdraw) => withdraw.run(common),
            Command::Assign(assign) => assign.run(common),
            Command::Revoke(revoke) => revoke.run(common),
            Command::Leave(leave) => leave.run(common),
            Command::Review(review) => review.run(common),
            Command::Sync(sync) => sync.run(common),
            Command::Status(status) => status.run(common),
            Command::Digest(digest) => digest.run(common),
            Command::Session(session) => session.run(common),
        }
    }
}
