"""Telephony: baresip as gateway and as Unified Messaging, with real audio; SIPp where a call needs a fixed course."""

import math
import struct
import time
import wave

CODEC_RATE = 8000


def tone(path, seconds, hertz):
    """A recording with a tone in it: what a caller says."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CODEC_RATE)
        samples = (int(9000 * math.sin(2 * math.pi * hertz * n / CODEC_RATE)) for n in range(seconds * CODEC_RATE))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


def bracketed(address):
    """An address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


class Phone:
    """One baresip. `rtp` is its range of media ports, `port` where it hears SIP; calls are answered at once.

    `account` are parameters of its account, `own` its address of record where that is not its own place.
    """

    def __init__(self, host, authority, name, port=5060, transport="udp", rtp=(20000, 20020), media="",
                 address=None, call=None, own=None, account=";regint=0", modules=()):
        folder = host.folder / f"baresip-{name}"
        folder.mkdir(exist_ok=True)
        certificate, key = authority.issue(host.fqdn)
        both = folder / "certificate.pem"
        both.write_text(certificate.read_text() + key.read_text())
        address = address or host.address
        place = bracketed(address)
        more = "".join(f"module {module}.so\n" for module in modules)
        recording = tone(folder / "tone.wav", 30, 440 if call else 660)
        (folder / "config").write_text(f"""
poll_method epoll
sip_listen {place}:{port}
sip_certificate {both}
sip_cafile {authority.path}
call_max_calls 4
audio_player aufile,{folder}/heard.wav
audio_source aufile,{recording}
audio_alert aufile,{folder}/alert.wav
ausrc_srate {CODEC_RATE}
auplay_srate {CODEC_RATE}
ausrc_channels 1
auplay_channels 1
rtp_tos 184
rtp_ports {rtp[0]}-{rtp[1]}
rtcp_mux no
net_interface eth0
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module srtp.so
{more}module_app account.so
module_app menu.so
module stdio.so
""")
        (folder / "accounts").write_text(
            f"<sip:{name}@{own or f'{place}:{port}'};transport={transport}>{account};answermode=auto;audio_codecs=PCMU/8000/1{media}\n"
        )
        (folder / "contacts").write_text("")
        self.host, self.folder = host, folder
        command = ["baresip", "-f", folder, "-v", "-s", *(["-6"] if ":" in address else [])]
        if call:
            command += ["-e", f"/dial {call}"]
        listening = "udp" if transport == "udp" else "tcp"
        number = port + 1 if transport == "tls" else port
        self.process = host.start(command, ready=None if call else f"{listening}:{number}", name=f"baresip-{name}")

    def stop(self):
        if self.process.poll() is None:
            self.host.stop(self.process, "INT")


# Enough for a stream that says something, small enough for many calls.
TALK_SECONDS = 3
CALLEE_PORTS, CALLER_PORTS = (27000, 27999), (20000, 20999)


def call(s, lab, transport, srtp=False, caller="gw1", callee="um1", port=5060, talk=TALK_SECONDS, is_v6=False,
         router=None, **about):
    """One call with audio both ways, hung up by the caller; declares it and answers the declarations.

    `router` is a place (`10.0.0.1:5061`) that is asked first, and redirects to the callee.
    """
    number = s.serial()
    media = ";mediaenc=srtp-mand" if srtp else ""
    hosts = lab[caller], lab[callee]
    places = [host.address6 if is_v6 else host.address for host in hosts]
    # Each call has its own media ports: two streams of one pair of ports cannot be told apart.
    ports = [(low + 20 * number, low + 20 * number + 19) for low in (CALLEE_PORTS[0], CALLER_PORTS[0])]
    server = Phone(hosts[1], lab.authority, f"um{number}", port, transport, ports[0], media, address=places[1])
    listening = port + 1 if transport == "tls" else port
    declared = s.call(caller, callee, listening, transport, *ports, srtp, **about)
    target = f"sip:um{number}@{router or f'{bracketed(places[1])}:{listening}'};transport={transport}"
    client = Phone(hosts[0], lab.authority, f"gw{number}", 5060, transport, ports[1], media, call=target, address=places[0])
    time.sleep(talk + 1)
    client.stop()
    # The answer to BYE and the last reports.
    time.sleep(0.3)
    server.stop()
    return declared


ANSWER = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answers every call with one status">
  <recv request="INVITE"/>
  <send><![CDATA[
SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
{contact}Content-Length: 0

  ]]></send>
  <recv request="ACK"/>
</scenario>
"""

CALLER = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="caller whose call ends with this status">
  <send retrans="500"><![CDATA[
INVITE sip:mailbox@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:mailbox@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
Content-Length: 0

  ]]></send>
  <recv response="{code}"/>
  <send><![CDATA[
ACK sip:mailbox@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:mailbox@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

  ]]></send>
</scenario>
"""


def answering(host, port, status, contact=None):
    """SIPp as a server on TCP that answers every INVITE with one status; with `contact`, it redirects there."""
    scenario = host.folder / f"answer-{status.split()[0]}.xml"
    scenario.write_text(ANSWER.format(status=status, contact=f"Contact: <{contact}>\n" if contact else ""))
    command = ["sipp", "-sf", scenario, "-i", host.address, "-p", port, "-t", "t1", "-nostdin"]
    return host.start(command, ready=f"tcp:{port}", name="sipp-answering")


def router(host, address, port):
    """The call router of Exchange 2013, which redirects to this port of a Mailbox server."""
    return answering(host, 5060, "302 Moved Temporarily", f"sip:mailbox@{address}:{port};transport=tcp")


def refused(host, server, code):
    """SIPp as the caller: one INVITE over TCP, which the server answers with this code."""
    scenario = host.folder / f"caller-{code}.xml"
    scenario.write_text(CALLER.format(code=code))
    host.run(["sipp", f"{server}:5060", "-sf", scenario, "-i", host.address, "-t", "t1", "-m", "1", "-nostdin",
              "-timeout", "10"])
