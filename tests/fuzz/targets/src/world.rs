//! The world of the golden bytes, made once.

use std::sync::LazyLock;

use vereda_vectors::world::World;

/// Borrows the world.
pub(crate) fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(|| World::new().expect("the world of the golden bytes"));
    &WORLD
}
