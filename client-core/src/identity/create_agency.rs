//! Founding an agency: its first user, its own chain, its configuration and its directory.

use minicbor::bytes::ByteArray;
use vereda_base::ChainId;
use vereda_policy::{
    AppendContext, ChainMap, Create, DocumentKind, Draft, Member, OpRefusal, Parent, ParentAuthority, Role, chain_of,
};
use vereda_records::{Record, RecordType, Value};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Ambient, Device, DeviceError},
    directory,
    facts::{Introduction, Membership},
    keyring::{make_group_epoch, make_user_epoch},
    link::FoundingLink,
};

/// What founding takes.
#[derive(Debug, Clone)]
pub struct CreateAgency {
    /// From the relay's operator.
    pub link: FoundingLink,
    /// The agency's name.
    pub name: String,
    /// The founder's name.
    pub person: String,
}

/// Why no agency was founded; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum CreateAgencyError {
    /// The device has a user already.
    #[error("this vault belongs to somebody in an agency already: make another vault")]
    Taken,
    /// A name is empty or too long.
    #[error("a name is 1 to {} characters on one line", directory::MAX_NAME_CHARS)]
    Name,
    /// The agency's chain does not follow from the user's.
    #[error(transparent)]
    Policy(#[from] OpRefusal),
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl<S: DeviceStore> Device<S> {
    /// Founds an agency with this device's user as its first Manager. Complete offline; the relay learns of it when it is
    /// reached.
    ///
    /// # Errors
    /// [`CreateAgencyError`] by cause; nothing is kept then.
    pub fn create_agency(
        &mut self,
        ambient: &mut Ambient<'_>,
        request: &CreateAgency,
    ) -> Result<ChainId, CreateAgencyError> {
        if self.membership.is_some() {
            return Err(CreateAgencyError::Taken);
        }
        if !directory::is_name(&request.name) || !directory::is_name(&request.person) {
            return Err(CreateAgencyError::Name);
        }
        let founded = self.found(ambient, request);
        if founded.is_err() {
            self.roll_back();
        }
        founded
    }

    fn found(&mut self, ambient: &mut Ambient<'_>, request: &CreateAgency) -> Result<ChainId, CreateAgencyError> {
        let (key, now) = (self.keys.signing.clone(), Some(ambient.now.wall));
        let made = make_user_epoch(&self.id(), self.keys.wrapping.public(), ambient.rng).map_err(DeviceError::from)?;
        let nonce = crate::device::draw_nonce(ambient.rng);
        let create = Create::user(nonce, self.keys.wrapping.public().clone(), made.epoch);
        let mut chains = ChainMap::new();
        let user_op = Draft::new(&chains, self.id(), now).sign_create(&key, create).map_err(DeviceError::from)?;
        let user = chain_of(user_op.value());
        chains.append(&user_op, &AppendContext::unreceipted())?;

        let members = vec![Member { subject: user, role: Role::Manager }];
        let agency_made = make_group_epoch(&self.keyring, &chains, &[user], ambient.rng).map_err(DeviceError::from)?;
        let create = Create::agency(crate::device::draw_nonce(ambient.rng), members, agency_made.epoch);
        let agency_op = Draft::new(&chains, self.id(), now).sign_create(&key, create).map_err(DeviceError::from)?;
        let agency = chain_of(agency_op.value());

        let membership = Membership {
            user,
            agency,
            relay_url: request.link.relay.url.clone(),
            relay_key: request.link.relay.key,
            introduction: Introduction::Founding(ByteArray::from(*request.link.secret.expose())),
            heads: Vec::new(),
            person: String::new(),
        };
        membership.save(&mut self.store).map_err(DeviceError::from)?;
        self.begin_machine(membership)?;
        self.enqueue_create(&user_op, made.wraps)?;
        self.keyring.keep(&mut self.store, user, 0, made.key).map_err(DeviceError::from)?;
        self.enqueue_create(&agency_op, agency_made.wraps)?;
        self.keyring.keep(&mut self.store, agency, 0, agency_made.key).map_err(DeviceError::from)?;
        self.begin_books(ambient, user, agency, request)?;
        Ok(agency)
    }

    /// Begins configuration and directory, and writes the first names.
    fn begin_books(
        &mut self,
        ambient: &mut Ambient<'_>,
        user: ChainId,
        agency: ChainId,
        request: &CreateAgency,
    ) -> Result<(), DeviceError> {
        let parents = || vec![Parent { chain: agency, authority: ParentAuthority::Full }];
        let held = |role| vec![Member { subject: agency, role }];
        let kind = RecordType::RegistryRecord;
        let configuration =
            self.begin_document(ambient, DocumentKind::Configuration, kind, parents(), held(Role::Reader))?;
        let directory = self.begin_document(ambient, DocumentKind::Directory, kind, parents(), held(Role::Editor))?;
        let names = Record::new(kind)
            .with(directory::field(&agency), Value::text(request.name.trim()))
            .with(directory::field(&user), Value::text(request.person.trim()));
        self.write_record(ambient, &directory, &Record::new(kind), &names)?;
        self.write_line(&configuration)?;
        self.write_line(&directory)?;
        self.commit()?;
        self.bring_books()
    }
}
