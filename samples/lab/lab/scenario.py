"""What a scenario works with: steps, declarations, the capture, and the manifest at the end."""

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from . import calls, manifest, rpc, taps
from .taps import LINGER_SECONDS

HEADER = "# Written by the driver of the lab: what it did, counted by tshark. Not to be edited."


@dataclass
class Outcome:
    """One capture that was built, with its manifest and what does not agree."""

    name: str
    paths: list
    text: str
    flows: int
    wrong: list


class Scenario:
    """One capture, or several of the same traffic, and what is in them."""

    def __init__(self, lab, name, module):
        self.lab = lab
        self.name = name
        self.title = module.TITLE
        self.tap = getattr(module, "TAP", "core")
        self.decode_as = getattr(module, "DECODE_AS", ())
        self.declared, self.causes, self.endpoints, self.calls, self.later = [], [], [], [], []
        self.window = None
        self.step_name = None

    @contextmanager
    def step(self, name):
        """One thing that is done; its declarations hold for connections that begin in it."""
        window = [time.time(), float("inf")]
        self.window, self.step_name = window, name
        try:
            yield
        finally:
            time.sleep(LINGER_SECONDS)
            window[1] = time.time()
            self.window = self.step_name = None

    def flow(self, client, server, port, transport="tcp", count=1, note=None, parity=None, client_parity=None, **about):
        """Declares connections, by host names. `about` is what the manifest says of them."""
        # A client certificate is an authentication.
        authentication = ["certificate"] if about.get("mutual") else []
        about = {
            "service": None, "protocols": [], "encryption": "none", "authentication": authentication,
            "verdict": "documented", "findings": [], "note": note or self.step_name, **about,
        }
        count = (count, count) if isinstance(count, int) else count
        declared = manifest.Declared(client, server, port, transport, about, count, self.window, parity, client_parity)
        self.declared.append(declared)
        return declared

    def dns(self, client, server="ns1", **about):
        """The lookups that this host makes, as many as its resolver likes."""
        about = {"service": "dns", "protocols": ["dns"], "note": "names asked by the programs of this host", **about}
        return self.flow(client, server, 53, transport="udp", count=(0, 999), **about)

    def bound(self, interface, auth="none", level="none"):
        """An RPC interface as a flow binds it, with the authentication that the client was told to use."""
        uuid, version = rpc.INTERFACES[interface]
        return [{"uuid": uuid, "version": version, "auth_type": auth, "auth_level": level}]

    def kerberos(self, client, **about):
        """Requests to the domain controller, over UDP and, where an answer is too large for it, over TCP."""
        about = {"service": "kerberos", "protocols": ["kerberos"], "encryption": "unknown",
                 "note": "tickets asked for by the programs of this host", **about}
        return [self.flow(client, "dc1", 88, transport, (0, 99), **about) for transport in ("udp", "tcp")]

    def serial(self):
        """A new number within the scenario."""
        self.numbers = getattr(self, "numbers", 0) + 1
        return self.numbers

    def call(self, caller, callee, port, transport, callee_ports, caller_ports, srtp=False, one_way=None, **about):
        """Declares a call: its signalling, its media in RTP or SRTP, and RTCP beside it.

        `one_way` names the only host whose media arrive. What TLS hides announces nothing: then nobody can tell from a
        capture what protects the media.
        """
        hidden = transport == "tls"
        signalling = {
            "service": "um_sip", "protocols": ["tls" if hidden else "sip"], "encryption": "tls" if hidden else "none",
            "verdict": "unproven" if hidden else "documented", **about.get("signalling", {}),
        }
        self.flow(caller, callee, port, "udp" if transport == "udp" else "tcp", **signalling)
        encryption = "unknown" if hidden else "srtp" if srtp else "none"
        media = {"service": "media", "encryption": encryption, **about.get("media", {})}
        sender, receiver, ports = (caller, callee, callee_ports) if one_way != callee else (callee, caller, caller_ports)
        rtp = self.flow(sender, receiver, ports, "udp", protocols=["rtp"], parity=0, **media)
        rtcp = self.flow(caller, callee, callee_ports, "udp", (0, 2), protocols=["rtcp"], parity=1,
                         **{**media, **about.get("rtcp", {})})
        return rtp, rtcp

    def dialogues(self):
        """Takes the calls that tshark sees into the manifest: dialogues, what they announce, and their media."""
        self.later.append(lambda path: calls.collect(path, self.calls, self.endpoints, self.decode_as))

    def offers(self, server="dc1"):
        """Takes the offers of this host's endpoint mapper into the manifest; each must have a listener."""
        listeners = self.lab[server].listeners()

        def collect(path):
            self.endpoints += rpc.offers(path)
            ports = {int(offer["endpoint"].rpartition(":")[2]) for offer in self.endpoints if offer["kind"] == "rpc"}
            return [f"offered, but nothing listens on {port}" for port in ports if port >= 49152 and port not in listeners]

        self.later.append(collect)

    def cause(self, words, code=None, flows=()):
        """What is wrong here, in plain words, and the code that audit has for it; `flows` are declarations."""
        self.causes.append((words, code, list(flows)))

    def run(self, module):
        """Captures while the module does its work; answers the outcome of each capture, the plain one first."""
        with ExitStack() as stack:
            prepare = getattr(module, "prepare", None)
            if prepare:
                prepare(self.lab, stack)
            running = [taps.Tap(self.name, self.tap, **getattr(module, "CAPTURE", {}))]
            more = getattr(module, "MORE", {})
            running += [taps.Tap(f"{self.name}-{name}", **{"where": self.tap, **how.get("tap", {})})
                        for name, how in more.items()]
            try:
                module.run(self, self.lab)
            finally:
                files = [tap.stop() for tap in running]
        [path] = files[0]
        found = manifest.conversations(path, self.decode_as)
        wrong = manifest.assign(self.declared, found)
        for work in self.later:
            wrong += work(path) or []
        outcomes = [Outcome(self.name, files[0], self.text(path, found), len(found), wrong)]
        for (name, how), paths in zip(more.items(), files[1:]):
            label = f"{self.name}-{name}"
            if how.get("is_partial"):
                outcomes.append(self.part(label, how, paths))
            else:
                outcomes.append(Outcome(label, paths, self.likeness(label, how, paths), len(found), []))
        for name, how in getattr(module, "TOGETHER", {}).items():
            label = f"{self.name}-{name}"
            paths = [path for outcome in outcomes if outcome.name in how["captures"] for path in outcome.paths]
            outcomes.append(Outcome(label, [], self.likeness(label, how, paths), len(found), []))
        return outcomes

    def part(self, name, how, paths):
        """A capture that holds only some packets of the same flows: those are counted in it, all else is as declared."""
        [path] = paths
        found = manifest.conversations(path)
        for declared in self.declared:
            declared.found = []
        wrong = manifest.assign(self.declared, found, is_partial=True)
        return Outcome(name, paths, self.text(path, found, how), len(found), wrong)

    def likeness(self, name, how, paths):
        """The manifest of another capture of the same traffic: what it shares with the plain one, and what not."""
        packets = sum(len(taps.read(path, "-T", "fields", "-e", "frame.number")) for path in paths)
        lines = [HEADER, f"title = {manifest.toml(how['title'])}",
                 f"captures = {manifest.toml([path.name + '.zst' for path in paths])}",
                 'topology = "topology.toml"', f"packets = {packets}", f'like = "{self.name}"']
        lines += [f"{key} = {manifest.toml(how[key])}" for key in ("tunnel", "differs", "carrier") if key in how]
        return "\n".join(lines) + "\n"

    def text(self, path, found, part=None):
        """The manifest, as TOML; of a capture that holds a `part` of the packets only, what this shows otherwise stands in it."""
        packets = len(taps.read(path, "-T", "fields", "-e", "frame.number"))
        lines = [HEADER, f"title = {manifest.toml(part['title'] if part else self.title)}", f'captures = ["{path.name}.zst"]',
                 'topology = "topology.toml"', f"packets = {packets}"]
        lines += [f"differs = {manifest.toml(part['differs'])}", ""] if part else [""]
        homes = {id(each): declared for declared in self.declared for each in declared.found}
        for conversation in found:
            declared = homes.get(id(conversation))
            if declared is None:
                continue
            ends = conversation.client, conversation.server
            about = declared.about
            if conversation.has_errors and about["verdict"] in ("documented", "unproven"):
                # Not every call leaves one: a packet that comes after its port was closed is chance.
                about = {**about, "findings": sorted({*about["findings"], "EXW403"})}
            if conversation.told:
                about = {**about, "findings": sorted({*about["findings"], *conversation.told})}
            lines.append(manifest.table("flow", {
                "transport": conversation.transport, "client": manifest.endpoint(ends[0]),
                "server": manifest.endpoint(ends[1]), "state": conversation.state,
                "packets": [conversation.packets[end] for end in ends],
                "bytes": [conversation.bytes[end] for end in ends], **about,
            }))
        if part:
            return "\n".join(lines)
        for entry in self.endpoints:
            lines.append(manifest.table("endpoint", entry))
        for entry in self.calls:
            lines.append(manifest.table("call", entry))
        for words, code, declarations in self.causes:
            flows = [f"{each.transport} {manifest.endpoint(each.client)} to {manifest.endpoint(each.server)}"
                     for declared in declarations for each in declared.found
                     # Where answers tell the cause, it is about those that do.
                     if code not in manifest.TELLING.values() or code in each.told]
            lines.append(manifest.table("cause", {"words": words, "code": code, "flows": flows}))
        return "\n".join(lines)
