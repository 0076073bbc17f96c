//! Roles inferred from facts: who listens on what, with which proof.
//!
//! A clue is something that one flow proves about its server or its client. Two different clues for one role
//! corroborate each other. Nothing is inferred from a port alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use uuid::{Uuid, uuid};

use crate::evidence::{Fact, Seen, Value};
use crate::net::{FlowKey, Side};
use crate::signature::Role;

/// Why a host is thought to play a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clue {
    /// What was seen, for people.
    pub because: String,
    /// Where it was seen first.
    pub seen: Seen,
}

/// Roles inferred from facts, by address.
#[derive(Clone, Debug, Default)]
pub struct Inferred {
    hosts: BTreeMap<IpAddr, BTreeMap<Role, BTreeSet<Clue>>>,
}

/// RPC interfaces that give a server's role away.
const INTERFACES: &[(Uuid, Role, &str)] = &[
    (
        uuid!("a4f1db00-ca47-1067-b31f-00dd010662da"),
        Role::ExchangeAny,
        "serves EMSMDB",
    ),
    (
        uuid!("5261574a-4572-206e-b268-6b199213b4e4"),
        Role::ExchangeAny,
        "serves AsyncEMSMDB",
    ),
    (
        uuid!("1544f5e0-613c-11d1-93df-00c04fd7bd09"),
        Role::ExchangeAny,
        "serves the address book referral",
    ),
    (
        uuid!("469d6ec0-0d87-11ce-b13f-00aa003bac6c"),
        Role::ExchangeAny,
        "serves the System Attendant",
    ),
    (
        uuid!("12345678-1234-abcd-ef00-01234567cffb"),
        Role::DomainController,
        "serves netlogon",
    ),
    (
        uuid!("e3514235-4b06-11d1-ab04-00c04fc2dcd2"),
        Role::DomainController,
        "serves drsuapi",
    ),
    (
        uuid!("b97db8b2-4c63-11cf-bff6-08002be23f2f"),
        Role::ClusterNode,
        "serves clusapi",
    ),
];

/// A text fact that gives a role away: protocol, attribute, what it contains (lower case), and the role of its sender.
type Text = (&'static str, &'static str, &'static str, Role, &'static str);

/// What servers and clients say of themselves.
const TEXTS: &[Text] = &[
    (
        "smtp",
        "banner",
        "microsoft esmtp mail service",
        Role::ExchangeAny,
        "greets as Microsoft ESMTP",
    ),
    (
        "smtp",
        "keyword",
        "x-anonymoustls",
        Role::ExchangeAny,
        "offers X-ANONYMOUSTLS",
    ),
    (
        "smtp",
        "keyword",
        "xexch50",
        Role::ExchangeAny,
        "offers XEXCH50",
    ),
    (
        "smtp",
        "keyword",
        "xshadow",
        Role::ExchangeAny,
        "offers XSHADOW",
    ),
    (
        "smtp",
        "keyword",
        "xrdst",
        Role::ExchangeAny,
        "offers XRDST",
    ),
    (
        "http",
        "exchange_header",
        "x-owa-version",
        Role::ClientAccess,
        "answers as Outlook Web App",
    ),
    (
        "http",
        "exchange_header",
        "x-feserver",
        Role::ClientAccess,
        "answers as Exchange front end",
    ),
    (
        "sip",
        "server",
        "rtc/",
        Role::LyncServer,
        "answers as Lync (RTC)",
    ),
    (
        "sip",
        "user_agent",
        "rtcc/",
        Role::LyncServer,
        "speaks as a Lync server (RTCC)",
    ),
    (
        "sip",
        "user_agent",
        "mediationserver",
        Role::LyncMediation,
        "speaks as Mediation Server",
    ),
    (
        "sip",
        "user_agent",
        "uccapi/",
        Role::LyncClient,
        "speaks as a Lync client (UCCAPI)",
    ),
    (
        "sip",
        "user_agent",
        "msexchangeum",
        Role::UnifiedMessaging,
        "speaks as Exchange UM",
    ),
    (
        "sip",
        "server",
        "msexchangeum",
        Role::UnifiedMessaging,
        "answers as Exchange UM",
    ),
];

/// A proven protocol that gives the server's role away.
const PROTOCOLS: &[(&str, Role, &str)] = &[
    ("kerberos", Role::DomainController, "answers Kerberos"),
    ("cldap", Role::DomainController, "answers the LDAP ping"),
    ("dns", Role::DnsServer, "answers DNS"),
];

impl Inferred {
    /// Takes in the facts of one flow. `client` is its client's side.
    pub fn learn<'a>(
        &mut self,
        key: FlowKey,
        client: Side,
        facts: impl Iterator<Item = (&'a Fact, Seen)>,
    ) {
        let server = key.endpoint(client.other()).address;
        for (fact, seen) in facts {
            match &fact.value {
                Value::Interface { uuid, .. } if fact.attribute.name == "bound" => {
                    for (_, role, because) in INTERFACES.iter().filter(|(known, ..)| known == uuid)
                    {
                        self.clue(server, *role, because, seen);
                    }
                }
                Value::Text(text) => {
                    let sender = key.endpoint(fact.side).address;
                    let wanted = |name: &&Text| {
                        name.0 == fact.attribute.protocol && name.1 == fact.attribute.name
                    };
                    for (_, _, contains, role, because) in TEXTS.iter().filter(wanted) {
                        if text.to_lowercase().contains(contains) {
                            self.clue(sender, *role, because, seen);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes in that the server of a flow answered in a protocol.
    pub fn answers(&mut self, server: IpAddr, protocol: &str, seen: Seen) {
        for (_, role, because) in PROTOCOLS.iter().filter(|(known, ..)| *known == protocol) {
            self.clue(server, *role, because, seen);
        }
    }

    fn clue(&mut self, address: IpAddr, role: Role, because: &str, seen: Seen) {
        let clues = self
            .hosts
            .entry(address)
            .or_default()
            .entry(role)
            .or_default();
        // One clue of a kind is enough: the earliest.
        let known = clues.iter().find(|clue| clue.because == because).cloned();
        match known {
            Some(clue) if clue.seen <= seen => {}
            Some(clue) => {
                clues.remove(&clue);
                clues.insert(Clue { seen, ..clue });
            }
            None => {
                clues.insert(Clue {
                    because: because.to_owned(),
                    seen,
                });
            }
        }
    }

    /// Roles of an address.
    pub fn roles(&self, address: IpAddr) -> impl Iterator<Item = (Role, &BTreeSet<Clue>)> {
        self.hosts
            .get(&address)
            .into_iter()
            .flatten()
            .map(|(role, clues)| (*role, clues))
    }
}
