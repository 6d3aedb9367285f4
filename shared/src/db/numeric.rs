//! The binary form of `numeric`: digits in base 10,000, a weight, a sign and a scale.

/// Encodes a decimal number such as `-12.50` or `1e3`; `None` if it is not one.
pub(crate) fn encode(text: &str) -> Option<Vec<u8>> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() <= 1_000)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0
        || !(whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()))
    {
        return None;
    }
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
    // Digits before the point once the exponent is applied; may be negative.
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let scale = (i32::try_from(digits.len()).ok()? - point).max(0);
    Some(pack(negative, &digits, point, u16::try_from(scale).ok()?))
}

fn pack(negative: bool, digits: &[u8], point: i32, scale: u16) -> Vec<u8> {
    // Pad to whole groups of four on both sides of the point.
    let lead = usize::try_from((4 - point.rem_euclid(4)) % 4).unwrap_or(0);
    let mut padded = vec![0; lead];
    padded.extend_from_slice(digits);
    padded.resize(padded.len().div_ceil(4) * 4, 0);
    let mut groups: Vec<u16> = padded
        .chunks_exact(4)
        .map(|four| four.iter().fold(0, |sum, digit| sum * 10 + u16::from(*digit)))
        .collect();
    let mut weight = point.div_euclid(4) + i32::from(point.rem_euclid(4) > 0) - 1;
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign: u16 = if negative && !groups.is_empty() { 0x4000 } else { 0 };
    let mut bytes = Vec::with_capacity(8 + groups.len() * 2);
    bytes.extend_from_slice(&u16::try_from(groups.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(&i16::try_from(weight).unwrap_or(i16::MAX).to_be_bytes());
    bytes.extend_from_slice(&sign.to_be_bytes());
    bytes.extend_from_slice(&scale.to_be_bytes());
    for group in groups {
        bytes.extend_from_slice(&group.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::encode;

    /// Count, weight, sign, scale, then the groups.
    fn words(text: &str) -> Vec<u16> {
        encode(text).unwrap().chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn numbers_are_packed_as_postgres_does() {
        assert_eq!(words("12345.678"), [3, 1, 0, 3, 1, 2345, 6780]);
        assert_eq!(words("-0.05"), [1, 0xffff, 0x4000, 2, 500]);
        assert_eq!(words("0"), [0, 0, 0, 0]);
        assert_eq!(words("1e3"), [1, 0, 0, 0, 1000]);
        assert_eq!(words("100000000"), [1, 2, 0, 0, 1]);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "1.2.3", "abc", "0x10", "1e99999"] {
            assert!(encode(text).is_none(), "{text}");
        }
    }
}
