//! The reviewed table of dependency edges: adding a line here is a decision about the shape of the house.

/// What one package may depend on.
pub(crate) struct Edges {
    /// The package.
    pub(crate) package: &'static str,
    /// What it may depend on.
    pub(crate) normal: &'static [&'static str],
    /// What its tests may depend on besides.
    pub(crate) dev: &'static [&'static str],
    /// Whether `normal` and `dev` list libraries of others too.
    pub(crate) external: External,
}

/// How libraries of others are treated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum External {
    /// Each must be listed.
    Listed,
    /// Any that is not behind a door.
    AnyButDoors,
}

/// A library that only some crates may name.
pub(crate) struct Door {
    /// The library.
    pub(crate) library: &'static str,
    /// Who may depend on it.
    pub(crate) crates: &'static [&'static str],
    /// Whose tests may, besides.
    pub(crate) tests: &'static [&'static str],
}

/// Libraries that a crate must not reach by any chain of ordinary dependencies.
pub(crate) struct Unreachable {
    /// The crate.
    pub(crate) from: &'static str,
    /// What it must work without.
    pub(crate) libraries: &'static [&'static str],
}

const fn core(package: &'static str, normal: &'static [&'static str], dev: &'static [&'static str]) -> Edges {
    Edges { package, normal, dev, external: External::Listed }
}

const fn outer(package: &'static str, normal: &'static [&'static str], dev: &'static [&'static str]) -> Edges {
    Edges { package, normal, dev, external: External::AnyButDoors }
}

/// Every package of ours, for those that put everything together.
const ALL: &[&str] = &[
    "vereda-base",
    "vereda-client-core",
    "vereda-crypto",
    "vereda-document",
    "vereda-interchange",
    "vereda-policy",
    "vereda-protocol",
    "vereda-records",
    "vereda-relay",
    "vereda-sync",
];

/// The edges, from the leaf outwards.
pub(crate) const TABLE: &[Edges] = &[
    core(
        "vereda-base",
        &["blake3", "data-encoding", "hex", "minicbor", "serde", "thiserror", "zeroize"],
        &["proptest", "serde_json"],
    ),
    core(
        "vereda-crypto",
        &[
            "vereda-base",
            "argon2",
            "blake3",
            "chacha20poly1305",
            "ed25519-dalek",
            "hkdf",
            "hpke",
            "minicbor",
            "rand_core",
            "sha2",
            "subtle",
            "thiserror",
            "zeroize",
        ],
        &["hex", "proptest", "rand_chacha"],
    ),
    core(
        "vereda-policy",
        &["vereda-base", "vereda-crypto", "minicbor", "rand_core", "thiserror"],
        &["proptest", "rand_chacha"],
    ),
    core(
        "vereda-protocol",
        &["vereda-base", "vereda-crypto", "vereda-policy", "minicbor", "rand_core", "thiserror"],
        &["proptest", "rand_chacha"],
    ),
    core(
        "vereda-sync",
        &["vereda-base", "vereda-crypto", "vereda-policy", "vereda-protocol", "minicbor", "rand_core", "thiserror"],
        &["proptest", "rand_chacha"],
    ),
    core("vereda-records", &["vereda-base", "jiff", "serde", "serde_json", "thiserror"], &["proptest"]),
    core(
        "vereda-document",
        &["vereda-base", "vereda-records", "automerge", "jiff", "minicbor", "serde_json", "sha2", "thiserror", "zstd"],
        &["proptest", "rand_chacha", "rand_core", "hex"],
    ),
    core(
        "vereda-interchange",
        &["vereda-base", "vereda-records", "jiff", "serde", "serde_json", "thiserror"],
        &["proptest"],
    ),
    outer(
        "vereda-client-core",
        &[
            "vereda-base",
            "vereda-crypto",
            "vereda-policy",
            "vereda-protocol",
            "vereda-sync",
            "vereda-records",
            "vereda-document",
            "vereda-interchange",
        ],
        &["vereda-faultfs"],
    ),
    outer("vereda", &["vereda-base", "vereda-client-core", "vereda-records"], &[]),
    outer(
        "vereda-relay",
        &["vereda-base", "vereda-crypto", "vereda-policy", "vereda-protocol", "vereda-sync"],
        &["vereda-faultfs"],
    ),
    outer("vereda-faultfs", &[], &[]),
    outer("vereda-simulator", ALL, &[]),
    outer("vereda-vectors", ALL, &[]),
    outer(
        "vereda-fuzz-targets",
        &[
            "vereda-base",
            "vereda-client-core",
            "vereda-crypto",
            "vereda-document",
            "vereda-interchange",
            "vereda-policy",
            "vereda-protocol",
            "vereda-records",
            "vereda-sync",
            "vereda-vectors",
        ],
        &[],
    ),
    outer("vereda-e2e", ALL, &["vereda-faultfs"]),
    outer("vereda-adversary", ALL, &[]),
    outer("vereda-bench", ALL, &[]),
    core("xtask", &["anyhow", "clap", "proc-macro2", "serde", "serde_json", "syn"], &[]),
];

/// The doors: one owner per dependency, as few as can be.
pub(crate) const DOORS: &[Door] = &[
    Door { library: "automerge", crates: &["vereda-document"], tests: &[] },
    Door {
        library: "rusqlite",
        crates: &["vereda-client-core", "vereda-faultfs", "vereda-relay"],
        tests: &["vereda-e2e", "vereda-simulator"],
    },
    Door { library: "axum", crates: &["vereda-relay"], tests: &[] },
    Door { library: "argon2", crates: &["vereda-crypto"], tests: &[] },
    Door { library: "chacha20poly1305", crates: &["vereda-crypto"], tests: &[] },
    Door { library: "ed25519-dalek", crates: &["vereda-crypto"], tests: &[] },
    Door { library: "hkdf", crates: &["vereda-crypto"], tests: &[] },
    Door { library: "hpke", crates: &["vereda-crypto"], tests: &[] },
    Door { library: "zstd", crates: &["vereda-document"], tests: &["vereda-e2e"] },
    Door {
        library: "tokio",
        crates: &["vereda-adversary", "vereda-client-core", "vereda", "vereda-relay", "vereda-e2e", "vereda-bench"],
        tests: &[],
    },
    Door {
        library: "tokio-tungstenite",
        crates: &["vereda-adversary", "vereda-client-core"],
        tests: &["vereda-relay", "vereda-e2e"],
    },
    Door { library: "getrandom", crates: &["vereda-client-core", "vereda-relay"], tests: &[] },
    Door {
        library: "anyhow",
        crates: &[
            "vereda",
            "vereda-relay",
            "vereda-e2e",
            "vereda-bench",
            "vereda-simulator",
            "vereda-vectors",
            "xtask",
        ],
        tests: &[],
    },
    Door {
        library: "clap",
        crates: &[
            "vereda",
            "vereda-relay",
            "vereda-e2e",
            "vereda-bench",
            "vereda-simulator",
            "vereda-vectors",
            "xtask",
        ],
        tests: &[],
    },
];

const RUNTIME_SQL_AND_DOCUMENTS: &[&str] = &["axum", "tokio", "rusqlite", "automerge"];

/// What must not be reachable at all.
pub(crate) const UNREACHABLE: &[Unreachable] = &[
    Unreachable { from: "vereda-base", libraries: RUNTIME_SQL_AND_DOCUMENTS },
    Unreachable { from: "vereda-crypto", libraries: RUNTIME_SQL_AND_DOCUMENTS },
    Unreachable { from: "vereda-policy", libraries: RUNTIME_SQL_AND_DOCUMENTS },
    Unreachable { from: "vereda-protocol", libraries: RUNTIME_SQL_AND_DOCUMENTS },
    Unreachable { from: "vereda-sync", libraries: &["axum", "tokio", "rusqlite", "automerge", "serde_json"] },
    Unreachable { from: "vereda-records", libraries: RUNTIME_SQL_AND_DOCUMENTS },
    Unreachable { from: "vereda-document", libraries: &["axum", "tokio", "rusqlite", "vereda-crypto", "vereda-sync"] },
    Unreachable { from: "vereda-interchange", libraries: RUNTIME_SQL_AND_DOCUMENTS },
    Unreachable {
        from: "vereda-relay",
        libraries: &[
            "automerge",
            "vereda-document",
            "vereda-records",
            "vereda-interchange",
            "vereda-client-core",
            "zstd",
        ],
    },
];
