//! How media arrive: loss, jitter and order as RFC 3550 measures them.

use std::net::IpAddr;

use crate::attribution::Party;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject, host, listener};
use crate::evidence::{Jitter, RtpStream};

const LOSSY: &Code = &Code {
    code: "EXW311",
    name: "media-loss",
    meaning: "A media stream lost five percent of its packets or more before the capture.",
    advice: "Look upstream of the capture: queues without priority for voice, a line that is full, wireless. `exwire calls` shows jitter and what the far end reports.",
};
const UNSTEADY: &Code = &Code {
    code: "EXW314",
    name: "media-jitter",
    meaning: "The packets of an audio stream arrive unsteadily: a mean jitter (RFC 3550 6.4.1) of 30 ms or more, from where receivers play gaps.",
    advice: "Look upstream of the capture for a queue that fills and empties: voice without priority (DSCP 46) on a full line, wireless, a VPN, a sender that is short of processor. `exwire calls` shows each stream.",
};
const SHUFFLED: &Code = &Code {
    code: "EXW315",
    name: "media-out-of-order",
    meaning: "One packet in a hundred of a media stream, or more, arrives behind a later one: a receiver drops what comes after its turn.",
    advice: "Look upstream of the capture for parallel paths that packets of one call are spread over (links shared packet by packet, two providers, a VPN with several processors), or a jitter longer than the time between two packets.",
};

pub(in crate::audit) const QUALITY: Check = Check {
    codes: &[LOSSY, UNSTEADY, SHUFFLED],
    start: || Box::new(Told::by_any(check)),
};

/// Packets before a share or a mean means something: two seconds of audio.
const MIN_PACKETS: u64 = 100;
/// One packet in so many: from there on concealment is heard.
const ONE_LOST_IN: i64 = 20;
/// Mean jitter that a call does not stand, in nanoseconds: what Microsoft allows between a client and the edge of its network
/// ("Media Quality and Network Connectivity Performance in Skype for Business Online": below 30 ms), and what its reports of
/// calls count as poor (JitterInterArrival above 30 ms).
const MAX_JITTER_NS: u64 = 30_000_000;
/// A leap of the sender's clock that is no jitter lifts the figure of A.8 by a sixteenth of itself, and that dies away by a
/// sixteenth with each packet: together the figures sum up to sixteen times the highest.
const LEAP: u64 = 16;
/// The clock of video, whose packets of one picture share a timestamp and so have jitter by nature (RFC 3551 section 5).
const VIDEO_HZ: u32 = 90_000;
/// One packet in so many out of order. Microsoft allows 0.05 % (the same paper); at twenty times that some path shuffles, and
/// it is no single change of route.
const ONE_SHUFFLED_IN: u64 = 100;
/// A change of route shuffles the packets that are on their way, once.
const MIN_SHUFFLED: u64 = 5;

fn check(_: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    if !subject.attribution.spoken.contains(&"rtp") {
        return;
    }
    for (key, stream) in &subject.flow.streams {
        if stream.packets < MIN_PACKETS {
            continue;
        }
        let (sender, receiver) = if key.side == subject.flow.client {
            (subject.client(), subject.server())
        } else {
            (subject.server(), subject.client())
        };
        let mut find = |code: &'static Code, cause: Cause, what: String, seen: Option<String>| {
            let message = format!(
                "media from {} to {}: {what}",
                host(sender),
                listener(receiver)
            );
            let draft = Draft::of(code, Severity::Warning, subject, message);
            findings.find(subject, draft.caused_by(cause).seen(seen));
        };
        if let Some(what) = loss(stream) {
            find(
                LOSSY,
                Cause::host(address(sender)),
                what,
                Some(pause(stream)),
            );
        }
        let path = || Cause::host(address(sender)).of_client(address(receiver));
        let shuffled = order(subject, stream);
        if let Some(what) = &shuffled {
            let seen = jitter(stream).and_then(told);
            find(SHUFFLED, path(), what.clone(), seen);
        }
        if let Some(jitter) = jitter(stream).filter(is_unsteady) {
            let mean = jitter.mean_ns().unwrap_or(0) / 1_000_000;
            let what = format!("a mean jitter of {mean} ms");
            find(UNSTEADY, path(), what, told(jitter));
        }
    }
}

const fn address(party: &Party) -> IpAddr {
    party.endpoint.address
}

/// What is lost, where it is too much.
fn loss(stream: &RtpStream) -> Option<String> {
    let packets = i64::try_from(stream.packets).unwrap_or(i64::MAX);
    let expected = packets.saturating_add(stream.lost);
    let is_bad = stream.lost > 0 && stream.lost.saturating_mul(ONE_LOST_IN) >= expected;
    is_bad.then(|| format!("{} of {expected} packets are lost", stream.lost))
}

/// How far the packets were apart at most: whether many were lost one by one, or all in one interruption.
fn pause(stream: &RtpStream) -> String {
    let millis = stream.max_delta_ns / 1_000_000;
    format!("the longest time between two of its packets is {millis} ms")
}

/// What is out of order, where it is too much and the capture itself is in order.
fn order(subject: Subject<'_>, stream: &RtpStream) -> Option<String> {
    let late = stream.out_of_order;
    let is_bad = late >= MIN_SHUFFLED && late.saturating_mul(ONE_SHUFFLED_IN) >= stream.packets;
    let is_sorted = subject.flow.tracker.out_of_time == 0;
    (is_bad && is_sorted).then(|| {
        format!(
            "{late} of {} packets arrive behind a later one",
            stream.packets
        )
    })
}

/// The jitter of the payload types that most packets have; nothing of video. Where signalling alone knows the clock, the one
/// that fits best, which never makes more jitter than there is.
fn jitter(stream: &RtpStream) -> Option<&Jitter> {
    let dynamic = stream
        .fitting_jitter()
        .filter(|jitter| jitter.counted > stream.jitter.counted);
    let jitter = dynamic.unwrap_or(&stream.jitter);
    (jitter.counted > 0 && jitter.clock_rate != VIDEO_HZ).then_some(jitter)
}

/// Whether the mean is too high, also without the greatest leap.
fn is_unsteady(jitter: &&Jitter) -> bool {
    let leap = jitter.max_ns.saturating_mul(LEAP);
    let steady = MAX_JITTER_NS.saturating_mul(jitter.counted);
    jitter.counted >= MIN_PACKETS && jitter.sum_ns.saturating_sub(leap) >= steady
}

fn told(jitter: &Jitter) -> Option<String> {
    let millis = |nanos: u64| nanos / 1_000_000;
    let mean = jitter.mean_ns()?;
    Some(format!(
        "its jitter (RFC 3550 6.4.1, clock of {} Hz) is {} ms on average, {} ms at most",
        jitter.clock_rate,
        millis(mean),
        millis(jitter.max_ns)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jitter of three hundred packets, in milliseconds: mean and highest.
    const fn jitter(mean: u64, highest: u64) -> Jitter {
        let mut jitter = Jitter::at(8000);
        jitter.counted = 300;
        jitter.sum_ns = 300 * mean * 1_000_000;
        jitter.max_ns = highest * 1_000_000;
        jitter
    }

    #[test]
    fn a_high_mean_is_unsteady_and_one_leap_of_the_clock_is_not() {
        assert!(is_unsteady(&&jitter(34, 60)));
        assert!(!is_unsteady(&&jitter(10, 14)), "a call stands it");
        // Ten seconds: 625 ms after the leap, and ten seconds in all.
        assert!(!is_unsteady(&&jitter(34, 625)));
    }
}
