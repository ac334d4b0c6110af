//! Networks of addresses.

use std::net::IpAddr;

/// An address, or all that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `192.0.2.7`, `192.0.2.0/24` and the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (
                address.parse::<IpAddr>().ok()?,
                Some(bits.parse::<u8>().ok()?),
            ),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether an address is in it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(own.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let host_bits = width - u32::from(self.bits);
        own.checked_shr(host_bits).unwrap_or(0) == other.checked_shr(host_bits).unwrap_or(0)
    }

    /// Whether all of it is in another.
    pub(crate) fn is_within(self, other: Self) -> bool {
        self.bits >= other.bits && other.contains(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_within_those_that_have_all_of_it() {
        let within = |one: &str, other: &str| {
            Network::parse(one)
                .unwrap()
                .is_within(Network::parse(other).unwrap())
        };
        assert!(within("192.0.2.7", "192.0.2.0/24"));
        assert!(within("192.0.2.0/24", "192.0.2.0/24"));
        assert!(within("2001:db8::/48", "2001:db8::/32"));
        assert!(!within("192.0.2.0/23", "192.0.2.0/24"));
        assert!(!within("192.0.3.0/24", "192.0.2.0/24"));
        assert!(!within("::1", "0.0.0.0/0"));
    }
}
