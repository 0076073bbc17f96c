"""The packages that the lab needs: all from the distribution, none of its services started."""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

PACKAGES = """
    bind9 bind9-dnsutils baresip-core chrony coturn curl dovecot-core dovecot-imapd dovecot-pop3d ethtool faketime
    iproute2 iputils-ping kamailio kamailio-tls-modules krb5-user ldap-utils ldb-tools libio-socket-ssl-perl libnet-ssleay-perl
    libsasl2-modules libsasl2-modules-gssapi-mit nftables nginx-light ngircd openssh-client openssh-server opentracker
    openssl postfix postfix-pcre procps prosody python3-cryptography python3-impacket python3-samba rsync samba
    samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules sip-tester slapd smbclient snmp snmpd sox swaks
    tcpdump ngtcp2-client ngtcp2-server transmission-cli tshark wireshark-common zstd
""".split()
POLICY = Path("/usr/sbin/policy-rc.d")


@contextmanager
def no_services():
    """Packages installed in here start nothing (the interface is policy-rc.d of Debian)."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def missing():
    """Packages that are not installed."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES]
    lines = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    installed = {line.split()[0] for line in lines if line.endswith(" installed")}
    return [package for package in PACKAGES if package not in installed]


def install():
    """Installs what is missing."""
    wanted = missing()
    if not wanted:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    answer = "postfix postfix/main_mailer_type select No configuration\n"
    subprocess.run(["debconf-set-selections"], input=answer, text=True, check=True)
    with no_services():
        subprocess.run(["apt-get", "update", "-q"], check=True, env=environment)
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted]
        subprocess.run(command, check=True, env=environment)
