//! The relay's machine over the memory store, with real keys and real frames.

mod relay {
    mod authentication;
    mod chunks;
    mod failure;
    mod operations;
    mod room;
    mod streaming;
}
