//! A seeded cluster of real devices and a real relay in one thread, on a faulty network, disk and clock, beside a
//! reference model. Equal seeds give equal worlds, to the last line of their traces.
//!
//! A [`plan::Plan`] says what a seed asks for, [`world::World`] lets it happen, [`check`] says what is wrong at the end.
//! [`mutation::Mutation`] lists faults that the checkers must flag.

pub mod breach;
pub mod check;
pub mod disk;
pub mod draw;
pub mod intent;
pub mod keys;
pub mod knowledge;
pub mod malice;
pub mod model;
pub mod mutation;
pub mod network;
pub mod plan;
pub mod proxy;
pub mod relay_disk;
pub mod run;
pub mod trace;
pub mod world;
