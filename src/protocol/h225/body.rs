//! The part of H.323 in call signalling (`H323-UserInformation`, annex H of H.225.0), in aligned PER: kind, version, the address of
//! the control channel, the call's identifier, logical channels proposed with the call, tunnelled control.
//!
//! Fields are filled in order; what stands behind a form that is not understood stays empty.

use super::types::{
    address, addresses, skip_aliases, skip_endpoint_type, skip_non_standard, version,
};
use crate::net::Endpoint;
use crate::protocol::per::{Choice, Per};

/// Reasons of a release, by their index, and those of later versions.
const REASONS: [&str; 12] = [
    "no_bandwidth",
    "gatekeeper_resources",
    "unreachable_destination",
    "destination_rejection",
    "invalid_revision",
    "no_permission",
    "unreachable_gatekeeper",
    "gateway_resources",
    "bad_format_address",
    "adaptive_busy",
    "in_conference",
    "undefined",
];
const LATER_REASONS: [&str; 6] = [
    "facility_call_deflection",
    "security_denied",
    "called_party_not_registered",
    "caller_not_registered",
    "new_connection_needed",
    "non_standard",
];

/// What the part of H.323 says.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    /// Version of H.225.0.
    pub(super) version: Option<u8>,
    /// Where the control channel (H.245) is offered.
    pub(super) control: Option<Endpoint>,
    /// The call's globally unique identifier.
    pub(super) call_id: Option<&'a [u8; 16]>,
    /// Why the call ends.
    pub(super) reason: Option<&'static str>,
    /// Logical channels of H.245 that are proposed with the call.
    pub(super) channels: Vec<&'a [u8]>,
    /// Messages of H.245.
    pub(super) tunnelled: Vec<&'a [u8]>,
}

/// Where in its additions a message has them.
struct Additions {
    call_id: u32,
    fast_start: Option<u32>,
    control: Option<u32>,
}

impl<'a> Body<'a> {
    /// Reads the contents of a user-to-user element. `None` where it is not H.323.
    pub(super) fn parse(user: &'a [u8]) -> Option<Self> {
        let mut per = Per::new(user);
        let _has_user_data = per.bits(2)?;
        let (is_extended, non_standard) = (per.flag()?, per.flag()?);
        let mut body = Self::default();
        match per.choice(7)? {
            Choice::Root(kind) => {
                let is_read = body.message(kind, &mut per);
                body.version?;
                if is_read.is_none() {
                    return Some(body);
                }
            }
            // Progress, empty, status, status inquiry, setup acknowledgement, notify.
            Choice::Extension(1, _) => {}
            Choice::Extension(_, mut inside) => {
                // Extension and, in progress, five optional fields.
                inside.flag()?;
                body.version = Some(version(&mut inside)?);
            }
        }
        // Whatever cannot be read leaves what was found.
        let _ = body.rest(&mut per, is_extended, non_standard);
        Some(body)
    }

    fn message(&mut self, kind: u32, per: &mut Per<'a>) -> Option<()> {
        let is_extended = per.flag()?;
        let additions = match kind {
            0 => self.setup(per)?,
            1 | 3 => self.progress(per)?,
            2 => self.connect(per)?,
            5 => self.release(per)?,
            6 => self.facility(per)?,
            _ => {
                self.version = Some(version(per)?);
                Additions {
                    call_id: 0,
                    fast_start: None,
                    control: None,
                }
            }
        };
        if !is_extended {
            return Some(());
        }
        for (index, mut inside) in per.additions()? {
            if index == additions.call_id {
                // Extension, then the identifier.
                let _ = inside.flag();
                self.call_id = inside.array();
            } else if Some(index) == additions.fast_start {
                self.channels = strings(&mut inside).unwrap_or_default();
            } else if Some(index) == additions.control {
                self.control = address(&mut inside);
            }
        }
        Some(())
    }

    /// `Setup-UUIE`.
    fn setup(&mut self, per: &mut Per<'a>) -> Option<Additions> {
        let [
            control,
            source,
            destination,
            signal,
            extra,
            extra_references,
            services,
        ] = flags(per)?;
        self.version = Some(version(per)?);
        if control {
            self.control = Some(address(per)?);
        }
        if source {
            skip_aliases(per)?;
        }
        skip_endpoint_type(per)?;
        if destination {
            skip_aliases(per)?;
        }
        if signal {
            address(per)?;
        }
        if extra {
            skip_aliases(per)?;
        }
        if extra_references {
            for _ in 0..per.length()? {
                per.number(0x1_0000)?;
            }
        }
        // An active multipoint controller; the conference and its goal.
        per.flag()?;
        per.octets(16)?;
        per.choice(3)?;
        if services {
            return None;
        }
        per.choice(4)?;
        Some(Additions {
            call_id: 2,
            fast_start: Some(6),
            control: None,
        })
    }

    /// `CallProceeding-UUIE` and `Alerting-UUIE`.
    fn progress(&mut self, per: &mut Per<'a>) -> Option<Additions> {
        let [control] = flags(per)?;
        self.version = Some(version(per)?);
        skip_endpoint_type(per)?;
        if control {
            self.control = Some(address(per)?);
        }
        Some(Additions {
            call_id: 0,
            fast_start: Some(4),
            control: None,
        })
    }

