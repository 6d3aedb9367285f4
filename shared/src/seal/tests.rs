//! What opens, and all that does not.

use super::*;
use crate::hash::hex;

/// Keys of tests: different, and the same in every run.
fn key(first: u8) -> Key {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(7).wrapping_add(first)).collect();
    Key::read(&hex(&bytes)).unwrap()
}

fn ring(names: &[(&str, u8)], active: &str) -> Keyring {
    let keys = names.iter().map(|(name, first)| ((*name).to_owned(), key(*first))).collect();
    Keyring::new(keys, active, names[0].0).unwrap()
}

fn args_of<'a>(id: &'a str, kind: &'a str) -> Binding<'a> {
    let what = What::Args { kind, version: 1, of: Owner::Job(id) };
    Binding { prefix: "brasa", queue: "default", what }
}

#[test]
fn what_was_sealed_opens_with_each_of_the_keys_and_by_no_other() {
    let (old, new) = (ring(&[("k1", 1)], "k1"), ring(&[("k1", 1), ("k2", 2)], "k2"));
    let binding = args_of("a", "mail.send");
    let before = old.seal(&binding, b"{\"to\":\"ann\"}").unwrap();
    let after = new.seal(&binding, b"{\"to\":\"ann\"}").unwrap();
    assert_eq!((before.key(), after.key()), ("k1", "k2"));
    assert_eq!(new.open(&binding, &before).unwrap(), b"{\"to\":\"ann\"}");
    assert_eq!(new.open(&binding, &after).unwrap(), b"{\"to\":\"ann\"}");
    assert_eq!(old.open(&binding, &after), Err(SealError::NoKey("k2".to_owned())));
    let same_name = ring(&[("k1", 9)], "k1");
    assert_eq!(same_name.open(&binding, &before), Err(SealError::Broken("k1".to_owned())));
}

#[test]
fn a_seal_opens_where_it_belongs_and_nowhere_else() {
    let ring = ring(&[("k1", 1)], "k1");
    let here = args_of("a", "mail.send");
    let sealed = ring.seal(&here, b"{}").unwrap();
    let args = |kind, version, of| What::Args { kind, version, of };
    let elsewhere = [
        args_of("b", "mail.send"),
        args_of("a", "sql.run"),
        Binding { queue: "low", ..here },
        Binding { prefix: "other", ..here },
        Binding { what: args("mail.send", 2, Owner::Job("a")), ..here },
        Binding { what: args("mail.send", 1, Owner::Key("a")), ..here },
        Binding { what: What::Result("a"), ..here },
        Binding { what: What::History("a"), ..here },
    ];
    for binding in elsewhere {
        assert_eq!(ring.open(&binding, &sealed), Err(SealError::Broken("k1".to_owned())), "{binding:?}");
    }
}

