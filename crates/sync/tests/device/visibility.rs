//! Documents that become visible later.

use vereda_base::{ChainId, Incarnation};
use vereda_policy::{Create, DocumentKind, Member, Parent, ParentAuthority, Role};
use vereda_protocol::{Chunk, Down, PolicyEntry, Position, Up};
use vereda_sync::device::{Event, StoreError, SyncState, Table};

use crate::{
    rig::Rig,
    world::{World, document_epoch, grant, link_of},
};

/// A section that Amina wrote two chunks in before Chipo was granted access.
struct Section {
    id: ChainId,
    create: PolicyEntry,
    grant: PolicyEntry,
    chunks: Vec<Chunk>,
}

fn section(rig: &mut Rig) -> Section {
    let (amina, chipo) = (rig.world.amina.clone(), rig.world.chipo.user);
    let parents = vec![Parent { chain: rig.world.team, authority: ParentAuthority::RevokeOnly }];
    let members = vec![Member { subject: amina.user, role: Role::Manager }];
    let create = Create::document(DocumentKind::Section, [3; 16], parents, members, document_epoch());
    let id = rig.world.begin(&amina.key, create);
    let create = rig.world.entries.last().unwrap().clone();
    let first = rig.world.chunk_of(&id, &amina, Incarnation(1), 0, None, &[]);
    let links = [link_of(&first)];
    let second = rig.world.chunk_of(&id, &amina, Incarnation(1), 1, Some(links[0]), &links);
    let grant = rig.world.append(&amina.key, &id, grant(chipo, Role::Editor));
    Section { id, create, grant, chunks: vec![first, second] }
}

#[test]
fn a_newly_visible_document_is_fetched_in_parts_and_goes_on_where_it_stopped() {
    let mut rig = Rig::caught_up(World::found());
    let Section { id, create, grant, chunks } = section(&mut rig);
    let upto = Position(20);
    rig.down(&Down::Policy { entries: vec![PolicyEntry::Visible { document: id, upto }, grant], cursor: Position(21) });
    assert_eq!(rig.sent.pop_front(), Some(Up::Backfill { document: id, after: Position(0), upto }));
    assert!(!rig.machine.is_settled());
    let state = rig.machine.explain(&rig.store, &id).unwrap();
    assert_eq!(state, SyncState::Backfilling { after: Position(0), upto });

    let part = Down::BackfillPart {
        document: id,
        entries: vec![create],
        chunks: vec![chunks[0].clone()],
        cursor: Position(10),
    };
    rig.down(&part);
    assert_eq!(rig.machine.documents(&rig.store).unwrap(), [rig.world.case, id]);
    assert_eq!(rig.machine.chunk_count(&rig.store, &id).unwrap(), 1);

    let mut rig = rig.restart();
    rig.connect();
    assert!(rig.sent.is_empty());
    rig.down(&Down::CaughtUp { cursor: Position(21) });
    assert_eq!(rig.sent.pop_front(), Some(Up::Backfill { document: id, after: Position(10), upto }));
    let part = Down::BackfillPart { document: id, entries: vec![], chunks: vec![chunks[1].clone()], cursor: upto };
    rig.down(&part);
    assert!(rig.saw(&Event::BackfillDone { document: id }));
    assert_eq!(rig.machine.chunk_count(&rig.store, &id).unwrap(), 2);
    assert_eq!(rig.machine.explain(&rig.store, &id).unwrap(), SyncState::Acknowledged);
    assert!(rig.machine.is_settled());
}

#[test]
fn live_chunks_that_overtake_a_backfill_wait_for_it() {
    let mut rig = Rig::caught_up(World::found());
    let Section { id, create, grant, chunks } = section(&mut rig);
    let upto = Position(20);
    rig.down(&Down::Policy { entries: vec![PolicyEntry::Visible { document: id, upto }, grant], cursor: Position(21) });
    rig.content(&[&chunks[1]], 22);
    assert_eq!(rig.machine.chunk_count(&rig.store, &id).unwrap(), 0);
    let chunks = vec![chunks[0].clone()];
    rig.down(&Down::BackfillPart { document: id, entries: vec![create], chunks, cursor: upto });
    assert_eq!(rig.machine.chunk_count(&rig.store, &id).unwrap(), 2);
}

#[test]
fn one_document_is_fetched_at_a_time() {
    let mut rig = Rig::caught_up(World::found());
    let (one, two) = (ChainId([1; 32]), ChainId([2; 32]));
    let visible = |document| PolicyEntry::Visible { document, upto: Position(20) };
    rig.down(&Down::Policy { entries: vec![visible(one), visible(two)], cursor: Position(21) });
    assert!(matches!(rig.sent.pop_front(), Some(Up::Backfill { document, .. }) if document == one));
    assert!(rig.sent.is_empty());
    rig.down(&Down::BackfillPart { document: one, entries: vec![], chunks: vec![], cursor: Position(20) });
    assert!(matches!(rig.sent.pop_front(), Some(Up::Backfill { document, .. }) if document == two));
}

#[test]
fn a_failed_write_undoes_the_whole_transaction_and_the_connection_is_given_up() {
    use vereda_sync::device::{DeviceStore, Disconnect, Effect, Input, MemoryStore};

    /// Has room for so many puts.
    struct Filling(MemoryStore, usize);

    impl DeviceStore for Filling {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.get(table, key)
        }
        fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
            self.1 = self.1.checked_sub(1).ok_or(StoreError::Full)?;
            self.0.put(table, group, key, value)
        }
        fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
            self.0.delete(table, key)
        }
        fn scan(
            &self,
            table: Table,
            group: Option<&[u8]>,
            each: &mut vereda_sync::device::store::EachRow<'_>,
        ) -> Result<(), StoreError> {
            self.0.scan(table, group, each)
        }
        fn commit(&mut self) -> Result<(), StoreError> {
            self.0.commit()
        }
        fn rollback(&mut self) {
            self.0.rollback();
        }
    }
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.seal();
    for room in 0..5 {
        let mut store = Filling(rig.store.clone(), room);
        let config = crate::rig::config(&rig.world, &rig.world.chipo);
        let mut machine = vereda_sync::device::DeviceMachine::open(config, &mut store).unwrap();
        machine.handle_input(rig.now, Input::Start, &mut store, &mut rig.rng);
        let started = machine.commit(&mut store);
        assert_eq!(started.effects, [Effect::Connect]);
        let enqueued = machine.enqueue_chunk(&mut store, &chunk);
        let committed = machine.commit(&mut store);
        assert_eq!(committed.failure, Some(StoreError::Full), "{room} {enqueued:?}");
        let told = committed.effects.iter().any(|effect| {
            matches!(effect, Effect::Event(Event::Disconnected { reason: Disconnect::Store, retry_at: Some(_) }))
        });
        assert!(told, "{:?}", committed.effects);
        assert_eq!(machine.outbox(&store).unwrap(), []);
        assert_eq!(machine.chunk_count(&store, &rig.world.case).unwrap(), 0);
    }
}