    /// `Connect-UUIE`.
    fn connect(&mut self, per: &mut Per<'a>) -> Option<Additions> {
        let [control] = flags(per)?;
        self.version = Some(version(per)?);
        if control {
            self.control = Some(address(per)?);
        }
        skip_endpoint_type(per)?;
        per.octets(16)?;
        Some(Additions {
            call_id: 0,
            fast_start: Some(4),
            control: None,
        })
    }

    /// `ReleaseComplete-UUIE`.
    fn release(&mut self, per: &mut Per<'a>) -> Option<Additions> {
        let [reason] = flags(per)?;
        self.version = Some(version(per)?);
        if reason {
            let (names, index): (&[&str], u32) = match per.choice(12)? {
                Choice::Root(index) => (&REASONS, index),
                Choice::Extension(index, _) => (&LATER_REASONS, index),
            };
            self.reason = names.get(usize::try_from(index).ok()?).copied();
        }
        Some(Additions {
            call_id: 0,
            fast_start: None,
            control: None,
        })
    }

    /// `Facility-UUIE`.
    fn facility(&mut self, per: &mut Per<'a>) -> Option<Additions> {
        let [other, alias, conference] = flags(per)?;
        self.version = Some(version(per)?);
        if other {
            address(per)?;
        }
        if alias {
            skip_aliases(per)?;
        }
        if conference {
            per.octets(16)?;
        }
        per.choice(4)?;
        Some(Additions {
            call_id: 0,
            fast_start: Some(7),
            control: Some(6),
        })
    }

    /// What stands behind the message in `H323-UU-PDU`.
    fn rest(&mut self, per: &mut Per<'a>, is_extended: bool, non_standard: bool) -> Option<()> {
        if non_standard {
            skip_non_standard(per)?;
        }
        if !is_extended {
            return Some(());
        }
        for (index, mut inside) in per.additions()? {
            // Supplementary services, whether control is tunnelled, the control itself ...
            if index == 2 {
                self.tunnelled = strings(&mut inside)?;
            }
        }
        Some(())
    }
}

fn flags<const N: usize>(per: &mut Per<'_>) -> Option<[bool; N]> {
    let mut flags = [false; N];
    for flag in &mut flags {
        *flag = per.flag()?;
    }
    Some(flags)
}

/// A list of OCTET STRING.
fn strings<'a>(per: &mut Per<'a>) -> Option<Vec<&'a [u8]>> {
    let count = per.length()?;
    (0..count).map(|_| per.string()).collect()
}

/// Kinds of registration, admission and status (RAS) by their index in `RasMessage`.
const RAS: [&str; 25] = [
    "gatekeeper_request",
    "gatekeeper_confirm",
    "gatekeeper_reject",
    "registration_request",
    "registration_confirm",
    "registration_reject",
    "unregistration_request",
    "unregistration_confirm",
    "unregistration_reject",
    "admission_request",
    "admission_confirm",
    "admission_reject",
    "bandwidth_request",
    "bandwidth_confirm",
    "bandwidth_reject",
    "disengage_request",
    "disengage_confirm",
    "disengage_reject",
    "location_request",
    "location_confirm",
    "location_reject",
    "info_request",
    "info_request_response",
    "non_standard",
    "unknown_message_response",
];

/// A message of RAS.
#[derive(Debug)]
pub(super) struct Ras {
    pub(super) name: &'static str,
    /// Version of H.225.0, in those messages that have it: they are proof.
    pub(super) version: Option<u8>,
    /// Where calls are signalled to, of a registration.
    pub(super) signal: Vec<Endpoint>,
    /// Whether the client sends such a message, where only one side does.
    pub(super) is_request: Option<bool>,
}

impl Ras {
    /// Reads a datagram.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut per = Per::new(bytes);
        let Choice::Root(index) = per.choice(25)? else {
            // Requests in progress and messages of later versions: an open type that fills the datagram.
            return (per.offset() == bytes.len()).then_some(Self {
                name: "extension",
                version: None,
                signal: Vec::new(),
                is_request: None,
            });
        };
        let mut message = Self {
            name: RAS.get(usize::try_from(index).ok()?)?,
            version: None,
            signal: Vec::new(),
            is_request: match index {
                0 | 3 => Some(true),
                1 | 2 | 4 | 5 => Some(false),
                _ => None,
            },
        };
        let _is_extended = per.flag()?;
        // Optional fields before the number of the request.
        let optional = match index {
            0 => 4,
            3 | 4 => 3,
            1 | 2 | 5 => 2,
            _ => return Some(message),
        };
        let optional = per.bits(optional)?;
        let _number = per.number(0xffff)?;
        message.version = Some(version(&mut per)?);
        let is_plain = optional & 4 == 0;
        if index == 3 && is_plain {
            per.flag()?;
        }
        if matches!(index, 3 | 4) && is_plain {
            message.signal = addresses(&mut per).unwrap_or_default();
        }
        Some(message)
    }
}
