//! Binds and their answers: which interfaces a connection has, and what a channel shows of them alone.

use super::super::bind::{self, Outcome, Proposals, Syntax};
use super::super::pdu::{AuthLevel, AuthType, Header, Kind, Trailer};
use super::super::{
    ACCEPTED, AUTH_TYPE, BIND_AUTH_LEVEL, BOUND, PROPOSED, REJECTED, REQUESTED, SECONDARY_ADDRESS,
};
use super::{Context, MAX_BINDS, MAX_CONTEXTS, Stream, call_subject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

impl Stream {
    pub(super) fn bind(
        &mut self,
        header: &Header,
        bytes: &[u8],
        whole: bool,
        notes: &mut Notes<'_>,
    ) {
        // A continued bind repeats no contexts, and is continued for its token. Some scanners set no flags at all.
        let is_first = header.is_first()
            || (header.auth_length == 0 && !self.proposals.contains_key(&header.call_id));
        let proposals = if is_first {
            bind::proposals(header, bytes)
        } else {
            Proposals::new()
        };
        for (place, proposal) in (0..).zip(&proposals) {
            if proposal.interface.is_transfer() {
                continue;
            }
            notes.about(u64::from(proposal.context));
            notes.value(REQUESTED, proposal.interface.value());
            if self.is_channel {
                notes.about(call_subject(header.call_id, place, proposal.context));
                notes.value(PROPOSED, proposal.interface.value());
            }
        }
        if !whole {
            return;
        }
        self.bind_seen |= header.kind == Kind::BIND;
        let trailer = header
            .trailer_offset()
            .and_then(|offset| bytes.get(offset..))
            .and_then(|rest| Trailer::parse(&mut Cursor::new(rest)).ok());
        let announced = match trailer {
            Some(trailer) => Some((trailer.service, trailer.level)),
            // Contexts that are added later use the security of the connection.
            None if header.kind == Kind::BIND && is_first => {
                Some((AuthType::NONE, AuthLevel::NONE))
            }
            None => None,
        };
        if let Some((service, level)) = announced {
            self.announced = announced;
            for proposal in &proposals {
                notes.about(u64::from(proposal.context));
                notes.text(AUTH_TYPE, &service.to_string());
                notes.text(BIND_AUTH_LEVEL, &level.to_string());
            }
        }
        if is_first {
            if self.proposals.len() >= MAX_BINDS {
                self.proposals.pop_first();
            }
            self.proposals.insert(header.call_id, proposals);
        }
    }

    pub(super) fn acknowledge(
        &mut self,
        header: &Header,
        bytes: &[u8],
        whole: bool,
        notes: &mut Notes<'_>,
    ) {
        let answer = bind::acknowledgement(header, bytes);
        notes.about(0);
        notes.bytes(SECONDARY_ADDRESS, answer.secondary_address);
        let Some(proposals) = self.proposals.get(&header.call_id) else {
            if self.is_channel {
                accepted_elsewhere(header, &answer, notes);
            }
            return;
        };
        let pairs = || proposals.iter().zip(&answer.outcomes);
        let is_accepted = |interface: Syntax| {
            pairs().any(|(p, o)| p.interface == interface && o.result == Outcome::ACCEPTED)
        };
        for (proposal, outcome) in pairs() {
            let interface = proposal.interface;
            notes.about(u64::from(proposal.context));
            if outcome.result == Outcome::ACCEPTED {
                if !interface.is_transfer() {
                    notes.value(BOUND, interface.value());
                }
                if self.contexts.len() < MAX_CONTEXTS
                    || self.contexts.contains_key(&proposal.context)
                {
                    let ndr64 = outcome.transfer.is_ndr64();
                    self.contexts
                        .insert(proposal.context, Context { interface, ndr64 });
                }
            } else if let Some(reason) = outcome.reason_name()
                // One interface is offered once for each transfer syntax, and accepted once.
                && whole
                && !is_accepted(interface)
            {
                let Syntax { uuid, major, minor } = interface;
                notes.text(REJECTED, &format!("{uuid} {major}.{minor}: {reason}"));
            }
        }
        if whole {
            self.proposals.remove(&header.call_id);
        }
    }
}

/// Notes which proposals of a bind in another channel are accepted.
fn accepted_elsewhere(header: &Header, answer: &bind::Acknowledgement<'_>, notes: &mut Notes<'_>) {
    for (place, outcome) in (0..).zip(&answer.outcomes) {
        if outcome.result == Outcome::ACCEPTED {
            notes.about(call_subject(header.call_id, place, 0));
            notes.value(ACCEPTED, outcome.transfer.value());
        }
    }
}
