//! How many connections are open: for the drain, and for the limits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    closed_one: Condvar,
}

#[derive(Default)]
struct Open {
    count: u64,
    /// Kept only where there is a limit for one address.
    by_address: HashMap<IpAddr, u64>,
}

/// Counts one connection until dropped. An upgraded stream holds on to it.
pub(crate) struct Counted {
    connections: Arc<Connections>,
    address: Option<IpAddr>,
}

/// Why a connection is closed before its first request; the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwelcome {
    TooMany,
    TooManyOfAddress,
    BadProxyHeader,
    LateProxyHeader,
}

impl Unwelcome {
    /// Every reason, in the order of the discriminants.
    pub(crate) const ALL: [Self; 4] =
        [Self::TooMany, Self::TooManyOfAddress, Self::BadProxyHeader, Self::LateProxyHeader];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "too-many",
            Self::TooManyOfAddress => "too-many-of-address",
            Self::BadProxyHeader => "bad-proxy-header",
            Self::LateProxyHeader => "late-proxy-header",
        }
    }
}

impl Connections {
    /// One more, unless there are as many as may be.
    pub(crate) fn enter(self: &Arc<Self>, most: Option<u64>) -> Option<Counted> {
        let mut open = self.lock();
        if most.is_some_and(|most| open.count >= most) {
            return None;
        }
        open.count += 1;
        Some(Counted { connections: Arc::clone(self), address: None })
    }

    /// Blocks until none is open or the time is over; returns how many are left.
    pub(crate) fn wait_until_none(&self, limit: Duration) -> u64 {
        let waited = self.closed_one.wait_timeout_while(self.lock(), limit, |open| open.count > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.count
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// Says whose it is. False when this address has as many as it may.
    pub(crate) fn belongs_to(&mut self, address: IpAddr, most: Option<u64>) -> bool {
        let Some(most) = most else { return true };
        let address = network_of(address);
        let mut open = self.connections.lock();
        let count = open.by_address.entry(address).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        self.address = Some(address);
        true
    }
}

/// What one client has to itself: an address of IPv4, a /64 of IPv6.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.count -= 1;
        if let Some(address) = self.address
            && let Some(count) = open.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
        self.connections.closed_one.notify_all();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_number_and_gives_it_back() {
        let connections = Arc::new(Connections::default());
        let enter = |address: &str| {
            let mut counted = connections.enter(Some(3)).unwrap();
            counted.belongs_to(address.parse().unwrap(), Some(1)).then_some(counted)
        };
        let first = enter("192.0.2.1").unwrap();
        assert!(enter("::ffff:192.0.2.1").is_none(), "the same in other words");
        let other = enter("2001:db8::1").unwrap();
        assert!(enter("2001:db8::2").is_none(), "the same /64");
        let third = enter("2001:db8:0:1::1").unwrap();
        assert!(connections.enter(Some(3)).is_none());
        drop((first, other, third));
        assert!(connections.lock().by_address.is_empty());
        assert_eq!(connections.wait_until_none(Duration::ZERO), 0);
        assert!(enter("192.0.2.1").is_some());
    }
}
