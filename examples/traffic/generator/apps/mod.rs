//! Applications: what begins how often, and the conversations that belong to it.

mod calls;
mod chatter;
mod directory;
mod files;
mod mail;
mod names;
mod other;
mod outlook;
mod plain;
mod tls;
mod web;

use super::Kind;
use super::engine::Extent;
use super::session::Session;
use super::world::World;

/// Puts the conversations of one occasion into the list.
type Begin = fn(&mut World, &mut Vec<Session>);

/// An application, and how often it begins: occasions an hour for each of 100 workplaces.
struct Application(u32, Begin);

/// An office of 1,500 people with Exchange, Lync and a domain, seen at the core switch in a working hour.
///
/// Proportions by bytes: web over TLS is most, as in any office since mail and documents moved into the browser; QUIC is
/// rare, since firewalls of offices block it; shared files come second (Pang et al., "A First Look at Modern Enterprise
/// Traffic", 2005, find them among the first inside); then media of calls, one workplace in twenty being on the telephone. By
/// flows: names (DNS and the broadcasts around it) are the most frequent, as Pang et al. found, and nearly all flows are of a
/// few packets.
const OFFICE: &[Application] = &[
    // A page is a handful of connections; somebody opens one every other minute, and programs in the background do as well.
    Application(3600, web::page),
    Application(500, web::datagrams),
    // Revocation lists, updates from the office's own server, and appliances without TLS.
    Application(450, web::plain),
    // Caches answer most lookups; programs look up more than people.
    Application(13_000, names::lookup),
    // Every client answers and asks on the segment; a mirror port sees it all.
    Application(5000, names::segment),
    // A ticket for a service when it is first used, ten hours of life (MS-KILE): morning and after lunch.
    Application(700, directory::ticket),
    Application(420, directory::locate),
    Application(400, directory::search),
    Application(60, directory::secure_channel),
    // Windows keeps its time against the domain controller once in a quarter of an hour or less often (MS-SNTP).
    Application(250, directory::time),
    // Documents opened and saved, group policy and log-on scripts.
    Application(420, files::share),
    // Outlook in cached mode keeps connections for hours: new ones at start and after sleep.
    Application(110, outlook::over_rpc),
    Application(420, outlook::over_https),
    // About thirty mails in and out an hour for each ten people, most of them from outside.
    Application(300, mail::relay),
    Application(60, mail::appliance),
    Application(70, mail::mailbox),
    // Two calls an hour for each ten people, of two and a half minutes.
    Application(18, calls::call),
    // What Windows, printers and telephones say to all of the segment.
    Application(2500, chatter::broadcast),
    // Monitoring asks each device every five minutes; devices log.
    Application(1500, other::monitoring),
    Application(1500, other::log),
    Application(20, other::desktop),
    Application(15, other::shell),
    Application(130, other::database),
    Application(60, other::printing),
    // What does not answer: services that are gone, hosts that are off, and what the firewall refuses.
    Application(2500, other::failure),
];

const EXCHANGE: &[Application] = &[
    Application(600, names::lookup),
    Application(400, directory::ticket),
    Application(300, directory::locate),
    Application(800, directory::search),
    Application(100, directory::secure_channel),
    Application(400, outlook::over_rpc),
    Application(900, outlook::over_https),
    Application(1500, mail::relay),
    Application(100, mail::appliance),
    Application(300, mail::mailbox),
    Application(60, mail::log_shipping),
];

const CALLS: &[Application] = &[
    Application(6000, calls::call),
    Application(600, names::lookup),
];

const BULK: &[Application] = &[
    Application(20, plain::download),
    Application(20, plain::sealed_download),
    Application(20, plain::backup),
];

const SMALL: &[Application] = &[
    Application(60_000, names::lookup),
    Application(20_000, directory::time),
    Application(20_000, directory::locate),
    Application(20_000, other::monitoring),
    Application(20_000, other::log),
    Application(10_000, other::failure),
];

/// Occasions of a mix arrive at random; those of `SynFlood` and `Steady` regularly.
enum Arrivals {
    Random {
        applications: &'static [Application],
        total: usize,
    },
    Flood(u32),
    Steady {
        left: usize,
        packets: usize,
    },
}

/// What begins next.
pub(crate) struct Mix {
    arrivals: Arrivals,
    /// The conversations of the last occasion.
    pub(crate) sessions: Vec<Session>,
}

impl Mix {
    pub(crate) fn new(kind: Kind, extent: Extent, flows: usize) -> Self {
        let random = |applications: &'static [Application]| Arrivals::Random {
            applications,
            total: applications.iter().map(|of| of.0 as usize).sum(),
        };
        let arrivals = match kind {
            Kind::OfficeMix => random(OFFICE),
            Kind::ExchangeSite => random(EXCHANGE),
            Kind::CallCentre => random(CALLS),
            Kind::Bulk => random(BULK),
            Kind::SmallPackets => random(SMALL),
            Kind::SynFlood => Arrivals::Flood(0),
            Kind::Steady => {
                let packets = match extent {
                    Extent::Packets(packets) => packets,
                    Extent::Bytes(bytes) => bytes / plain::STEADY_BYTES,
                };
                Arrivals::Steady {
                    left: flows,
                    packets: (packets as usize).div_ceil(flows.max(1)),
                }
            }
        };
        Self {
            arrivals,
            sessions: Vec::new(),
        }
    }

    /// Begins the next occasion; after how many microseconds comes another one.
    pub(crate) fn arrive(&mut self, world: &mut World) -> Option<u64> {
        match &mut self.arrivals {
            Arrivals::Random {
                applications,
                total,
            } => {
                let mut at = world.random.below(*total);
                for Application(often, begin) in *applications {
                    match at.checked_sub(*often as usize) {
                        Some(rest) => at = rest,
                        None => {
                            begin(world, &mut self.sessions);
                            break;
                        }
                    }
                }
                // 1,500 workplaces, and rates for 100 of them.
                let a_second = *total as f64 * 15.0 / 3600.0;
                Some(world.random.exponential(1e6 / a_second) as u64 + 1)
            }
            Arrivals::Flood(number) => {
                *number = number.wrapping_add(1);
                self.sessions.push(plain::syn(world, *number));
                Some(10)
            }
            Arrivals::Steady { left, packets } => {
                *left = left.checked_sub(1)?;
                let session = plain::steady(world, *left, *packets);
                self.sessions.push(session);
                Some(100)
            }
        }
    }
}
