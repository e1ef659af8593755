//! Whole devices and a whole relay in one process, over stores in memory and pipes: what people do, from founding to
//! conflict.

mod devices {
    mod cases;
    mod joining;
    mod world;
}
