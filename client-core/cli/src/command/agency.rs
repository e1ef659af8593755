//! `vereda agency`, `vereda team` and `vereda people`.

use clap::{Args, Subcommand};
use serde_json::json;
use vereda_base::Sensitive;
use vereda_client_core::{directory::PersonView, identity::CreateAgency, link::FoundingLink};

use super::Common;
use crate::{
    fault::Outcome,
    link_source::{self, LinkFile},
    opened::Opened,
    output::{print, print_json, print_line},
    table::Table,
    views::{name, short},
};

/// Founds agencies
#[derive(Debug, Subcommand)]
pub(crate) enum Agency {
    /// Founds an agency with you as its first manager; works offline
    ///
    /// Example:
    ///   vereda agency create --founding 'vereda://found?…' --name Aid --person Amina
    #[command(verbatim_doc_comment)]
    Create {
        /// The founding link that the relay's operator gave you; - reads it from standard input
        #[arg(long, value_name = "LINK", value_parser = link_source::secret, conflicts_with = "link_file",
            required_unless_present = "link_file")]
        founding: Option<Sensitive<String>>,
        #[command(flatten)]
        file: LinkFile,
        /// The agency's name
        #[arg(long)]
        name: String,
        /// Your name
        #[arg(long)]
        person: String,
    },
}

impl Agency {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let Self::Create { founding, file, name, person } = self;
        let link: FoundingLink = link_source::obtain(founding, file.link_file.as_deref())?.expose().parse()?;
        link_source::check_address(&link.relay, common.allow_plain)?;
        let request = CreateAgency { link, name, person };
        let opened = Opened::open(common)?;
        let agency = opened.device().with(|device, ambient| device.create_agency(ambient, &request))?;
        let user = opened.device().with(|device, _| device.home()).map(|(user, _)| user);
        opened.close()?;
        if common.json {
            return print_json(&json!({"agency": agency, "user": user}));
        }
        print_line(&format!(
            "The agency {} is founded on this device. Next: vereda team create NAME, then vereda sync",
            request.name
        ))
    }
}

/// Makes and lists teams
#[derive(Debug, Subcommand)]
pub(crate) enum Team {
    /// Makes a team with you as its first manager; works offline
    ///
    /// Example: vereda team create North
    Create {
        /// The team's name
        name: String,
    },
    /// Lists the teams
    ///
    /// Example: vereda team list --json
    List,
}

impl Team {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        match self {
            Self::Create { name } => {
                let team = opened.device().with(|device, ambient| device.create_team(ambient, &name))?;
                opened.close()?;
                if common.json {
                    return print_json(&json!({"team": team}));
                }
                print_line(&format!("The team {name} is made. Invite people into it with: vereda invite {name:?}"))
            }
            Self::List => {
                let people = opened.device().with(|device, _| device.people())?;
                opened.close()?;
                if common.json {
                    return print_json(&json!({"teams": people.teams}));
                }
                let mut table = Table::new(&["TEAM", "NAME", "PEOPLE", "YOURS"]);
                for team in people.teams {
                    let yours = if team.is_own { "yes" } else { "no" };
                    table.row([short(&team.team), name(team.name), team.people.len().to_string(), yours.into()]);
                }
                if table.is_empty() {
                    return print_line("This device knows no team yet.");
                }
                print(&table.render())
            }
        }
    }
}

/// Shows the people of the agency
///
/// Example: vereda people
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct People {}

impl People {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let people = opened.device().with(|device, _| device.people())?;
        opened.close()?;
        if common.json {
            return print_json(&json!(people));
        }
        let mut table = Table::new(&["WHERE", "NAME", "ROLE", "DEVICES", "ID"]);
        let mut add = |place: String, person: PersonView| {
            table.row([
                place,
                name(person.name),
                person.role.to_owned(),
                person.devices.to_string(),
                short(&person.user),
            ]);
        };
        let agency = name(people.name);
        for person in people.people {
            add(agency.clone(), person);
        }
        for team in people.teams {
            let place = name(team.name);
            for person in team.people {
                add(place.clone(), person);
            }
        }
        if table.is_empty() {
            return print_line("This device knows nobody yet: found an agency, or join one and get its key.");
        }
        print(&table.render())
    }
}
