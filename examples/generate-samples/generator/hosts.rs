//! The addresses of the samples: private and documentation ranges only (RFC 1918, RFC 5737, RFC 3849).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(site: u16, host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, site, 0, 0, 0, 0, host))
}

pub(crate) const DC1: IpAddr = v4(10, 0, 0, 10);
pub(crate) const DC1_V6: IpAddr = v6(1, 0x10);
pub(crate) const HUB1: IpAddr = v4(10, 0, 0, 20);
pub(crate) const HUB1_V6: IpAddr = v6(1, 0x20);
pub(crate) const HUB2: IpAddr = v4(10, 0, 0, 21);
pub(crate) const MBX1: IpAddr = v4(10, 0, 0, 30);
pub(crate) const MBX2: IpAddr = v4(10, 0, 0, 31);
pub(crate) const CAS1: IpAddr = v4(10, 0, 0, 40);
pub(crate) const CAS1_V6: IpAddr = v6(1, 0x40);
pub(crate) const CAS2: IpAddr = v4(10, 0, 0, 41);
/// Exchange 2013 Client Access server, with the call router.
pub(crate) const CAS13: IpAddr = v4(10, 0, 0, 45);
/// Exchange 2013 Mailbox server, with the UM service.
pub(crate) const MBX13: IpAddr = v4(10, 0, 0, 46);
/// Exchange 2010 Unified Messaging server.
pub(crate) const UM1: IpAddr = v4(10, 0, 0, 60);
/// Where an administrator works.
pub(crate) const ADMIN: IpAddr = v4(10, 0, 0, 70);
pub(crate) const OUTLOOK: IpAddr = v4(10, 0, 1, 50);
pub(crate) const BROWSER_V6: IpAddr = v6(0x99, 0x50);
pub(crate) const SUBMITTER: IpAddr = v4(10, 0, 1, 60);
pub(crate) const LYNC_CLIENT: IpAddr = v4(10, 0, 1, 70);
pub(crate) const GATEWAY1: IpAddr = v4(10, 0, 2, 5);
pub(crate) const GATEWAY2: IpAddr = v4(10, 0, 2, 6);
pub(crate) const GATEWAY3: IpAddr = v4(10, 0, 2, 7);
pub(crate) const MEDIATION: IpAddr = v4(10, 0, 3, 20);
pub(crate) const FIREWALL: IpAddr = v4(192, 0, 2, 1);
pub(crate) const EDGE1: IpAddr = v4(192, 0, 2, 25);
pub(crate) const INTERNET_MAIL: IpAddr = v4(198, 51, 100, 25);
pub(crate) const INTERNET_MAIL2: IpAddr = v4(198, 51, 100, 26);
pub(crate) const INTERNET_DNS: IpAddr = v4(198, 51, 100, 53);
pub(crate) const INTERNET_CLIENT: IpAddr = v4(203, 0, 113, 77);
pub(crate) const INTERNET_SCANNER: IpAddr = v4(203, 0, 113, 80);
pub(crate) const INTERNET_REFUSER: IpAddr = v4(203, 0, 113, 25);

/// An endpoint.
pub(crate) fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// Whether an address is of the sample organisation (internal or perimeter).
pub(crate) fn is_ours(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            a == 10 || [a, b, c] == [192, 0, 2]
        }
        IpAddr::V6(address) => address.segments().get(2) == Some(&1),
    }
}
