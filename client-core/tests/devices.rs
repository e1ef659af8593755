//! Whole devices and a whole relay in one process, over stores in memory and pipes: what people do, from founding to
//! conflict.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod devices {
    mod access;
    mod beacons;
    mod cases;
    mod erasing;
    mod joining;
    mod linking;
    mod loading;
    mod names;
    mod recovering;
    mod removing;
    mod returning;
    mod review;
    mod rotation;
    mod sections;
    mod workload;
    mod world;
}
