//! Who is there: the hosts of one office, and what it talks to. Private and documentation ranges only
//! (RFC 1918, RFC 3849, RFC 5737, RFC 2544), and names below `example`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::random::Random;
use super::samples::tls::Identity;
use super::wire::End;

/// Workplaces, and as many telephones.
const WORKPLACES: usize = 1500;
/// Hosts of the Internet that are visited.
const SITES: usize = 2000;
/// First port that Windows gives out (RFC 6335 §6).
const EPHEMERAL: u16 = 49_152;
/// The tag of the telephones' network.
pub(crate) const VOICE: u16 = 200;

const ROUTER: [u8; 6] = [0, 0, 0x5e, 0, 1, 1];

/// A server of the office, by the last part of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Directory = 10,
    OtherDirectory = 11,
    Hub = 20,
    Mailbox = 30,
    OtherMailbox = 31,
    ClientAccess = 40,
    Files = 50,
    Database = 55,
    Updates = 56,
    Monitoring = 57,
    Printers = 58,
    Terminals = 59,
    Unix = 60,
    Gateway = 70,
    Mediation = 71,
    Edge = 25,
}

impl Server {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Directory => "dc1",
            Self::OtherDirectory => "dc2",
            Self::Hub => "hub1",
            Self::Mailbox => "mbx1",
            Self::OtherMailbox => "mbx2",
            Self::ClientAccess => "cas1",
            Self::Files => "files1",
            Self::Database => "sql1",
            Self::Updates => "wsus1",
            Self::Monitoring => "monitor1",
            Self::Printers => "print1",
            Self::Terminals => "rds1",
            Self::Unix => "build1",
            Self::Gateway => "gateway1",
            Self::Mediation => "mediation1",
            Self::Edge => "edge1",
        }
    }

    pub(crate) fn at(self, port: u16) -> End {
        let address = match self {
            Self::Edge => Ipv4Addr::new(192, 0, 2, 25),
            _ => Ipv4Addr::new(10, 0, 0, self as u8),
        };
        local(address.into(), port)
    }
}

/// A host of the Internet.
pub(crate) struct Site {
    pub(crate) name: String,
    address: Ipv4Addr,
    address_v6: Ipv6Addr,
}

/// All of it, and the random numbers.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) sites: Vec<Site>,
    /// Certificates of our servers and of some of the Internet's.
    pub(crate) certificates: Vec<(String, Vec<u8>)>,
    ports: Vec<u16>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let random = Random::new(seed);
        let words = [
            "www",
            "cdn",
            "api",
            "static",
            "login",
            "news",
            "img",
            "telemetry",
        ];
        let sites = (0..SITES)
            .map(|number| {
                let [high, low] = (number as u16).to_be_bytes();
                let word = words[number % words.len()];
                Site {
                    name: format!("{word}.site{}.example", number / 3),
                    address: Ipv4Addr::new(198, 18, high, low),
                    address_v6: Ipv6Addr::new(0x2001, 0xdb8, 0xf00, 0, 0, 0, 0, number as u16 + 1),
                }
            })
            .collect();
        let names = [
            "mail.example.com",
            "hub1.example.com",
            "edge1.example.com",
            "dc1.example.com",
            "mx.example.net",
        ];
        let certificates = (1..)
            .zip(names)
            .map(|(number, name)| (name.to_owned(), Identity::new(number, &[name]).certificate))
            .collect();
        Self {
            random,
            sites,
            certificates,
            ports: vec![EPHEMERAL; WORKPLACES],
        }
    }

    /// Somebody at work.
    pub(crate) fn workplace(&mut self) -> Workplace {
        Workplace(self.random.below(WORKPLACES))
    }

    /// A port that nobody has used for long.
    pub(crate) fn port(&mut self, host: Workplace) -> u16 {
        let port = &mut self.ports[host.0];
        *port = port.checked_add(1).unwrap_or(EPHEMERAL);
        *port
    }

    /// The host, with a fresh port.
    pub(crate) fn from(&mut self, host: Workplace) -> End {
        let port = self.port(host);
        host.at(port)
    }

    /// A host on its way to a site: one connection in four is over IPv6.
    pub(crate) fn towards(&mut self, host: Workplace, site: usize, port: u16) -> (End, End) {
        let from = self.port(host);
        let Site {
            address,
            address_v6,
            ..
        } = self.sites[site];
        if self.random.per_mille(250) {
            let six = local(host.address_v6().into(), from);
            (six, far(address_v6.into(), port))
        } else {
            (host.at(from), far(address.into(), port))
        }
    }

    /// A site as often visited as its rank says.
    pub(crate) fn site(&mut self) -> usize {
        self.random.popular(self.sites.len())
    }

    pub(crate) fn site_address(&self, site: usize) -> IpAddr {
        self.sites[site].address.into()
    }

    pub(crate) fn domain_controller(&mut self, port: u16) -> End {
        let servers = [Server::Directory, Server::OtherDirectory];
        self.random.one_of(&servers).at(port)
    }

    pub(crate) fn certificate(&self, name: &str) -> &[u8] {
        self.certificates
            .iter()
            .find_map(|(of, certificate)| (of == name).then_some(certificate.as_slice()))
            .unwrap_or_default()
    }
}

/// A place where somebody works, and the telephone on the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workplace(pub(crate) usize);

impl Workplace {
    pub(crate) fn at(self, port: u16) -> End {
        let [high, low] = self.host();
        local(Ipv4Addr::new(10, 1, high, low).into(), port)
    }

    pub(crate) fn telephone(self, port: u16) -> End {
        let [high, low] = self.host();
        local(Ipv4Addr::new(10, 2, high, low).into(), port)
    }

    pub(crate) fn address_v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 1, self.0 as u16 + 1)
    }

    pub(crate) fn name(self) -> String {
        format!("PC{:04}", self.0)
    }

    pub(crate) fn user(self) -> String {
        format!("user{:04}", self.0)
    }

    /// 250 hosts a subnet.
    fn host(self) -> [u8; 2] {
        [(self.0 / 250) as u8, (self.0 % 250 + 2) as u8]
    }
}

/// An end in the office.
pub(crate) fn local(address: IpAddr, port: u16) -> End {
    let last = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
    };
    let [a, b, c, d] = last;
    End {
        address,
        port,
        mac: [2, 4, a, b, c, d],
        hops: 128,
    }
}

/// An end behind the router.
pub(crate) fn far(address: IpAddr, port: u16) -> End {
    End {
        address,
        port,
        mac: ROUTER,
        hops: 54,
    }
}

/// All hosts of the network, or those of a group (RFC 1112 §6.4, RFC 2464 §7).
pub(crate) fn group(address: IpAddr, port: u16) -> End {
    let mac = match address {
        IpAddr::V4(address) if address.is_multicast() => {
            let [_, b, c, d] = address.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V4(_) => [0xff; 6],
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [0x33, 0x33, a, b, c, d]
        }
    };
    End {
        address,
        port,
        mac,
        hops: 1,
    }
}
