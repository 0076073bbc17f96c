"""Kamailio: as Lync Front End, registrar and proxy between clients and towards the Mediation server; as call router."""

from . import voice

REALM = "example.com"
PASSWORD = "sip-in-the-lab"
# Who answers for `moved`.
MOVED = "dora"

# What every Kamailio of the lab has; its routes follow.
CONFIG = """\
debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=2
auto_aliases=no
dns=no
rev_dns=no
server_header="Server: lab"
user_agent_header="User-Agent: lab"
enable_tls=yes
listen=udp:{address}:5060
listen=tcp:{address}:5060
listen=tls:{address}:5061
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "tls.so"
modparam("usrloc", "db_mode", 0)
modparam("tls", "config", "{folder}/tls.cfg")
modparam("rr", "enable_full_lr", 1)
"""

# Who has registered is called where he is; numbers go to the Mediation server; `moved` answers elsewhere.
FRONT_END = """
request_route {{
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (has_totag()) {{
        if (loose_route() || (is_method("ACK") && t_check_trans())) {{
            t_relay();
        }} else if (!is_method("ACK")) {{
            sl_send_reply("404", "Not here");
        }}
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) {{
            t_relay();
        }}
        exit;
    }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{realm}", "{password}", "0")) {{
            www_challenge("{realm}", "1");
            exit;
        }}
        save("location");
        exit;
    }}
    if (is_method("INVITE")) {{
        record_route();
    }}
    if ($rU == "moved") {{
        append_to_reply("Contact: <sip:{moved}@{address}>\\r\\n");
        sl_send_reply("302", "Moved Temporarily");
        exit;
    }}
    if ($rU =~ "^[+]") {{
        $ru = "{trunk}";
        t_relay();
        exit;
    }}
    if (!lookup("location")) {{
        sl_send_reply("404", "Not Found");
        exit;
    }}
    t_relay();
}}
"""

# The call router of Exchange 2013 sends every call on to a worker process of a Mailbox server.
CALL_ROUTER = """
request_route {{
    if (is_method("INVITE")) {{
        append_to_reply("Contact: <sip:$rU@{target};transport=tls>\\r\\n");
        sl_send_reply("302", "Moved Temporarily");
    }}
}}
"""

TLS = """\
[server:default]
method = {method}
verify_certificate = {demand}
require_certificate = {demand}
ca_list = {authority}
private_key = {key}
certificate = {certificate}
[client:default]
method = TLSv1.2+
verify_certificate = no
private_key = {key}
certificate = {certificate}
"""


def start(host, authority, trunk):
    """Starts a Front End; `trunk` is the address of record that numbers are sent to."""
    routes = FRONT_END.format(address=host.address, realm=REALM, moved=MOVED, password=PASSWORD, trunk=trunk)
    return kamailio(host, authority, routes)


def router(host, authority, target):
    """Starts a call router, which redirects to this place over TLS and demands certificates of those who call by TLS."""
    return kamailio(host, authority, CALL_ROUTER.format(target=target), is_mutual=True)


def kamailio(host, authority, routes, is_mutual=False):
    """Starts Kamailio. TLS 1.3 would hide the certificates of clients."""
    certificate, key = authority.issue(host.fqdn)
    folder = host.folder / "kamailio"
    folder.mkdir(exist_ok=True)
    demand, method = ("yes", "TLSv1.2") if is_mutual else ("no", "TLSv1.2+")
    tls = TLS.format(certificate=certificate, key=key, authority=authority.path, demand=demand, method=method)
    (folder / "tls.cfg").write_text(tls)
    config = folder / "kamailio.cfg"
    config.write_text(CONFIG.format(address=host.address, folder=folder) + routes)
    # -DD: in the foreground, with its children.
    command = ["kamailio", "-DD", "-E", "-f", config, "-Y", folder, "-P", folder / "pid", "-m", "32", "-M", "8"]
    return host.start(command, ready=["udp:5060", "tcp:5060", "tcp:5061"])


def client(lab, host, name, transport, rtp, call=None):
    """A client that registers with the Front End; with `call`, it then calls that user or number."""
    server = lab["fe1"].address
    port = 5061 if transport == "tls" else 5060
    account = f";regint=600;auth_user={name};auth_pass={PASSWORD};outbound=\"sip:{server}:{port};transport={transport}\""
    return voice.Phone(lab[host], lab.authority, name, 5060, transport, rtp, own=REALM, account=account,
                       call=call and f"sip:{call}@{REALM}")
