//! `[encryption]`: where keys are, which does what, and what makes no sense.

use super::{EXAMPLE, assert_problems, parse};

#[test]
fn keys_are_read_from_where_the_file_says() {
    let keyring = parse(EXAMPLE).unwrap().encryption.keyring.unwrap();
    assert_eq!((keyring.active(), keyring.unique(), keyring.is_required()), ("k2", "k1", true));
    assert_eq!(keyring.prints().len(), 2);
    assert!(parse("").unwrap().encryption.keyring.is_none());
}

#[test]
fn what_makes_no_sense_of_keys() {
    let of = |name: &str, variable: &str| format!("[encryption.keys.{name}]\nkey = \"${{{variable}}}\"\n");
    let one = of("k1", "BRASA_KEY_K1");
    let two = format!("{one}{}", of("k2", "BRASA_KEY_K2"));
    assert_problems("[encryption]\nrequired = true", &[(1, "encryption", "needs a key", "new-key")]);
    assert_problems(
        &format!("[encryption]\nactive = \"k3\"\n{one}"),
        &[(2, "encryption.active", "there is no key of that name", "")],
    );
    assert_problems(&format!("[encryption]\n{two}"), &[(1, "encryption", "`active` says", "active = ")]);
    assert_problems(
        &format!("[encryption]\nactive = \"k2\"\n{two}"),
        &[(1, "encryption", "`unique` says", "it has been so far")],
    );
    let key = "encryption.keys.k1.key";
    assert_problems(
        "[encryption.keys.k1]\nkey = \"6f1c0a7e93d2485bb0c4e17f2a9d563801fe6b8c47d5a2903ce8714f5b06d9ac\"",
        &[(2, key, "a key does not belong into the file", "BRASA_KEY_K1")],
    );
    assert_problems(&of("k1", "NO_SUCH"), &[(2, key, "`NO_SUCH` is not set", "set it")]);
    assert_problems(&of("k1", "SHORT_KEY"), &[(2, key, "64 digits", "new-key")]);
    assert_problems(&of("k1", "WEAK_KEY"), &[(2, key, "can be guessed", "new-key")]);
    assert_problems("[encryption.keys.k1]", &[(1, "encryption.keys.k1", "needs `key`", "new-key")]);
    assert_problems(
        "[encryption.keys.k1]\nkey_file = \"/no/such/file\"",
        &[(2, "encryption.keys.k1.key_file", "cannot read", "holds the key")],
    );
    assert_problems(&two, &[(1, "encryption", "`active` says", "active = ")]);
    assert_problems(
        &format!("[encryption]\nactive = \"k1\"\nunique = \"k1\"\n{one}{}", of("k2", "BRASA_KEY_K1")),
        &[(4, "encryption.keys", "are the same key", "new-key")],
    );
    assert_problems(
        &of("a-name-that-is-long", "BRASA_KEY_K1"),
        &[(1, "encryption.keys", "is longer than 16", "at most 16")],
    );
}
