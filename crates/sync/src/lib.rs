//! The sans-IO state machines of device and relay. They know no socket, no SQL, no JSON and no Automerge: inputs, time,
//! randomness and a store transaction come in, effects come out after the store has committed.

pub mod device;
pub mod people;
pub mod relay;
