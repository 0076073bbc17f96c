//! What checks may look at: one flow with what it is, and what is known beside it.

use std::net::IpAddr;

use crate::attribution::{Attribution, Flow, Judged, Listener, Offers, Party, Sight};
use crate::evidence::Seen;
use crate::signature::{Kind, Row, RowId, Signatures};
use crate::topology::Topology;

use super::{MAX_EVIDENCE, Severity};

/// What is known beside the flow at hand.
pub(super) struct Scene<'a> {
    pub(super) signatures: &'a Signatures,
    pub(super) topology: &'a Topology,
    pub(super) offers: &'a Offers,
    pub(super) judged: &'a Judged<'a>,
}

impl Scene<'_> {
    /// "frame 17", with the tap where there are several.
    pub(super) fn frame(&self, sight: Sight) -> String {
        self.judged.flows.frame(sight)
    }

    /// A host that no flow at hand names.
    pub(super) fn named(&self, address: IpAddr) -> String {
        match self.judged.name(address) {
            Some(name) => format!("{} ({address})", name.text),
            None => address.to_string(),
        }
    }

    /// The title of a row.
    pub(super) fn title(&self, row: &RowId) -> String {
        let row = self.signatures.matrix.row(row);
        row.map(|row| row.title.to_string()).unwrap_or_default()
    }
}

/// "frame 17".
pub(super) fn seen(seen: Seen) -> String {
    format!("frame {}", seen.frame)
}

/// One flow with what it is.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) flow: &'a Flow,
    pub(super) attribution: &'a Attribution,
    /// [`Flow::is_mute`], asked once for all checks.
    pub(super) is_mute: bool,
    /// [`Flow::sayers`], of which the same holds.
    pub(super) sayers: &'a [&'static str],
}

impl<'a> Subject<'a> {
    /// `sayers` are [`Flow::sayers`].
    pub(super) fn of(
        flow: &'a Flow,
        attribution: &'a Attribution,
        sayers: &'a [&'static str],
    ) -> Self {
        Self {
            flow,
            attribution,
            is_mute: flow.is_mute(),
            sayers,
        }
    }
}

impl<'a> Subject<'a> {
    /// The row that the verdict was measured by.
    pub(super) fn best(&self) -> Option<&'a RowId> {
        self.attribution.rows.first()
    }

    /// Rows that it fits.
    pub(super) fn rows(&self, signatures: &'a Signatures) -> impl Iterator<Item = &'a Row> {
        self.attribution
            .rows
            .iter()
            .filter_map(|id| signatures.matrix.row(id))
    }

    /// Data paths that it fits.
    pub(super) fn paths(&self, signatures: &'a Signatures) -> Vec<&'a Row> {
        self.rows(signatures)
            .filter(|row| row.kind == Kind::DataPath)
            .collect()
    }

    /// The attribution's own evidence, after `more`.
    pub(super) fn evidence(&self, more: &[String]) -> Vec<String> {
        let because = self.attribution.because.iter().map(ToString::to_string);
        more.iter()
            .cloned()
            .chain(because)
            .take(MAX_EVIDENCE)
            .collect()
    }

    /// The texts of an attribute, each with the sentence that quotes it.
    pub(super) fn texts(
        &self,
        scene: &Scene<'_>,
        protocol: &'static str,
        name: &'static str,
    ) -> Vec<(&'a str, String)> {
        self.flow
            .facts_of(protocol, name)
            .filter_map(|(fact, sight)| Some((fact.value.as_text()?, sight)))
            .map(|(text, sight)| {
                let frame = scene.frame(sight);
                (text, format!("{frame}: {protocol} {name} `{text}`"))
            })
            .collect()
    }

    /// How much a failure weighs that the payload proves: between known hosts of the matrix it breaks a documented path.
    pub(super) fn weight(&self) -> Severity {
        let is_documented = !self.attribution.rows.is_empty();
        if self.is_ours() && is_documented {
            Severity::Error
        } else if self.is_ours() || is_documented {
            Severity::Warning
        } else {
            Severity::Info
        }
    }

    /// The first of the texts of an attribute that `wanted` takes, with the sentence that quotes it.
    pub(super) fn says(
        &self,
        scene: &Scene<'_>,
        protocol: &'static str,
        name: &'static str,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<(&'a str, String)> {
        self.flow
            .facts_of(protocol, name)
            .filter_map(|(fact, sight)| Some((fact.value.as_text()?, sight)))
            .find(|(text, _)| wanted(text))
            .map(|(text, sight)| {
                (
                    text,
                    format!("{}: {protocol} {name} `{text}`", scene.frame(sight)),
                )
            })
    }

    pub(super) const fn client(&self) -> &'a Party {
        &self.attribution.ends.client
    }

    pub(super) const fn server(&self) -> &'a Party {
        &self.attribution.ends.server
    }

    /// Both ends' roles are known from the topology file.
    pub(super) fn is_known(&self) -> bool {
        self.client().is_known && self.server().is_known
    }

    /// Whether the matrix speaks of one of the ends: it is an Exchange or Lync server by the topology file.
    pub(super) fn is_ours(&self) -> bool {
        [self.client(), self.server()]
            .iter()
            .any(|party| party.is_known && is_server(party))
    }

    /// What it is called in messages.
    pub(super) fn what(&self, signatures: &Signatures) -> String {
        let service = self
            .attribution
            .service
            .as_ref()
            .and_then(|id| signatures.catalog.service(id));
        let carriers = self.flow.carriers();
        let within = match carriers.as_slice() {
            [] => String::new(),
            carriers => format!(" through {}", carriers.join(" and ")),
        };
        match service {
            Some(service) => format!("{}{within}", service.name),
            None => match self.spoken() {
                Some(spoken) => format!("{spoken}{within}"),
                None => format!(
                    "{} port {}",
                    self.flow.key.transport,
                    self.server().endpoint.port
                ),
            },
        }
    }

    /// The protocols that are spoken, in words.
    pub(super) fn spoken(&self) -> Option<String> {
        let spoken = &self.attribution.spoken;
        (!spoken.is_empty()).then(|| spoken.join(" and "))
    }

    /// "from X to Y:port".
    pub(super) fn path(&self) -> String {
        format!(
            "from {} to {}",
            host(self.client()),
            listener(self.server())
        )
    }
}

/// An address with its name.
pub(super) fn host(party: &Party) -> String {
    party.to_string()
}

/// An endpoint with its name.
pub(super) fn listener(party: &Party) -> String {
    Listener(party).to_string()
}

/// Whether the matrix speaks of the host: an Exchange or Lync server.
pub(super) fn is_server(party: &Party) -> bool {
    party
        .roles
        .iter()
        .any(|role| role.is_exchange() || role.is_lync())
}
