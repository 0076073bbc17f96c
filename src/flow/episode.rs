//! Where one use of a five-tuple ends and the next begins.
//!
//! Ports are reused, at once where the new initial sequence number is greater (RFC 9293 §3.6.1). Each use is an episode
//! with a state of its own. Whether a packet opens one depends on its own flow alone, so the answer is the same for any
//! number of threads and any other traffic.

use super::tcp::{Facts, TcpState, TcpTracker};
use super::{Observation, TcpObservation, Tracker};
use crate::net::TcpFlags;
use crate::net::Transport;

const SECOND: i64 = 1_000_000_000;

/// Idle time after which a connection that never opened, or that ended, is over: two maximum segment lifetimes
/// (RFC 9293 §3.4.2). SYN retries are less than this apart.
pub(super) const ENDED_IDLE: i64 = 4 * 60 * SECOND;

/// Idle time after which datagrams begin a new episode. Generous: NAT must keep UDP for two minutes (RFC 4787 §4.3),
/// and a split conversation is worse than a long one.
pub(super) const DATAGRAM_IDLE: i64 = 10 * 60 * SECOND;

/// Idle time after which an open connection is taken to be gone: above the two hours after which keep-alives begin
/// (RFC 1122 §4.2.3.6), with time for them to fail.
pub(super) const OPEN_IDLE: i64 = 150 * 60 * SECOND;

/// The least of the idle times: a flow that was idle for less needs no closer look.
pub(super) const LEAST_IDLE: i64 = ENDED_IDLE;

/// The idle time-out of a flow in nanoseconds, by its kind and state.
pub(super) fn idle_timeout(tracker: &Tracker, transport: Transport) -> i64 {
    match &tracker.tcp {
        Some(tcp) => match tcp.state() {
            TcpState::Attempted | TcpState::Refused | TcpState::Closed | TcpState::Reset => {
                ENDED_IDLE
            }
            TcpState::Established | TcpState::Midstream => OPEN_IDLE,
        },
        None if transport == Transport::TCP || transport == Transport::SCTP => OPEN_IDLE,
        None => DATAGRAM_IDLE,
    }
}

/// Whether a packet of a known five-tuple, idle for that many nanoseconds, belongs to a new use of it.
#[inline]
pub(super) fn begins(tracker: &Tracker, idle: i64, observation: &Observation) -> bool {
    if idle > LEAST_IDLE && idle > idle_timeout(tracker, observation.key.transport) {
        return true;
    }
    match (&observation.tcp, &tracker.tcp) {
        (Some(tcp), Some(known))
            if tcp.flags.contains(TcpFlags::SYN) && !tcp.flags.contains(TcpFlags::RST) =>
        {
            !belongs(known, tracker, observation, tcp)
        }
        _ => false,
    }
}

/// Whether a SYN belongs to the connection that is known: a retry, an answer, or packets captured in the wrong order.
fn belongs(
    known: &TcpTracker,
    tracker: &Tracker,
    observation: &Observation,
    tcp: &TcpObservation,
) -> bool {
    if observation.time < tracker.first_seen {
        return true;
    }
    let side = observation.side;
    let (ours, theirs) = (known.facts[side], known.facts[side.other()]);
    let is_only_opening = !ours.with(theirs).has_any(AFTER_OPENING);
    let has_known_isn = known.opening[side].map(|opening| opening.isn == tcp.sequence);
    match (tcp.flags.contains(TcpFlags::ACK), has_known_isn) {
        (_, Some(true)) => true,
        // another ISN is another attempt, even where the first was not answered: each has its own outcome
        (false, Some(false)) => false,
        // the other side asked too (a simultaneous open), or its answer was captured first
        (false, None) => is_only_opening,
        // SYN cookies can give each answer its own ISN, until one is acknowledged
        (true, Some(false)) => is_only_opening,
        // the first answer, perhaps to a retry after a RST, perhaps captured after what follows it
        (true, None) => {
            !ours.has_any(SPOKEN) && (theirs.has(Facts::SYN) || !theirs.has_any(ENDED_OR_DATA))
        }
    }
}

const ENDED_OR_DATA: Facts = Facts::DATA.with(Facts::FIN).with(Facts::RST);
const SPOKEN: Facts = Facts::ACK.with(Facts::DATA).with(Facts::FIN);
const AFTER_OPENING: Facts = SPOKEN.with(Facts::RST).with(Facts::REFUSAL);
