//! Lines of FTP: commands, replies, and the addresses in them.

use std::net::{IpAddr, Ipv4Addr};

use super::super::text;

/// Commands of RFC 959, RFC 1639, RFC 2228, RFC 2389, RFC 2428, RFC 2640, RFC 3659 and RFC 7151.
const VERBS: &[&str] = &[
    "ABOR", "ACCT", "ADAT", "ALLO", "APPE", "AUTH", "CCC", "CDUP", "CLNT", "CONF", "CWD", "DELE",
    "ENC", "EPRT", "EPSV", "FEAT", "HELP", "HOST", "LANG", "LIST", "LPRT", "LPSV", "MDTM", "MFMT",
    "MIC", "MKD", "MLSD", "MLST", "MODE", "NLST", "NOOP", "OPTS", "PASS", "PASV", "PBSZ", "PORT",
    "PROT", "PWD", "QUIT", "REIN", "REST", "RETR", "RMD", "RNFR", "RNTO", "SITE", "SIZE", "SMNT",
    "STAT", "STOR", "STOU", "STRU", "SYST", "TYPE", "USER", "XCRC", "XCUP", "XCWD", "XMKD", "XPWD",
    "XRMD",
];

/// A command of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    pub(super) verb: &'static str,
    pub(super) argument: &'a [u8],
}

impl<'a> Command<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        // Telnet's IAC IP, IAC DM come before ABOR (RFC 959 section 4.1.3).
        let line = line
            .iter()
            .position(|byte| *byte < 0xf0)
            .and_then(|start| line.get(start..))?;
        let (word, argument) = text::split_word(line);
        let verb = VERBS
            .iter()
            .find(|verb| verb.as_bytes().eq_ignore_ascii_case(word))?;
        text::is_plain(argument).then_some(Self { verb, argument })
    }

    /// Whether no other protocol has this command in this form.
    pub(super) fn is_proof(&self) -> bool {
        let argument = self.argument.trim_ascii();
        let is_one_of = |words: &[&str]| {
            words
                .iter()
                .any(|word| word.as_bytes().eq_ignore_ascii_case(argument))
        };
        match self.verb {
            "PORT" | "EPRT" => self.announced(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_some(),
            "EPSV" => is_one_of(&["", "1", "2", "ALL"]),
            "PASV" | "SYST" | "FEAT" | "CDUP" | "XPWD" => argument.is_empty(),
            "AUTH" => is_one_of(&["TLS", "SSL", "TLS-C", "TLS-P"]),
            "TYPE" => is_one_of(&["A", "A N", "I", "E", "L 8"]),
            "PROT" => is_one_of(&["C", "S", "E", "P"]),
            "OPTS" => text::begins(argument, b"UTF8") || text::begins(argument, b"MLST"),
            "PBSZ" => !argument.is_empty() && argument.iter().all(u8::is_ascii_digit),
            "CWD" | "XCWD" | "MDTM" | "RNFR" | "RNTO" | "STOR" | "CLNT" => !argument.is_empty(),
            // POP3 has it with a number.
            "RETR" => argument.iter().any(|byte| !byte.is_ascii_digit()),
            _ => false,
        }
    }

    /// The address at which the client waits (RFC 959 section 4.1.2, RFC 2428 section 2).
    pub(super) fn announced(&self, sender: IpAddr) -> Option<(IpAddr, u16)> {
        match self.verb {
            "PORT" => six_numbers(self.argument.trim_ascii()),
            "EPRT" => extended(self.argument.trim_ascii(), sender),
            _ => None,
        }
    }
}

/// A line of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) code: u16,
    /// More lines follow.
    pub(super) more: bool,
    pub(super) text: &'a [u8],
}

