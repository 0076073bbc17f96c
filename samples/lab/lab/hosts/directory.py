"""AD LDS of Edge Transport, played by OpenLDAP: LDAPS on 50636, clear LDAP on 50389."""

SUFFIX = "OU=MSExchangeGateway"
READER = f"cn=edgesync,{SUFFIX}"
PASSWORD = "edgesync-in-the-lab"


def start(host, authority, expired=False):
    """Starts slapd on this host; with an `expired` certificate if asked to."""
    folder = host.folder / ("slapd-expired" if expired else "slapd")
    (folder / "db").mkdir(parents=True, exist_ok=True)
    certificate, key = authority.issue(host.fqdn, expired=expired)
    config = folder / "slapd.conf"
    config.write_text(f"""
include /etc/ldap/schema/core.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSCACertificateFile {authority.path}
TLSProtocolMin 3.3
database mdb
suffix "{SUFFIX}"
rootdn "{READER}"
rootpw {PASSWORD}
directory {folder}/db
""")
    entry = f"dn: {SUFFIX}\nobjectClass: organizationalUnit\nou: MSExchangeGateway\n"
    if not (folder / "db/data.mdb").exists():
        host.run(["slapadd", "-f", config], stdin=entry)
    urls = " ".join(f"{scheme}://{place}:{port}" for scheme, port in (("ldaps", 50636), ("ldap", 50389))
                    for place in (host.address, f"[{host.address6}]"))
    return host.start(["slapd", "-d", "0", "-f", config, "-h", urls], ready=["tcp:50636", "tcp:50389"])


def update(server, user, extra=""):
    """What EdgeSync does, over LDAP: reads the recipients, and adds one."""
    entry = f"dn: cn={user},{SUFFIX}\\nobjectClass: person\\ncn: {user}\\nsn: {user}\\n"
    bind = f"-x -D '{READER}' -w {PASSWORD} -H {server}"
    return f"{extra} ldapsearch {bind} -b {SUFFIX} && printf '{entry}' | {extra} ldapadd {bind}"
