use super::*;

#[test]
fn argon2id_gives_the_known_answer_of_rfc_9106() {
    // RFC 9106 §5.3; guards algorithm and version, below our own floor.
    let params = argon2::ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let argon = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    argon.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    assert_eq!(hex::encode(tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

#[test]
fn the_key_depends_on_passphrase_salt_cost_and_keystore() {
    let derive = |passphrase: &[u8], salt, params, keystore| {
        *derive_kek(passphrase, &[salt; 32], params, keystore).unwrap().expose()
    };
    let floor = KdfParams::FLOOR;
    let costlier = KdfParams::new(19 << 10, 3, 1).unwrap();
    let keys = [
        derive(b"correct horse", 1, floor, None),
        derive(b"correct house", 1, floor, None),
        derive(b"correct horse", 2, floor, None),
        derive(b"correct horse", 1, costlier, None),
        derive(b"correct horse", 1, floor, Some(b"")),
        derive(b"correct horse", 1, floor, Some(&[9; 32])),
    ];
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), keys.len());
    assert_eq!(keys[0], derive(b"correct horse", 1, floor, None));
    assert_eq!(hex::encode(keys[0]), "ebab150d1686a1464c6cdaa9cf820f5e81650cbe1c47245aa14b274bf3ac5867");
}

#[test]
fn parameters_outside_floor_and_ceiling_are_refused_wherever_they_come_from() {
    #[derive(Encode)]
    #[cbor(array)]
    struct Raw(#[n(0)] u32, #[n(1)] u32, #[n(2)] u32);

    let check = |memory_kib, passes, lanes, fits: bool| {
        let bytes = vereda_base::encode(&Raw(memory_kib, passes, lanes));
        let decoded = vereda_base::decode::<KdfParams>(&bytes, 64);
        assert_eq!(decoded.is_ok(), fits, "{memory_kib} {passes} {lanes}");
        assert_eq!(decoded.ok(), KdfParams::new(memory_kib, passes, lanes).ok());
    };
    check(19 << 10, 2, 1, true);
    check(1 << 20, 64, 16, true);
    check((19 << 10) - 1, 2, 1, false);
    check(19 << 10, 1, 1, false);
    check(19 << 10, 2, 0, false);
    check((1 << 20) + 1, 2, 1, false);
    check(u32::MAX, 2, 1, false);
    check(19 << 10, 65, 1, false);
    check(19 << 10, 2, 17, false);
}

#[test]
fn calibration_takes_what_the_device_affords_and_never_less_than_the_floor() {
    let check = |nanos_per_kib_and_pass: u64, target_ms, max_memory_kib, expected: (u32, u32)| {
        let mut measured = 0;
        let found = calibrate(
            |params| {
                measured += 1;
                let work = u64::from(params.memory_kib()) * u64::from(params.passes());
                Duration::from_nanos(work * nanos_per_kib_and_pass)
            },
            Duration::from_millis(target_ms),
            max_memory_kib,
        );
        assert_eq!((found.memory_kib(), found.passes(), found.lanes()), (expected.0, expected.1, 1));
        assert!(measured <= 12, "{measured}");
    };
    check(900, 1, 64 << 10, (19 << 10, 2)); // too slow for its target: the floor
    check(900, 500, 64 << 10, (64 << 10, 8)); // memory to the bound given, then passes
    check(900, 200, 1 << 20, (76 << 10, 2)); // memory as far as time allows
    check(900, 500, 0, (19 << 10, 28)); // a bound below the floor does not lower it
    check(0, 500, u32::MAX, (1 << 20, 64)); // a clock that stands still: the ceiling
}

#[test]
fn calibration_survives_a_clock_that_lies_about_more_passes() {
    let found = calibrate(
        |params| Duration::from_millis(if params.passes() > 2 { 10_000 } else { 400 }),
        Duration::from_millis(500),
        19 << 10,
    );
    assert_eq!(found, KdfParams::FLOOR);
}
