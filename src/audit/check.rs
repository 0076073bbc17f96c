//! What a check is, and all of them: each one file, with its codes beside it.

use super::scene::{Scene, Subject};
use super::{Findings, directory, handshake, mail, membership, missing, protection};
use super::{reachability, rpc, telephony, transport};

/// A code, what it is called, what it means, and what to do.
#[derive(Debug)]
pub struct Code {
    /// Stable code.
    pub code: &'static str,
    /// Short name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

/// A check: the codes that it can raise, and how it goes through the flows of a run.
pub(super) struct Check {
    pub(super) codes: &'static [&'static Code],
    pub(super) start: fn() -> Box<dyn Watch>,
}

/// A check at work: it sees each flow once, in order, and keeps what it needs for what only all of them show.
pub(super) trait Watch {
    /// Looks at one flow.
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>);

    /// Says what only the whole shows.
    fn finish(self: Box<Self>, _scene: &Scene<'_>, _findings: &mut Findings<'_>) {}
}

/// A check that looks at each flow alone.
pub(super) struct Each(pub(super) fn(&Scene<'_>, Subject<'_>, &mut Findings<'_>));

impl Watch for Each {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
        (self.0)(scene, subject, findings);
    }
}

/// A check that looks at what the payload of each flow says: of a flow in which none of its protocols says anything it knows
/// nothing, and is not asked.
pub(super) struct Told {
    /// Protocols that it listens to; none for whatever is said.
    by: &'static [&'static str],
    check: fn(&Scene<'_>, Subject<'_>, &mut Findings<'_>),
}

impl Told {
    /// A check of what these protocols say.
    pub(super) const fn by(
        by: &'static [&'static str],
        check: fn(&Scene<'_>, Subject<'_>, &mut Findings<'_>),
    ) -> Self {
        Self { by, check }
    }

    /// A check of whatever is said.
    pub(super) const fn by_any(check: fn(&Scene<'_>, Subject<'_>, &mut Findings<'_>)) -> Self {
        Self::by(&[], check)
    }

    fn is_asked(&self, subject: Subject<'_>) -> bool {
        let is_heard = |name: &&'static str| subject.sayers.contains(name);
        !subject.is_mute && (self.by.is_empty() || self.by.iter().any(is_heard))
    }
}

impl Watch for Told {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
        if self.is_asked(subject) {
            (self.check)(scene, subject, findings);
        } else if cfg!(debug_assertions) {
            let mut none = Findings::new(scene.topology, None);
            (self.check)(scene, subject, &mut none);
            debug_assert!(none.is_empty(), "found in a flow of which it was not asked");
        }
    }
}

/// All checks, in the order of their codes.
pub(super) const CHECKS: &[&Check] = &[
    &membership::PLACE,
    &membership::DYNAMIC_PORT,
    &membership::PROXY_PORT,
    &membership::MAIL_PATH,
    &membership::PERIMETER,
    &membership::VERSION,
    &protection::CLEAR_TEXT,
    &protection::AUTHENTICATION,
    &protection::AD_LDS,
    &protection::MUTUAL_TLS,
    &protection::DEPRECATED,
    &telephony::ANNOUNCED,
    &telephony::PLACE,
    &telephony::SIGNALLING,
    &telephony::CALLS,
    &telephony::QUALITY,
    &telephony::RELAY,
    &reachability::PATH,
    &reachability::SCAN,
    &reachability::RESET,
    &transport::LOSS,
    &transport::SLOW,
    &transport::PATH_MTU,
    &handshake::ALERT,
    &handshake::CERTIFICATE,
    &handshake::SILENT,
    &mail::REPLY,
    &mail::STARTTLS,
    &mail::LOGIN,
    &mail::DELAY,
    &directory::NAMES,
    &directory::KERBEROS,
    &directory::LDAP,
    &directory::LOGON,
    &rpc::FAULT,
    &rpc::BIND,
    &rpc::MAPPER,
    &rpc::SLOW,
    &rpc::WEB,
    &missing::CLUSTER,
    &missing::PATHS,
    &missing::COVERAGE,
];

/// How many codes the checks have.
const COUNT: usize = {
    let (mut count, mut checks) = (0, CHECKS);
    while let [check, rest @ ..] = checks {
        count += check.codes.len();
        checks = rest;
    }
    count
};

/// Every code, in order.
#[expect(
    clippy::indexing_slicing,
    reason = "worked out by the compiler, which refuses an index out of bounds"
)]
pub const CODES: &[&Code] = &{
    let mut codes = [CHECKS[0].codes[0]; COUNT];
    let (mut filled, mut checks) = (0, CHECKS);
    while let [check, rest @ ..] = checks {
        let mut of_check = check.codes;
        while let [code, more @ ..] = of_check {
            let mut place = filled;
            while place > 0 && number(codes[place - 1]) > number(code) {
                codes[place] = codes[place - 1];
                place -= 1;
            }
            codes[place] = code;
            filled += 1;
            of_check = more;
        }
        checks = rest;
    }
    codes
};

/// The number of a code; anything but `EXW` and three digits does not compile.
const fn number(code: &Code) -> u32 {
    match code.code.as_bytes() {
        [
            b'E',
            b'X',
            b'W',
            a @ b'0'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
        ] => (*a as u32) * 10_000 + (*b as u32) * 100 + *c as u32,
        _ => panic!("a code is EXW and three digits"),
    }
}
