//! What the rows of a port say of flows that are alike.
//!
//! Most flows of a scan, a flood or an office differ in nothing that rows look at: port, roles and products of the ends,
//! proven protocols, encryption. What follows from these alone is worked out once and shared. Nothing that one flow
//! alone shows (facts, offers, packet numbers) enters here.

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::flow::Flow;
use super::judge::Outcome;
use super::rows::RowFit;
use super::{Encrypted, Encryption, Ends, Evidence, Judge, Party};
use crate::net::Transport;
use crate::signature::{Product, Role, ServiceId};

/// Situations that are remembered: more than a network has services, few enough that hostile ports cost megabytes at most.
const MAX_KNOWN: usize = 4096;

/// All of a flow that rows look at.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Situation {
    transport: Transport,
    port: u16,
    moved: Option<ServiceId>,
    client: Who,
    server: Who,
    protocols: SmallVec<[&'static str; 4]>,
    spoken: SmallVec<[&'static str; 4]>,
    encryption: Encrypted,
}

/// What rows look at of one end.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Who {
    roles: SmallVec<[Role; 4]>,
    is_known: bool,
    product: Option<Product>,
}

impl Who {
    fn of(party: &Party) -> Self {
        Self {
            roles: SmallVec::from_slice(&party.roles),
            is_known: party.is_known,
            product: party.product,
        }
    }
}

/// What rows say in a situation.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// The rows that may be meant.
    pub(super) fits: Vec<RowFit<'a>>,
    /// The services that they name.
    pub(super) evidence: Vec<Evidence>,
    /// What follows where nothing else speaks.
    pub(super) outcome: Outcome,
}

/// The claims that were worked out so far.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    known: RefCell<HashMap<Situation, Rc<Claim<'a>>, foldhash::fast::RandomState>>,
}

impl<'a> Judge<'a> {
    /// What rows say of a flow.
    pub(super) fn claim(
        &self,
        flow: &Flow,
        ends: &Ends,
        protocols: &[&'static str],
        spoken: &[&'static str],
        encryption: &Encryption,
    ) -> Rc<Claim<'a>> {
        if self.has_own_rows(flow, protocols) {
            return Rc::new(self.work_out(flow, ends, protocols, spoken, encryption));
        }
        let situation = Situation {
            transport: flow.key.transport,
            port: flow.server().port,
            moved: self.moved(flow).cloned(),
            client: Who::of(&ends.client),
            server: Who::of(&ends.server),
            protocols: SmallVec::from_slice(protocols),
            spoken: SmallVec::from_slice(spoken),
            encryption: encryption.kind,
        };
        if let Some(known) = self.claims.known.borrow().get(&situation) {
            return Rc::clone(known);
        }
        let claim = Rc::new(self.work_out(flow, ends, protocols, spoken, encryption));
        let mut known = self.claims.known.borrow_mut();
        if known.len() < MAX_KNOWN {
            known.insert(situation, Rc::clone(&claim));
        }
        claim
    }

    fn work_out(
        &self,
        flow: &Flow,
        ends: &Ends,
        protocols: &[&'static str],
        spoken: &[&'static str],
        encryption: &Encryption,
    ) -> Claim<'a> {
        let fits = self.rows(flow, ends, protocols, spoken);
        let evidence = self.by_rows(flow, spoken, &fits, encryption);
        let outcome = self.weigh(
            flow,
            evidence.clone(),
            Vec::new(),
            &fits,
            encryption,
            protocols,
            spoken,
        );
        Claim {
            fits,
            evidence,
            outcome,
        }
    }
}
