//! What every [`DeviceStore`](super::DeviceStore) must do, as tests that each backend runs.

/// Makes a module of tests out of two expressions: `$open` opens an empty store, `$reopen` turns a store into the same
/// store after a crash of the process.
///
/// ```text
/// vereda_sync::device_store_conformance!(MemoryStore::new(), |store| reopen(store));
/// ```
#[macro_export]
macro_rules! device_store_conformance {
    ($open:expr, $reopen:expr) => {
        #[cfg(test)]
        mod device_store_conformance {
            use std::ops::ControlFlow;

            use $crate::device::store::{DeviceStore, Table};

            #[allow(unused_imports)]
            use super::*;

            const A: Table = Table("conformance_a");
            const B: Table = Table("conformance_b");

            fn rows(store: &impl DeviceStore, table: Table, group: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
                let mut rows = Vec::new();
                store
                    .scan(table, group, &mut |key, value| {
                        rows.push((key.to_vec(), value.to_vec()));
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                rows
            }

            fn row(key: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
                (key.to_vec(), value.to_vec())
            }

            #[test]
            fn reads_see_the_open_transaction() {
                let mut store = $open;
                store.put(A, b"g", b"k", b"one").unwrap();
                assert_eq!(store.get(A, b"k").unwrap(), Some(b"one".to_vec()));
                assert_eq!(rows(&store, A, Some(b"g")), [row(b"k", b"one")]);
                store.delete(A, b"k").unwrap();
                assert_eq!(store.get(A, b"k").unwrap(), None);
            }

            #[test]
            fn tables_and_groups_do_not_mix() {
                let mut store = $open;
                store.put(A, b"g", b"k", b"one").unwrap();
                store.put(B, b"g", b"k", b"two").unwrap();
                store.put(A, b"h", b"l", b"three").unwrap();
                assert_eq!(store.get(B, b"k").unwrap(), Some(b"two".to_vec()));
                assert_eq!(rows(&store, A, Some(b"h")), [row(b"l", b"three")]);
                assert_eq!(rows(&store, A, None), [row(b"k", b"one"), row(b"l", b"three")]);
                assert_eq!(rows(&store, A, Some(b"none")), []);
            }

            #[test]
            fn a_replaced_row_keeps_its_place_and_takes_the_new_group() {
                let mut store = $open;
                for key in [b"c", b"a", b"b"] {
                    store.put(A, b"g", key, b"old").unwrap();
                }
                store.commit().unwrap();
                store.put(A, b"h", b"c", b"new").unwrap();
                assert_eq!(rows(&store, A, None), [row(b"c", b"new"), row(b"a", b"old"), row(b"b", b"old")]);
                assert_eq!(rows(&store, A, Some(b"h")), [row(b"c", b"new")]);
                assert_eq!(rows(&store, A, Some(b"g")), [row(b"a", b"old"), row(b"b", b"old")]);
            }

            #[test]
            fn a_row_put_again_after_its_removal_comes_last() {
                let mut store = $open;
                store.put(A, b"g", b"a", b"1").unwrap();
                store.put(A, b"g", b"b", b"2").unwrap();
                store.delete(A, b"a").unwrap();
                store.put(A, b"g", b"a", b"3").unwrap();
                assert_eq!(rows(&store, A, None), [row(b"b", b"2"), row(b"a", b"3")]);
            }

            #[test]
            fn a_rollback_drops_everything_since_the_last_commit() {
                let mut store = $open;
                store.put(A, b"g", b"k", b"kept").unwrap();
                store.commit().unwrap();
                store.put(A, b"g", b"k", b"dropped").unwrap();
                store.put(A, b"g", b"l", b"dropped").unwrap();
                store.rollback();
                assert_eq!(rows(&store, A, None), [row(b"k", b"kept")]);
                store.put(A, b"g", b"m", b"after").unwrap();
                store.commit().unwrap();
                assert_eq!(rows(&store, A, None), [row(b"k", b"kept"), row(b"m", b"after")]);
            }

            #[test]
            fn a_crash_keeps_what_was_committed_and_loses_the_rest() {
                let mut store = $open;
                store.put(A, b"g", b"k", b"kept").unwrap();
                store.delete(A, b"never there").unwrap();
                store.commit().unwrap();
                store.commit().unwrap();
                store.put(A, b"g", b"l", b"lost").unwrap();
                store.delete(A, b"k").unwrap();
                let reopen = $reopen;
                let store = reopen(store);
                assert_eq!(rows(&store, A, None), [row(b"k", b"kept")]);
            }

            #[test]
            fn a_scan_stops_where_it_is_told_to() {
                let mut store = $open;
                for key in [b"a", b"b", b"c"] {
                    store.put(A, b"g", key, b"").unwrap();
                }
                let mut seen = 0;
                store
                    .scan(A, None, &mut |_, _| {
                        seen += 1;
                        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    })
                    .unwrap();
                assert_eq!(seen, 2);
            }

            #[test]
            fn empty_and_large_keys_and_values_are_kept_as_they_are() {
                let mut store = $open;
                let large = vec![7; 1 << 20];
                store.put(A, b"", b"", b"").unwrap();
                store.put(A, &large[..4_096], &large[..4_096], &large).unwrap();
                store.commit().unwrap();
                assert_eq!(store.get(A, b"").unwrap(), Some(Vec::new()));
                assert_eq!(store.get(A, &large[..4_096]).unwrap(), Some(large));
            }
        }
    };
}
