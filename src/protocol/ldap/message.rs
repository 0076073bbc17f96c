//! LDAP messages (RFC 4511): the envelope with its operation, and what requests and results say.

use super::super::Reject;
use super::super::ber::Element;
use crate::bytes::Cursor;

crate::open_enum! {
    /// Operations by their identifier octet (RFC 4511 section 4.2 to 4.13).
    pub(super) struct Operation(u8) {
        BIND_REQUEST = 0x60 => "bindRequest",
        BIND_RESPONSE = 0x61 => "bindResponse",
        UNBIND_REQUEST = 0x42 => "unbindRequest",
        SEARCH_REQUEST = 0x63 => "searchRequest",
        SEARCH_ENTRY = 0x64 => "searchResEntry",
        SEARCH_DONE = 0x65 => "searchResDone",
        SEARCH_REFERENCE = 0x73 => "searchResRef",
        MODIFY_REQUEST = 0x66 => "modifyRequest",
        MODIFY_RESPONSE = 0x67 => "modifyResponse",
        ADD_REQUEST = 0x68 => "addRequest",
        ADD_RESPONSE = 0x69 => "addResponse",
        DELETE_REQUEST = 0x4a => "delRequest",
        DELETE_RESPONSE = 0x6b => "delResponse",
        MODIFY_DN_REQUEST = 0x6c => "modDNRequest",
        MODIFY_DN_RESPONSE = 0x6d => "modDNResponse",
        COMPARE_REQUEST = 0x6e => "compareRequest",
        COMPARE_RESPONSE = 0x6f => "compareResponse",
        ABANDON_REQUEST = 0x50 => "abandonRequest",
        EXTENDED_REQUEST = 0x77 => "extendedReq",
        EXTENDED_RESPONSE = 0x78 => "extendedResp",
        INTERMEDIATE_RESPONSE = 0x79 => "intermediateResponse",
    }
}

impl Operation {
    pub(super) const fn is_request(self) -> bool {
        matches!(
            self,
            Self::BIND_REQUEST
                | Self::UNBIND_REQUEST
                | Self::SEARCH_REQUEST
                | Self::MODIFY_REQUEST
                | Self::ADD_REQUEST
                | Self::DELETE_REQUEST
                | Self::MODIFY_DN_REQUEST
                | Self::COMPARE_REQUEST
                | Self::ABANDON_REQUEST
                | Self::EXTENDED_REQUEST
        )
    }

    /// Whether its contents are an `LDAPResult`.
    pub(super) const fn is_result(self) -> bool {
        matches!(
            self,
            Self::BIND_RESPONSE
                | Self::SEARCH_DONE
                | Self::MODIFY_RESPONSE
                | Self::ADD_RESPONSE
                | Self::DELETE_RESPONSE
                | Self::MODIFY_DN_RESPONSE
                | Self::COMPARE_RESPONSE
                | Self::EXTENDED_RESPONSE
        )
    }

    /// Whether more than the envelope is read.
    pub(super) const fn is_read(self) -> bool {
        self.is_result()
            || matches!(
                self,
                Self::BIND_REQUEST
                    | Self::SEARCH_REQUEST
                    | Self::ADD_REQUEST
                    | Self::MODIFY_REQUEST
                    | Self::EXTENDED_REQUEST
            )
    }

    /// Whether `body` begins as the operation's contents do.
    fn fits(self, body: &Element<'_>) -> Result<bool, Reject> {
        match self {
            Self::UNBIND_REQUEST => return Ok(body.length == 0),
            Self::ABANDON_REQUEST => return Ok((1..=4).contains(&body.length)),
            Self::DELETE_REQUEST => {
                let is_text = |&byte: &u8| byte >= b' ' && byte != 0x7f;
                return Ok(body.contents.iter().all(is_text) && body.contents.contains(&b'='));
            }
            Self::INTERMEDIATE_RESPONSE if body.length == 0 => return Ok(true),
            _ => {}
        }
        let first = Element::parse(&mut body.cursor())?;
        let fits = first.total() <= body.length;
        Ok(fits
            && match self {
                Self::BIND_REQUEST => {
                    first.tag == 2 && matches!(first.contents, [2 | 3]) && first.length == 1
                }
                Self::EXTENDED_REQUEST => first.tag == 0x80,
                Self::INTERMEDIATE_RESPONSE => matches!(first.tag, 0x80 | 0x81),
                _ if self.is_result() => first.tag == 0x0a && first.length == 1,
                _ => first.tag == 4,
            })
    }
}

