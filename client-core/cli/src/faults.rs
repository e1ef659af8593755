//! What each use case's errors mean to a script.

use vereda_client_core::{
    access::{
        AssignError, CancelInviteError, DecideError, DismissError, EraseError, Hindrance, LeaveError, LowerError,
        ReferError, RevokeError, SetRetentionError, WhoError, WithdrawError,
    },
    cases::{CreateCaseError, EditCaseError, HistoryError, ResolveError, plain::ReadEditError},
    configuration::ApplyConfigurationError,
    device::{DeviceError, DocumentError},
    devices::{LinkError, NameDeviceError, ParseRecoveryKeyError, RecoveryError, RemoveDeviceError},
    directory::FindError,
    identity::{CreateAgencyError, CreateTeamError, InviteError, JoinError},
    link::ParseLinkError,
    review::{AdoptError, DiscardError},
    sections::{CreateSectionError, EditSectionError, ShowSectionError},
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
            InviteError::Hindered(error) => error.into(),
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
            CreateCaseError::SeveralTeams => Self::usage(format!("{error}, with --team NAME (`vereda team list`)")),
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

impl From<Hindrance> for Fault {
    fn from(error: Hindrance) -> Self {
        match error {
            Hindrance::Unknown { .. } => Self::not_found(error),
            error => Self::failed(error),
        }
    }
}

impl From<DecideError> for Fault {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Hindered(error) => error.into(),
            DecideError::Device(error) => error.into(),
        }
    }
}

/// Errors of decisions: what stands in the way of one is told by [`DecideError`], all else by what was given.
macro_rules! of_decision {
    ($($error:ty: $decide:path),+ $(,)?) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                match error {
                    $decide(error) => error.into(),
                    error => Self::unusable(error),
                }
            }
        }
    )+};
}

of_decision!(
    AdoptError: AdoptError::Decide,
    AssignError: AssignError::Decide,
    DiscardError: DiscardError::Decide,
    EraseError: EraseError::Decide,
    LeaveError: LeaveError::Decide,
    LowerError: LowerError::Decide,
    ReferError: ReferError::Decide,
    RevokeError: RevokeError::Decide,
    SetRetentionError: SetRetentionError::Decide,
    WithdrawError: WithdrawError::Decide,
);

impl From<CancelInviteError> for Fault {
    fn from(error: CancelInviteError) -> Self {
        match error {
            CancelInviteError::Decide(error) => error.into(),
            CancelInviteError::NoInvite => Self::not_found(error),
        }
    }
}

impl From<DismissError> for Fault {
    fn from(error: DismissError) -> Self {
        match error {
            DismissError::Device(error) => error.into(),
            DismissError::NotFailed => Self::not_found(error),
        }
    }
}

impl From<WhoError> for Fault {
    fn from(error: WhoError) -> Self {
        match error {
            WhoError::Device(error) => error.into(),
            WhoError::Unknown { .. } => Self::not_found(error),
        }
    }
}

impl From<ShowSectionError> for Fault {
    fn from(error: ShowSectionError) -> Self {
        match error {
            ShowSectionError::Device(error) => error.into(),
            error => Self::not_found(error),
        }
    }
}

impl From<EditSectionError> for Fault {
    fn from(error: EditSectionError) -> Self {
        match error {
            EditSectionError::Edit(error) => error.into(),
            EditSectionError::NotASection { .. } => Self::not_found(error),
            EditSectionError::Reserved => Self::unusable(error),
        }
    }
}

impl From<CreateSectionError> for Fault {
    fn from(error: CreateSectionError) -> Self {
        match error {
            CreateSectionError::Device(error) => error.into(),
            CreateSectionError::Edit(error) => error.into(),
            CreateSectionError::Read(error) => error.into(),
            CreateSectionError::Hindered(error) => error.into(),
            CreateSectionError::NotAllowed => Self::failed(error),
            error => Self::unusable(error),
        }
    }
}
