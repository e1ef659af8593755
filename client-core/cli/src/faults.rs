//! What each use case's errors mean to a script.

use vereda_client_core::{
    cases::{CreateCaseError, EditCaseError, HistoryError, ResolveError, plain::ReadEditError},
    configuration::ApplyConfigurationError,
    device::{DeviceError, DocumentError},
    devices::{LinkError, NameDeviceError, ParseRecoveryKeyError, RecoveryError, RemoveDeviceError},
    directory::FindError,
    identity::{CreateAgencyError, CreateTeamError, InviteError, JoinError},
    link::ParseLinkError,
};

use crate::fault::{Fault, FaultKind};

impl From<DeviceError> for Fault {
    fn from(error: DeviceError) -> Self {
        let kind = match &error {
            DeviceError::Document(
                DocumentError::Unknown { .. } | DocumentError::Locked { .. } | DocumentError::Empty { .. },
            ) => FaultKind::NotFound,
            DeviceError::Document(DocumentError::Edit { .. }) => FaultKind::Unusable,
            _ => FaultKind::Failed,
        };
        Self::new(kind, error)
    }
}

impl From<FindError> for Fault {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Store(error) => Self::failed(error),
            error => Self::not_found(error),
        }
    }
}

impl From<ParseLinkError> for Fault {
    fn from(error: ParseLinkError) -> Self {
        Self::unusable(error)
    }
}

impl From<CreateAgencyError> for Fault {
    fn from(error: CreateAgencyError) -> Self {
        match error {
            CreateAgencyError::Device(error) => error.into(),
            CreateAgencyError::Name => Self::unusable(error),
            error => Self::failed(error),
        }
    }
}

impl From<CreateTeamError> for Fault {
    fn from(error: CreateTeamError) -> Self {
        match error {
            CreateTeamError::Device(error) => error.into(),
            CreateTeamError::NotAllowed => Self::failed(error),
            error => Self::unusable(error),
        }
    }
}

impl From<InviteError> for Fault {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::Device(error) => error.into(),
            InviteError::NotAllowed => Self::failed(error),
            error => Self::unusable(error),
        }
    }
}

impl From<JoinError> for Fault {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Device(error) => error.into(),
            JoinError::Taken => Self::failed(error),
            error => Self::unusable(error),
        }
    }
}

impl From<LinkError> for Fault {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Device(error) => error.into(),
            LinkError::NotMember => Self::pending(error),
            LinkError::Nothing => Self::not_found(error),
            LinkError::Taken | LinkError::CodesDiffer => Self::failed(error),
            error => Self::unusable(error),
        }
    }
}

impl From<RemoveDeviceError> for Fault {
    fn from(error: RemoveDeviceError) -> Self {
        match error {
            RemoveDeviceError::Device(error) => error.into(),
            RemoveDeviceError::Unknown | RemoveDeviceError::Removed => Self::not_found(error),
            error => Self::failed(error),
        }
    }
}

impl From<RecoveryError> for Fault {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Device(error) => error.into(),
            RecoveryError::NotMember => Self::pending(error),
            RecoveryError::Name => Self::unusable(error),
            error => Self::failed(error),
        }
    }
}

impl From<ParseRecoveryKeyError> for Fault {
    fn from(error: ParseRecoveryKeyError) -> Self {
        Self::unusable(error)
    }
}

impl From<NameDeviceError> for Fault {
    fn from(error: NameDeviceError) -> Self {
        match error {
            NameDeviceError::Device(error) => error.into(),
            NameDeviceError::NotOwn => Self::not_found(error),
            NameDeviceError::Name => Self::unusable(error),
        }
    }
}

impl From<ReadEditError> for Fault {
    fn from(error: ReadEditError) -> Self {
        Self::unusable(error)
    }
}

impl From<EditCaseError> for Fault {
    fn from(error: EditCaseError) -> Self {
        match error {
            EditCaseError::Device(error) => error.into(),
            error => Self::unusable(error),
        }
    }
}

impl From<CreateCaseError> for Fault {
    fn from(error: CreateCaseError) -> Self {
        match error {
            CreateCaseError::Device(error) => error.into(),
            CreateCaseError::Edit(error) => error.into(),
            CreateCaseError::Read(error) => error.into(),
            CreateCaseError::NoTeam | CreateCaseError::NotThisTeam => Self::not_found(error),
            CreateCaseError::SeveralTeams => Self::usage(error),
            CreateCaseError::NoKey => Self::pending(error),
        }
    }
}

impl From<ResolveError> for Fault {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Device(error) => error.into(),
            ResolveError::Edit(error) => error.into(),
            ResolveError::NoConflict => Self::not_found(error),
            error => Self::unusable(error),
        }
    }
}

impl From<HistoryError> for Fault {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Device(error) => error.into(),
            HistoryError::Path(error) => error.into(),
        }
    }
}

impl From<ApplyConfigurationError> for Fault {
    fn from(error: ApplyConfigurationError) -> Self {
        match error {
            ApplyConfigurationError::Device(error) => error.into(),
            error => Self::failed(error),
        }
    }
}