/// One message, perhaps only its beginning.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) id: u64,
    pub(super) operation: Operation,
    pub(super) body: Element<'a>,
    /// Octets of the message.
    pub(super) total: usize,
}

impl<'a> Message<'a> {
    /// Octets within which every message shows its operation and the beginning of its contents.
    pub(super) const DECISIVE: usize = 32;
    /// Octets that a message may claim: directory entries with photographs fit.
    const MAX_LENGTH: usize = 32 * 1024 * 1024;

    /// Reads the message that `bytes` begin with; [`Reject::Short`] where more bytes would tell.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let outer = Element::expect(&mut Cursor::new(bytes), 0x30)?;
        if outer.length > Self::MAX_LENGTH {
            return Err(Reject::Invalid("message length"));
        }
        match Self::inside(&outer) {
            Err(Reject::Short(_)) if !outer.is_cut() => Err(Reject::Invalid("length")),
            message => message,
        }
    }

    fn inside(outer: &Element<'a>) -> Result<Self, Reject> {
        let mut cursor = outer.cursor();
        let id = Element::expect(&mut cursor, 2)?;
        if id.is_cut() && id.length <= 4 {
            cursor.skip(1)?;
        }
        let Some(id) = id.number().filter(|&id| id <= 0x7fff_ffff) else {
            return Err(Reject::Invalid("message id"));
        };
        let at = cursor.offset();
        let body = Element::parse(&mut cursor)?;
        let operation = Operation(body.tag);
        if operation.name().is_none() || at.saturating_add(body.total()) > outer.length {
            return Err(Reject::Invalid("operation"));
        }
        let controls = cursor.peek().is_none_or(|tag| tag == 0xa0);
        if !operation.fits(&body)? || !controls {
            return Err(Reject::Invalid("contents of the operation"));
        }
        Ok(Self {
            id,
            operation,
            body,
            total: outer.total(),
        })
    }

    /// The text of the first element with `tag`, where it is whole.
    pub(super) fn field(&self, tag: u8) -> Option<&'a [u8]> {
        self.body
            .children()
            .find(|field| field.tag == tag)
            .filter(|field| !field.is_cut())
            .map(|field| field.contents)
    }
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authentication<'a> {
    Simple,
    /// A name without a password (RFC 4513 section 5.1.2).
    Unauthenticated,
    Anonymous,
    Sasl {
        mechanism: &'a [u8],
        token: &'a [u8],
    },
    /// Microsoft's own NTLM exchange (MS-ADTS 5.1.1.1.3).
    Sicily {
        token: &'a [u8],
    },
}

/// The name and authentication of a bind request; no password leaves this function.
pub(super) fn bind<'a>(body: &Element<'a>) -> Option<(&'a [u8], Authentication<'a>)> {
    let mut fields = body.children();
    fields.next()?;
    let name = fields.next().filter(|name| name.tag == 4)?;
    let choice = fields.next()?;
    let authentication = match choice.tag {
        0x80 if choice.length > 0 => Authentication::Simple,
        0x80 if name.length > 0 => Authentication::Unauthenticated,
        0x80 => Authentication::Anonymous,
        0xa3 => {
            let mut parts = choice.children();
            let mechanism = parts.next().filter(|part| !part.is_cut())?;
            let token = parts.next().map(|part| part.contents);
            Authentication::Sasl {
                mechanism: mechanism.contents,
                token: token.unwrap_or_default(),
            }
        }
        0x89..=0x8b => Authentication::Sicily {
            token: choice.contents,
        },
        _ => return None,
    };
    Some((name.contents, authentication))
}

