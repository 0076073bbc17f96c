//! Lines of SMTP: commands and replies (RFC 5321 §4.1, §4.2).

/// Longest verb: `XSESSIONPARAMS` and the like fit.
const MAX_VERB: usize = 24;

/// Verbs of RFC 5321, of its extensions, and of Exchange. Others are believed only with `X-`: the hyphen keeps answers of
/// an authentication out, which are base64 and may begin like any word.
const VERBS: &[&str] = &[
    "EHLO",
    "HELO",
    "LHLO",
    "MAIL",
    "RCPT",
    "DATA",
    "BDAT",
    "RSET",
    "NOOP",
    "QUIT",
    "VRFY",
    "EXPN",
    "HELP",
    "AUTH",
    "STARTTLS",
    "ETRN",
    "TURN",
    "ATRN",
    "SEND",
    "SOML",
    "SAML",
    "BURL",
    "XEXCH50",
    "XRDST",
    "XSHADOW",
    "XSHADOWREQUEST",
    "XQDISCARD",
    "XPROXY",
    "XPROXYFROM",
    "XPROXYTO",
    "XSESSIONPARAMS",
    "XORIGFROM",
    "XCLIENT",
    "XFORWARD",
];

/// A command of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    /// Upper case.
    pub(super) verb: String,
    /// What follows the verb.
    pub(super) argument: &'a [u8],
}

impl<'a> Command<'a> {
    /// A line that begins with a verb, and holds no control characters.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let length = line
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'-'))
            .unwrap_or(line.len());
        let verb = line
            .get(..length)
            .filter(|verb| (4..=MAX_VERB).contains(&verb.len()))?;
        let verb = String::from_utf8_lossy(verb).to_ascii_uppercase();
        let argument = line.get(length..)?;
        let known = VERBS.contains(&verb.as_str()) || verb.starts_with("X-");
        let separated = matches!(argument, [] | [b' ' | b'\t', ..]);
        let plain = argument.iter().all(|byte| *byte == b'\t' || *byte >= 0x20);
        (known && separated && plain).then(|| Self {
            verb,
            argument: argument.trim_ascii(),
        })
    }
}

/// One line of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    /// 200 to 599.
    pub(super) code: u16,
    /// Another line of the same reply follows.
    pub(super) more: bool,
    /// What follows the code.
    pub(super) text: &'a [u8],
}

impl<'a> Reply<'a> {
    /// A line with a code that is followed by a space, a hyphen or nothing.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (digits, rest) = line.split_first_chunk::<3>()?;
        let [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9'] = digits else {
            return None;
        };
        let code = digits.iter().fold(0, |code: u16, digit| {
            code.saturating_mul(10)
                .saturating_add(u16::from(digit.saturating_sub(b'0')))
        });
        let (more, text) = match rest {
            [] => (false, rest),
            [b' ', text @ ..] => (false, text),
            [b'-', text @ ..] => (true, text),
            _ => return None,
        };
        Some(Self { code, more, text })
    }

    /// A refusal as it may be shown: words with an address are persons.
    pub(super) fn refusal(&self) -> String {
        let text = String::from_utf8_lossy(self.text);
        let mut shown = self.code.to_string();
        for word in text.split_ascii_whitespace() {
            shown.push(' ');
            shown.push_str(if word.contains('@') {
                "<address>"
            } else {
                word
            });
        }
        shown
    }

    /// Whether the text begins with an enhanced status code of the same class (RFC 3463 §2), as `5.7.1`.
    pub(super) fn has_status(&self) -> bool {
        let mut parts = word(self.text).split(|&byte| byte == b'.');
        let class = u16::from(b'0').saturating_add(self.code / 100);
        let number =
            |part: &[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
        let first = parts.next();
        first.is_some_and(|part| matches!(part, [digit] if u16::from(*digit) == class))
            && parts.next().is_some_and(number)
            && parts.next().is_some_and(number)
            && parts.next().is_none()
    }
}

/// The first word.
pub(super) fn word(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    let end = text.iter().position(u8::is_ascii_whitespace);
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The first word as a decimal number; 0 where it is none, or too large to be one.
pub(super) fn number(text: &[u8]) -> u64 {
    let digits = word(text);
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    digits.iter().fold(0, |number: u64, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit.saturating_sub(b'0')))
    })
}

/// The domain of the path in `FROM:<local@domain>` or `TO:<...>`; empty where there is none. The local part names a
/// person and is not kept.
pub(super) fn domain(argument: &[u8]) -> String {
    let Some(colon) = argument.iter().position(|&byte| byte == b':') else {
        return String::new();
    };
    let path = word(
        argument
            .get(colon..)
            .unwrap_or_default()
            .get(1..)
            .unwrap_or_default(),
    );
    let end = path.iter().position(|&byte| byte == b'>');
    let path = path.get(..end.unwrap_or(path.len())).unwrap_or_default();
    match path.iter().rposition(|&byte| byte == b'@') {
        Some(at) => String::from_utf8_lossy(path.get(at..).unwrap_or_default())
            .trim_start_matches('@')
            .to_ascii_lowercase(),
        None => String::new(),
    }
}