#[test]
fn each_of_ten_thousand_bits_is_held_by_the_seal() {
    let ring = ring(&[("k1", 1), ("k3", 3)], "k1");
    let binding = args_of("a", "mail.send");
    // Not compressed, so that every bit is one of the ciphertext.
    let inside: Vec<u8> = (0..1_200_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
    let sealed = ring.seal(&binding, &inside).unwrap();
    let bits = sealed.bytes().len() * 8;
    assert!(bits > 10_000);
    for bit in 0..bits {
        let mut flipped = sealed.bytes().to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let opened = Sealed::read(&flipped).and_then(|sealed| ring.open(&binding, &sealed));
        assert!(opened.is_err(), "bit {bit}");
    }
    for length in 0..sealed.bytes().len() {
        let opened = Sealed::read(&sealed.bytes()[..length]).and_then(|sealed| ring.open(&binding, &sealed));
        assert!(opened.is_err(), "cut to {length}");
    }
}

#[test]
fn what_is_sealed_twice_looks_unlike_and_is_as_long() {
    let ring = ring(&[("k1", 1), ("a-longer-name", 2)], "k1");
    let other = Keyring { active: "a-longer-name".to_owned(), ..ring.clone() };
    let long = "canary ".repeat(10_000);
    for inside in ["canary", long.as_str()] {
        let seals =
            [&ring, &ring, &other].map(|ring| ring.seal(&args_of("a", "x"), inside.as_bytes()).unwrap());
        assert!(seals[0] != seals[1] && seals[0] != seals[2]);
        assert!(seals.iter().all(|sealed| sealed.bytes().len() == seals[0].bytes().len()));
        assert!(
            seals.iter().all(|sealed| ring.open(&args_of("a", "x"), sealed).unwrap() == inside.as_bytes())
        );
        assert!(!String::from_utf8_lossy(seals[0].bytes()).contains("canary"));
    }
    assert!(ring.seal(&args_of("a", "x"), long.as_bytes()).unwrap().bytes().len() < 1_000);
    assert_eq!(ring.seal(&args_of("a", "x"), &vec![b'a'; INSIDE_MAX + 1]), Err(SealError::TooLong));
}

/// Made by a program in Python that was written from `docs/wire-format.md`.
#[test]
fn what_another_language_has_sealed_opens() {
    let text = include_str!("elsewhere.txt");
    let line =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
    let keys = BTreeMap::from([("k1".to_owned(), Key::read(line("key")).unwrap())]);
    let ring = Keyring::new(keys, "k1", "k1").unwrap();
    let sealed: Sealed = serde_json::from_str(&format!("\"{}\"", line("sealed"))).unwrap();
    let opened = ring.open(&args_of("order-1001", "sql.run"), &sealed).unwrap();
    assert_eq!(String::from_utf8(opened).unwrap(), line("args"));
    let unique = Binding { prefix: "brasa", queue: "default", what: What::Unique("order-1001") };
    assert_eq!(ring.hide(&unique).unwrap(), line("unique"));
    assert_eq!(ring.prints(), [("k1".to_owned(), line("print").to_owned())]);
}

#[test]
fn a_hidden_unique_key_is_the_same_for_the_same_and_stays_so_when_the_active_key_changes() {
    let (before, after) = (ring(&[("k1", 1)], "k1"), ring(&[("k1", 1), ("k2", 2)], "k2"));
    let of = |queue, key| Binding { prefix: "brasa", queue, what: What::Unique(key) };
    let hidden = before.hide(&of("default", "ann@example.com")).unwrap();
    assert_eq!(after.hide(&of("default", "ann@example.com")).unwrap(), hidden);
    assert_ne!(before.hide(&of("low", "ann@example.com")).unwrap(), hidden);
    assert_ne!(before.hide(&of("default", "bob@example.com")).unwrap(), hidden);
    assert!(is_hidden(&hidden) && !is_hidden("ann@example.com") && !is_hidden("~ann"));
}

#[test]
fn a_key_that_can_be_guessed_is_none_and_no_key_is_printed() {
    assert!(Key::read(&Key::fresh()).is_ok());
    for (text, error) in [
        ("", KeyError::Form),
        ("hunter2", KeyError::Form),
        (&"é".repeat(32), KeyError::Form),
        (&"0".repeat(64), KeyError::Weak),
        (&"0123456789abcdef".repeat(4), KeyError::Weak),
    ] {
        assert_eq!(Key::read(text).unwrap_err(), error, "{text}");
    }
    let text = Key::fresh();
    let ring = Keyring::new(BTreeMap::from([("k".to_owned(), Key::read(&text).unwrap())]), "k", "k").unwrap();
    assert!(!format!("{ring:?}{:?}", ring.keys).contains(&text[..16]));
}

#[test]
fn keys_that_make_no_sense_make_no_keyring() {
    let of = |names: &[(&str, u8)], active: &str| {
        let keys = names.iter().map(|(name, first)| ((*name).to_owned(), key(*first))).collect();
        Keyring::new(keys, active, active).unwrap_err()
    };
    assert_eq!(of(&[("k1", 1)], "k2"), KeyringError::NoKey("k2".to_owned()));
    assert_eq!(of(&[("k1", 1), ("k2", 1)], "k1"), KeyringError::Same("k1".to_owned(), "k2".to_owned()));
    assert_eq!(of(&[("a-name-of-17-byte", 1)], "k1"), KeyringError::Name("a-name-of-17-byte".to_owned()));
}
