//! One word for one thing, as scripts and people read it.

use vereda_policy::Role;

/// The word for a role.
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Editor => "editor",
        Role::Manager => "manager",
    }
}

/// Reads the word for a role.
pub fn read_role(text: &str) -> Option<Role> {
    [Role::Reader, Role::Editor, Role::Manager].into_iter().find(|one| role(*one) == text.to_lowercase())
}

/// Serialises as people read it.
pub(crate) fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
