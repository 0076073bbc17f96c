//! `extract`: the packets of findings, flows, services or calls, with their evidence as comments.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};

use super::args::Extracting;
use super::output::{Output, say, write_file};
use super::{Ending, Run};
use crate::attribution::{CallFlows, Flow, Judged, Standing, calls};
use crate::audit::{Finding, Selection, audit};
use crate::capture::{Input, plan};
use crate::extract::{Extracted, Wanted, extract};
use crate::signature::{ServiceId, Signatures, UnknownWord};

pub(super) fn run(extracting: &Extracting) -> anyhow::Result<Ending> {
    let Extracting {
        scanning,
        finding,
        flow,
        service,
        call,
    } = extracting;
    let (captures, reading) = (&scanning.captures, &scanning.reading);
    if reading.output.format.is_some() {
        bail!("--format: packets are pcapng, and have no other format");
    }
    let Some(path) = &reading.output.output else {
        bail!("expected --output FILE to write the packets to, found none");
    };
    if captures.iter().any(|capture| capture == "-") {
        bail!(
            "standard input can be read once, and packets are taken out in a second pass: name a file"
        );
    }
    if finding.is_empty() && flow.is_empty() && service.is_empty() && call.is_empty() {
        bail!("expected --finding, --flow, --service or --call, found none of them");
    }
    let codes = Selection::new(finding.iter().map(String::as_str), [])?;
    let output = Output::new(&reading.output)?;
    let (run, ledger) = Run::with(captures, reading, output, |_| Ok(()))?;
    let services = services(service, &run.signatures)?;
    let judged = run.judge(ledger);
    let findings = audit(&judged, judged.signatures(), judged.topology());
    let mut numbers: BTreeSet<u64> = flow.iter().map(|number| number.get()).collect();
    if let Some(missing) = numbers.iter().find(|number| **number > judged.len()) {
        bail!(
            "--flow: expected a number from 1 to {}, found {missing}",
            judged.len()
        );
    }
    numbers.extend(of_calls(call, &judged)?);
    let shown: Vec<&Finding> = findings
        .iter()
        .filter(|found| !finding.is_empty() && codes.admits(found.code))
        .collect();
    let mut wanted = Wanted::default();
    let mut flows: u64 = 0;
    judged.for_each(|flow, attribution| {
        let named: Vec<&&Finding> = shown
            .iter()
            .filter(|found| found.flows.contains(flow.number))
            .collect();
        let is_service = attribution
            .service
            .as_ref()
            .is_some_and(|id| services.contains(id));
        if named.is_empty() && !is_service && !numbers.contains(&flow.number) {
            return;
        }
        flows = flows.saturating_add(1);
        let opening = findings
            .iter()
            .filter(|found| found.flows.contains(flow.number))
            .map(|found| {
                format!(
                    "flow {}: {} {}: {}",
                    flow.number,
                    found.severity.word(),
                    found.code,
                    found.message
                )
            })
            .collect();
        let tracker = &flow.tracker;
        wanted.flow(flow.key, tracker.first_seen, tracker.last_seen, opening);
        evidence(&mut wanted, &judged, flow);
    });
    if flows == 0 {
        bail!("nothing to write: no flow is of these findings, services or calls");
    }
    let inputs: Vec<Input> = captures
        .iter()
        .map(|argument| Input::from_argument(argument))
        .collect();
    let plan = plan(&inputs, reading.grouping())?;
    let mut extracted = Extracted::default();
    let mut trouble = None;
    write_file(path, |out| {
        match extract(&plan.chains, reading.filter.as_deref(), wanted, out) {
            Ok(done) => {
                extracted = done;
                Ok(())
            }
            Err(error) => {
                let said = std::io::Error::other(error.to_string());
                trouble = Some(error);
                Err(said)
            }
        }
    })
    .with_context(|| format!("cannot write {}", path.display()))?;
    if !reading.output.quiet {
        say(&format!(
            "packets {}, flows {flows}, comments {}, in {}",
            extracted.packets,
            extracted.comments,
            path.display()
        ));
    }
    for (count, what) in [
        (extracted.comments_left_out, "comments, which are bounded"),
        (
            extracted.fragments_left_out,
            "fragments, of which too many waited",
        ),
    ] {
        if count > 0 {
            say(&format!("warning: left out: {count} {what}"));
        }
    }
    Ok(run.ending(Ending::Clean, judged))
}

fn services(words: &[String], signatures: &Signatures) -> anyhow::Result<BTreeSet<ServiceId>> {
    let mut services = BTreeSet::new();
    for word in words {
        let id = ServiceId(word.as_str().into());
        if signatures.catalog.service(&id).is_none() {
            let known = signatures.catalog.services().map(|known| known.id.as_str());
            bail!("--service: {}", UnknownWord::new("service", word, known));
        }
        services.insert(id);
    }
    Ok(services)
}

fn of_calls(ids: &[String], judged: &Judged<'_>) -> anyhow::Result<BTreeSet<u64>> {
    let mut numbers = BTreeSet::new();
    if ids.is_empty() {
        return Ok(numbers);
    }
    let flows = CallFlows::of(judged);
    let calls = calls(&flows);
    for id in ids {
        let Some(call) = calls.iter().find(|call| call.call_id == Some(id)) else {
            let known = calls.iter().filter_map(|call| call.call_id);
            bail!("--call: {}", UnknownWord::new("call", id, known));
        };
        numbers.extend(call.flows());
    }
    Ok(numbers)
}

/// Says of packets what they prove, in the flow and in those that announced its endpoints.
fn evidence(wanted: &mut Wanted, judged: &Judged<'_>, flow: &Flow) {
    let tap = |index: u32| judged.flows.taps.get(index as usize).map_or("", |tap| tap);
    let number = flow.number;
    for (name, (layer, place)) in &flow.protocols {
        wanted.packet(
            tap(*place),
            layer.seen.frame,
            format!("flow {number}: {name} is proven"),
        );
    }
    for (fact, sight) in &flow.facts {
        let end = if fact.side == flow.client {
            "client"
        } else {
            "server"
        };
        let said = format!("flow {number}: {end}: {} `{}`", fact.attribute, fact.value);
        wanted.packet(tap(sight.tap), sight.seen.frame, said);
    }
    let offers = &judged.offers;
    let announced = offers.of_server(flow);
    let announced = announced.chain(offers.protocols(flow).map(|(standing, ..)| standing));
    for Standing {
        offer,
        sight,
        flow: carrier,
    } in announced.chain(offers.media(flow))
    {
        let said = format!(
            "flow {carrier}: announces {} for flow {number}",
            offer.endpoint
        );
        wanted.packet(tap(sight.tap), sight.seen.frame, said);
    }
}
