//! Which addresses are anybody's, and which are only one's own: what a call may reach that leaves the house.
//!
//! The tables follow IANA's registries of special-purpose addresses. A form that carries an address of IPv4 inside one
//! of IPv6 is judged by what it carries, for that is where a translator on the way, or the kernel, sends it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// Anybody's: it is routed in the internet.
    Public,
    /// One's own, and what it is: reached only by who says so.
    Private(&'static str),
    /// Nothing that an application can be at, or something that nobody is to be talked into, and what it is.
    Never(&'static str),
}

use Realm::{Never, Private, Public};

/// Where machines of a cloud learn their credentials: outside of the ranges that would refuse them.
const METADATA: &str = "where a cloud tells machines who they are";

/// Ranges of IPv4: the first that fits counts.
const V4: &[([u8; 4], u32, Realm)] = &[
    ([100, 100, 100, 200], 32, Never(METADATA)),
    ([168, 63, 129, 16], 32, Never(METADATA)),
    ([0, 0, 0, 0], 8, Never("this host (RFC 1122)")),
    ([10, 0, 0, 0], 8, Private("private (RFC 1918)")),
    ([100, 64, 0, 0], 10, Private("a carrier's own (RFC 6598)")),
    ([127, 0, 0, 0], 8, Private("loopback (RFC 1122)")),
    ([169, 254, 0, 0], 16, Never("link-local (RFC 3927)")),
    ([172, 16, 0, 0], 12, Private("private (RFC 1918)")),
    ([192, 0, 0, 0], 24, Never("for protocols (RFC 6890)")),
    ([192, 0, 2, 0], 24, Never("for documentation (RFC 5737)")),
    ([192, 88, 99, 0], 24, Never("a relay that is no more (RFC 7526)")),
    ([192, 168, 0, 0], 16, Private("private (RFC 1918)")),
    ([198, 18, 0, 0], 15, Private("for benchmarks (RFC 2544)")),
    ([198, 51, 100, 0], 24, Never("for documentation (RFC 5737)")),
    ([203, 0, 113, 0], 24, Never("for documentation (RFC 5737)")),
    ([224, 0, 0, 0], 4, Never("multicast (RFC 5771)")),
    ([240, 0, 0, 0], 4, Never("reserved (RFC 1112)")),
];

/// What a range of IPv6 says of an address in it.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Is(Realm),
    /// It carries an address of IPv4, which ends at this bit from the right, and is judged by that one.
    Carries(u32),
}

use Rule::{Carries, Is};

/// Ranges of IPv6: the first that fits counts, and the last one always does.
const V6: &[([u16; 8], u32, Rule)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Is(Never("unspecified (RFC 4291)"))),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Is(Private("loopback (RFC 4291)"))),
    // IPv4-mapped and IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056).
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, Carries(0)),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, Carries(0)),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, Carries(0)),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, Carries(0)),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Carries(80)),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Is(Never("a translator's own (RFC 8215)"))),
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32, Is(Never(METADATA))),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Is(Never(METADATA))),
    ([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128, Is(Never(METADATA))),
    ([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128, Is(Never(METADATA))),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Is(Private("unique local (RFC 4193)"))),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Is(Never("link-local (RFC 4291)"))),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Is(Never("site-local (RFC 3879)"))),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Is(Never("multicast (RFC 4291)"))),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Is(Never("discarded (RFC 6666)"))),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Is(Never("for documentation (RFC 3849)"))),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Is(Never("for documentation (RFC 9637)"))),
    // Tunnels among them: Teredo (RFC 4380) hides an address of IPv4 in its last bits.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Is(Never("for protocols (RFC 2928)"))),
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Is(Public)),
    ([0, 0, 0, 0, 0, 0, 0, 0], 0, Is(Never("not given to anybody (RFC 4291)"))),
];

/// Whose an address is.
pub fn realm(address: IpAddr) -> Realm {
    match address {
        IpAddr::V4(address) => realm_v4(address),
        IpAddr::V6(address) => realm_v6(address),
    }
}

fn realm_v4(address: Ipv4Addr) -> Realm {
    let bits = address.to_bits();
    let fits =
        |network: [u8; 4], length: u32| (bits ^ Ipv4Addr::from(network).to_bits()).leading_zeros() >= length;
    V4.iter().find(|(network, length, _)| fits(*network, *length)).map_or(Public, |(_, _, realm)| *realm)
}

fn realm_v6(address: Ipv6Addr) -> Realm {
    let bits = address.to_bits();
    let fits =
        |network: [u16; 8], length: u32| (bits ^ Ipv6Addr::from(network).to_bits()).leading_zeros() >= length;
    match V6.iter().find(|(network, length, _)| fits(*network, *length)) {
        Some((_, _, Is(realm))) => *realm,
        Some((_, _, Carries(shift))) => {
            let carried = (bits >> shift) & u128::from(u32::MAX);
            realm_v4(Ipv4Addr::from_bits(u32::try_from(carried).unwrap_or(0)))
        }
        None => Never("not given to anybody (RFC 4291)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm_of(text: &str) -> Realm {
        realm(text.parse().unwrap())
    }

    #[test]
    fn what_the_internet_routes_is_public() {
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::",
        ];
        for address in public {
            assert_eq!(realm_of(address), Public, "{address}");
        }
    }

    #[test]
    fn what_is_ones_own_is_private_in_whatever_form_it_comes() {
        let private = [
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "fd00:ec3::254",
            "fd20:ce::255",
            "fd00:c1::1",
            "fd00:42::43",
            "::ffff:127.0.0.1",
            "::ffff:0:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
        ];
        for address in private {
            assert!(matches!(realm_of(address), Private(_)), "{address}: {:?}", realm_of(address));
        }
    }

    #[test]
    fn some_addresses_are_never_called() {
        let never = [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::23",
            "fd00:ec2::123",
            "fd00:ec2::253",
            "fd00:ec2::254",
            "fd00:ec2:ffff::1",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "2002:a9fe:a9fe::",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "4000::1",
        ];
        for address in never {
            assert!(matches!(realm_of(address), Never(_)), "{address}: {:?}", realm_of(address));
        }
    }
}
