"""Mail: Postfix for Hub Transport, Edge Transport and the Internet's servers, Dovecot for Client Access."""

import shutil

from ..network import WORK

USERS = {"alice": "alice-in-the-lab", "bob": "bob-in-the-lab"}

MASTER = """\
smtp      inet  n - n - - smtpd
{submission}
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

SUBMISSION = """\
587       inet  n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path={auth}
  -o smtpd_sasl_security_options=noanonymous
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
  -o smtpd_tls_security_level={level}"""


class Postfix:
    """One Postfix. Settings can be changed while it runs."""

    def __init__(self, host, authority, settings, submission=None):
        self.host = host
        self.folder = host.folder / "postfix"
        certificate, key = authority.issue(host.fqdn)
        for part in ("queue", "data", "conf"):
            (self.folder / part).mkdir(parents=True)
        shutil.chown(self.folder / "data", "postfix")
        self.settings = {
            "compatibility_level": "3.6", "queue_directory": self.folder / "queue",
            "data_directory": self.folder / "data", "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin", "mail_owner": "postfix", "setgid_group": "postdrop",
            "maillog_file": self.folder / "mail.log", "maillog_file_prefixes": "/run",
            "myhostname": host.fqdn, "mydestination": "", "local_recipient_maps": "", "local_transport": "error:none",
            "inet_interfaces": f"{host.address}, {host.address6}", "inet_protocols": "all",
            "mynetworks": "10.20.0.0/16, 192.0.2.0/24, [2001:db8:20::]/48", "alias_maps": "", "alias_database": "",
            "smtpd_tls_cert_file": certificate, "smtpd_tls_key_file": key, "smtpd_tls_security_level": "may",
            "smtp_tls_cert_file": certificate, "smtp_tls_key_file": key, "smtp_tls_security_level": "may",
            "smtp_tls_CAfile": authority.path, "smtpd_tls_CAfile": authority.path, "smtpd_tls_ask_ccert": "yes",
            # Up to TLS 1.2 a capture shows the certificates, as between the servers that the documents speak of.
            "smtp_tls_protocols": ">=TLSv1.2, <=TLSv1.2", "smtp_tls_mandatory_protocols": ">=TLSv1.2, <=TLSv1.2",
            "smtp_connect_timeout": "3s", "smtp_helo_timeout": "6s", "smtp_starttls_timeout": "6s",
            "smtp_mail_timeout": "6s", "smtp_rcpt_timeout": "6s", "smtp_data_init_timeout": "6s",
            "smtp_data_xfer_timeout": "10s", "smtp_data_done_timeout": "10s",
            "minimal_backoff_time": "600s", "smtpd_peername_lookup": "no", "smtp_host_lookup": "dns",
            "smtp_address_preference": "ipv4", "smtp_connection_cache_on_demand": "no", "best_mx_transport": "",
            **settings,
        }
        level = (submission or {}).get("level", "may")
        more = SUBMISSION.format(auth=WORK / "cas1/auth-postfix", level=level) if submission is not None else ""
        (self.folder / "conf/master.cf").write_text(MASTER.format(submission=more))
        self.write()
        # `postfix start` makes its queue's folders itself.
        self.process = host.start(
            ["postfix", "-c", self.folder / "conf", "start-fg"], ready="tcp:25", name="postfix"
        )

    def write(self):
        text = "".join(f"{key} = {value}\n" for key, value in self.settings.items())
        (self.folder / "conf/main.cf").write_text(text)

    def set(self, **settings):
        """Changes settings and makes the server take them; answers what they were."""
        before = {key: self.settings.get(key) for key in settings}
        self.settings.update(settings)
        # None stands for what Postfix has by itself.
        self.settings = {key: value for key, value in self.settings.items() if value is not None}
        self.write()
        self.host.run(["postfix", "-c", self.folder / "conf", "reload"])
        return before

    def flush(self):
        """Tries what is queued again, now."""
        self.host.run(["postqueue", "-c", self.folder / "conf", "-f"])

    def empty(self):
        """Forgets what is queued."""
        self.host.run(["postsuper", "-c", self.folder / "conf", "-d", "ALL"], check=False)
        # And which servers it has given up on.
        self.flush()

    def queued(self):
        """How many messages wait."""
        return self.host.run(["postqueue", "-c", self.folder / "conf", "-j"]).stdout.count("\n")


def mailbox(authority, folder):
    """Settings of a server that delivers to a folder for each user."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    return {
        "virtual_mailbox_domains": "example.com", "virtual_mailbox_base": folder,
        "virtual_mailbox_maps": "inline:{" + ", ".join(f"{user}@example.com={user}/" for user in USERS) + "}",
        "virtual_uid_maps": "static:65534", "virtual_gid_maps": "static:65534", "virtual_transport": "virtual",
        "virtual_minimum_uid": "1",
    }


def dovecot(host, authority, mail):
    """Dovecot: POP3 and IMAP4 with and without TLS; also what checks passwords for submission on 587."""
    certificate, key = authority.issue(host.fqdn, "mail.example.com")
    users = host.folder / "users"
    users.write_text("".join(f"{user}:{{PLAIN}}{word}:65534:65534::{mail}/{user}\n" for user, word in USERS.items()))
    config = host.folder / "dovecot.conf"
    config.write_text(f"""
base_dir = {host.folder}/dovecot
state_dir = {host.folder}/dovecot-state
log_path = {host.folder}/dovecot.log
protocols = imap pop3
listen = {host.address}, {host.address6}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
first_valid_uid = 1
mail_location = maildir:{mail}/%u
passdb {{
  driver = passwd-file
  args = {users}
}}
userdb {{
  driver = passwd-file
  args = {users}
}}
service auth {{
  unix_listener {host.folder}/auth-postfix {{
    mode = 0666
  }}
}}
""")
    return host.start(["dovecot", "-F", "-c", config], ready=["tcp:143", "tcp:993", "tcp:110", "tcp:995"])