impl<'a> Reply<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (code, rest) = line.split_at_checked(3)?;
        let &[
            first @ b'1'..=b'6',
            second @ b'0'..=b'7',
            third @ b'0'..=b'9',
        ] = code
        else {
            return None;
        };
        let digit = |byte: u8| u16::from(byte.wrapping_sub(b'0'));
        let code = [second, third]
            .into_iter()
            .fold(digit(first), |code, byte| {
                code.saturating_mul(10).saturating_add(digit(byte))
            });
        let (more, text) = match rest {
            [] => (false, rest),
            [b' ', text @ ..] => (false, text),
            [b'-', text @ ..] => (true, text),
            _ => return None,
        };
        text::is_plain(text).then_some(Self { code, more, text })
    }

    /// Whether it is a greeting that names FTP, not only in the name of a host.
    pub(super) fn names_ftp(&self) -> bool {
        if !matches!(self.code, 120 | 220) || text::holds(self.text, b"SMTP") {
            return false;
        }
        let names = |word: &[u8]| text::holds(word, b"FTP") && !is_host(word);
        self.text.split(u8::is_ascii_whitespace).any(names)
    }

    /// Whether no other protocol replies so.
    pub(super) fn is_proof(&self) -> bool {
        let says = |word: &[u8]| text::holds(self.text, word);
        match self.code {
            227 | 229 => self.announced(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_some(),
            150 => says(b"data connection") || says(b" mode "),
            215 => says(b"UNIX") || says(b"Windows_NT") || says(b"Type: L8"),
            226 => says(b"transfer") && !self.more,
            234 => says(b"TLS") || says(b"SSL"),
            257 => self.text.starts_with(b"\""),
            331 => !self.more && says(b"pass"),
            _ => self.names_ftp(),
        }
    }

    /// The address at which the server waits (RFC 959 section 4.1.2, RFC 2428 section 3).
    pub(super) fn announced(&self, sender: IpAddr) -> Option<(IpAddr, u16)> {
        match self.code {
            227 => {
                // Servers differ in what stands around the numbers (RFC 1123 section 4.1.2.6).
                let start = self.text.iter().position(u8::is_ascii_digit)?;
                let rest = self.text.get(start..)?;
                let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b',';
                let end = rest.iter().position(|byte| !is_part(byte));
                six_numbers(rest.get(..end.unwrap_or(rest.len()))?)
            }
            229 => {
                let start = memchr::memchr(b'(', self.text)?.checked_add(1)?;
                let rest = self.text.get(start..)?;
                extended(rest.get(..memchr::memchr(b')', rest)?)?, sender)
            }
            _ => None,
        }
    }
}

/// Whether a line is a feature of RFC 2389 section 3.2: indented by one space.
pub(super) fn feature(line: &[u8]) -> Option<&[u8]> {
    let name = line.strip_prefix(b" ")?;
    let is_upper = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let (word, _) = text::split_word(name);
    (word.len() >= 3 && word.iter().all(is_upper) && text::is_plain(name)).then_some(name)
}

/// Whether a word is the name of a host: a dot, and letters after it.
fn is_host(word: &[u8]) -> bool {
    let is_dotted = |pair: &[u8]| matches!(pair, [b'.', next] if next.is_ascii_alphabetic());
    word.windows(2).any(is_dotted)
}

/// `h1,h2,h3,h4,p1,p2`.
fn six_numbers(text: &[u8]) -> Option<(IpAddr, u16)> {
    let mut numbers = text.split(|&byte| byte == b',');
    let mut next = || -> Option<u8> { std::str::from_utf8(numbers.next()?).ok()?.parse().ok() };
    let address = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    let port = u16::from_be_bytes([next()?, next()?]);
    (numbers.next().is_none() && port != 0).then_some((IpAddr::V4(address), port))
}

/// `|protocol|address|port|`, in which all but the port may be missing: then the address is that of the sender.
fn extended(text: &[u8], sender: IpAddr) -> Option<(IpAddr, u16)> {
    let &delimiter = text.first()?;
    if !(33..=126).contains(&delimiter) || delimiter.is_ascii_alphanumeric() {
        return None;
    }
    let mut parts = text.split(|&byte| byte == delimiter);
    let mut next = || std::str::from_utf8(parts.next()?).ok();
    let (before, protocol, address, port, after) = (next()?, next()?, next()?, next()?, next()?);
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let address = match (protocol, address) {
        ("", "") => sender,
        ("1" | "2", address) => address.parse().ok()?,
        _ => return None,
    };
    (before.is_empty() && after.is_empty() && parts.next().is_none()).then_some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_addresses_are_read_in_every_form() {
        let sender: IpAddr = "2001:db8::9".parse().unwrap();
        let of = |line: &[u8]| match Command::parse(line) {
            Some(command) => command.announced(sender),
            None => Reply::parse(line).and_then(|reply| reply.announced(sender)),
        };
        let v4 = |port| Some(("192.0.2.7".parse().unwrap(), port));
        assert_eq!(of(b"PORT 192,0,2,7,4,56"), v4(1080));
        assert_eq!(of(b"EPRT |1|192.0.2.7|1080|"), v4(1080));
        assert_eq!(of(b"227 Entering Passive Mode (192,0,2,7,4,56)."), v4(1080));
        assert_eq!(of(b"227 =192,0,2,7,4,56"), v4(1080));
        let passive = of(b"229 Entering Extended Passive Mode (|||6446|)");
        assert_eq!(passive, Some((sender, 6446)));
        for line in [
            &b"PORT 192,0,2,7,4"[..],
            b"PORT 192,0,2,700,4,5",
            b"EPRT |3|x|1|",
            b"227 none",
        ] {
            assert_eq!(of(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_host_called_ftp_does_not_name_the_protocol() {
        let names = |line: &[u8]| Reply::parse(line).unwrap().names_ftp();
        assert!(names(b"220 (vsFTPd 3.0.3)"));
        assert!(names(b"220-ProFTPD 1.3.5 Server"));
        assert!(!names(b"220 ftp.contoso.example ready"));
        assert!(!names(b"220 FTP gateway ESMTP"));
        assert!(!names(b"230 FTP"));
    }
}
