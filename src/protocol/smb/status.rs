//! Status codes of SMB's answers (MS-ERREF 2.3, MS-CIFS 2.2.2.4).

/// More legs of an authentication follow: no failure.
pub(super) const MORE_PROCESSING_REQUIRED: u32 = 0xc000_0016;
/// The answer comes later.
pub(super) const PENDING: u32 = 0x0000_0103;
/// Whether a status says that the request failed.
pub(super) const fn is_failure(status: u32) -> bool {
    status >> 30 == 3 && status != MORE_PROCESSING_REQUIRED
}

/// A status as hexadecimal number and, where documented here, name.
pub(super) fn text(status: u32) -> String {
    match name(status) {
        Some(name) => format!("{status:#010x} {name}"),
        None => format!("{status:#010x}"),
    }
}

/// A status of the time before NT: class and code.
pub(super) fn dos_text(status: u32) -> Option<String> {
    let [class, _, low, high] = status.to_le_bytes();
    let code = u16::from_le_bytes([low, high]);
    (class != 0).then(|| format!("dos {class}/{code}"))
}

/// Names of what negotiation, session set-up, trees and opens are refused with.
const fn name(status: u32) -> Option<&'static str> {
    Some(match status {
        0xc000_0001 => "unsuccessful",
        0xc000_0002 => "not_implemented",
        0xc000_000d => "invalid_parameter",
        0xc000_000f => "no_such_file",
        0xc000_0022 => "access_denied",
        0xc000_0033 => "object_name_invalid",
        0xc000_0034 => "object_name_not_found",
        0xc000_0035 => "object_name_collision",
        0xc000_003a => "object_path_not_found",
        0xc000_0043 => "sharing_violation",
        0xc000_0056 => "delete_pending",
        0xc000_005e => "no_logon_servers",
        0xc000_0064 => "no_such_user",
        0xc000_006a => "wrong_password",
        0xc000_006d => "logon_failure",
        0xc000_006e => "account_restriction",
        0xc000_006f => "invalid_logon_hours",
        0xc000_0070 => "invalid_workstation",
        0xc000_0071 => "password_expired",
        0xc000_0072 => "account_disabled",
        0xc000_009a => "insufficient_resources",
        0xc000_00ac => "pipe_not_available",
        0xc000_00ae => "pipe_busy",
        0xc000_00ba => "file_is_a_directory",
        0xc000_00bb => "not_supported",
        0xc000_00c9 => "network_name_deleted",
        0xc000_00ca => "network_access_denied",
        0xc000_00cb => "bad_device_type",
        0xc000_00cc => "bad_network_name",
        0xc000_00d0 => "request_not_accepted",
        0xc000_0103 => "not_a_directory",
        0xc000_015b => "logon_type_not_granted",
        0xc000_018d => "trusted_relationship_failure",
        0xc000_0193 => "account_expired",
        0xc000_0203 => "user_session_deleted",
        0xc000_0224 => "password_must_change",
        0xc000_0234 => "account_locked_out",
        0xc000_0257 => "path_not_covered",
        0xc000_035c => "network_session_expired",
        _ => return None,
    })
}