/// The code and diagnostic message of an `LDAPResult`.
pub(super) fn result<'a>(body: &Element<'a>) -> Option<(ResultCode, &'a [u8])> {
    let mut fields = body.children();
    let code = fields.next()?.number()?;
    let _matched = fields.next();
    let diagnostic = fields.next().filter(|text| text.tag == 4 && !text.is_cut());
    let code = ResultCode(u8::try_from(code).ok()?);
    Some((
        code,
        diagnostic.map(|text| text.contents).unwrap_or_default(),
    ))
}

crate::open_enum! {
    /// Result codes (RFC 4511 appendix A).
    pub(super) struct ResultCode(u8) {
        SUCCESS = 0 => "success",
        OPERATIONS_ERROR = 1 => "operationsError",
        PROTOCOL_ERROR = 2 => "protocolError",
        TIME_LIMIT_EXCEEDED = 3 => "timeLimitExceeded",
        SIZE_LIMIT_EXCEEDED = 4 => "sizeLimitExceeded",
        COMPARE_FALSE = 5 => "compareFalse",
        COMPARE_TRUE = 6 => "compareTrue",
        AUTH_METHOD_NOT_SUPPORTED = 7 => "authMethodNotSupported",
        STRONGER_AUTH_REQUIRED = 8 => "strongerAuthRequired",
        REFERRAL = 10 => "referral",
        ADMIN_LIMIT_EXCEEDED = 11 => "adminLimitExceeded",
        UNAVAILABLE_CRITICAL_EXTENSION = 12 => "unavailableCriticalExtension",
        CONFIDENTIALITY_REQUIRED = 13 => "confidentialityRequired",
        SASL_BIND_IN_PROGRESS = 14 => "saslBindInProgress",
        NO_SUCH_ATTRIBUTE = 16 => "noSuchAttribute",
        UNDEFINED_ATTRIBUTE_TYPE = 17 => "undefinedAttributeType",
        INAPPROPRIATE_MATCHING = 18 => "inappropriateMatching",
        CONSTRAINT_VIOLATION = 19 => "constraintViolation",
        ATTRIBUTE_OR_VALUE_EXISTS = 20 => "attributeOrValueExists",
        INVALID_ATTRIBUTE_SYNTAX = 21 => "invalidAttributeSyntax",
        NO_SUCH_OBJECT = 32 => "noSuchObject",
        ALIAS_PROBLEM = 33 => "aliasProblem",
        INVALID_DN_SYNTAX = 34 => "invalidDNSyntax",
        ALIAS_DEREFERENCING_PROBLEM = 36 => "aliasDereferencingProblem",
        INAPPROPRIATE_AUTHENTICATION = 48 => "inappropriateAuthentication",
        INVALID_CREDENTIALS = 49 => "invalidCredentials",
        INSUFFICIENT_ACCESS_RIGHTS = 50 => "insufficientAccessRights",
        BUSY = 51 => "busy",
        UNAVAILABLE = 52 => "unavailable",
        UNWILLING_TO_PERFORM = 53 => "unwillingToPerform",
        LOOP_DETECT = 54 => "loopDetect",
        NAMING_VIOLATION = 64 => "namingViolation",
        OBJECT_CLASS_VIOLATION = 65 => "objectClassViolation",
        NOT_ALLOWED_ON_NON_LEAF = 66 => "notAllowedOnNonLeaf",
        NOT_ALLOWED_ON_RDN = 67 => "notAllowedOnRDN",
        ENTRY_ALREADY_EXISTS = 68 => "entryAlreadyExists",
        OBJECT_CLASS_MODS_PROHIBITED = 69 => "objectClassModsProhibited",
        AFFECTS_MULTIPLE_DSAS = 71 => "affectsMultipleDSAs",
        OTHER = 80 => "other",
    }
}

impl ResultCode {
    /// Neither a failure nor worth a line: success, an intermediate step, or the answer of a comparison.
    pub(super) const fn is_good(self) -> bool {
        matches!(
            self,
            Self::SUCCESS | Self::COMPARE_FALSE | Self::COMPARE_TRUE | Self::SASL_BIND_IN_PROGRESS
        )
    }

    /// Number and name.
    pub(super) fn text(self) -> String {
        match self.name() {
            Some(name) => format!("{} {name}", self.0),
            None => self.0.to_string(),
        }
    }
}
