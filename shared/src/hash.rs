//! A hash for names and draws that must be the same on every machine and in every release.

/// FNV-1a of 64 bits (G. Fowler, L. C. Noll, K.-P. Vo, 1991): stable over builds, which the standard hasher is
/// not. Nothing against somebody who looks for collisions.
pub fn fnv1a(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Bytes in base 16, in small letters.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// So many bytes out of a text in base 16, in letters of either size; nothing where it is something else.
pub fn bytes_of_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_spelt_in_base_16_is_read_again() {
        assert_eq!(super::bytes_of_hex("00090aFf"), Some([0, 9, 10, 255]));
        for wrong in ["", "00090af", "00090afff", "+0090aff", "0009 aff", "é00090a"] {
            assert_eq!(super::bytes_of_hex::<4>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_it_makes_stays_the_same_from_release_to_release() {
        assert_eq!(format!("{:016x}", super::fnv1a("a")), "af63dc4c8601ec8c");
        assert_eq!(super::hex(&[0, 9, 10, 255]), "00090aff");
    }
}
