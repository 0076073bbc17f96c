//! Status codes of faults, rejects and the endpoint mapper (C706 appendix E and N, MS-RPCE 2.2.2.4, MS-ERREF 2.2): what each
//! means.

/// Documented name and meaning of a status code.
const fn known(status: u32) -> Option<(&'static str, &'static str)> {
    Some(match status {
        0x0000_0005 => ("access_denied", "access is denied"),
        0x0000_000e => ("error_outofmemory", "the server is out of memory"),
        0x0000_0057 => ("error_invalid_parameter", "a parameter is wrong"),
        0x0000_06a6 => ("rpc_s_invalid_binding", "the binding is invalid"),
        0x0000_06ba => ("rpc_s_server_unavailable", "the server cannot be reached"),
        0x0000_06bb => ("rpc_s_server_too_busy", "the server is too busy"),
        0x0000_06be => (
            "rpc_s_call_failed",
            "the call failed, and may have been executed",
        ),
        0x0000_06bf => (
            "rpc_s_call_failed_dne",
            "the call failed and was not executed",
        ),
        0x0000_06c0 => ("rpc_s_protocol_error", "protocol error"),
        0x0000_06d1 => (
            "rpc_s_procnum_out_of_range",
            "the interface has no such operation",
        ),
        0x0000_06d3 => (
            "rpc_s_unknown_authn_service",
            "unknown authentication service",
        ),
        0x0000_06d4 => ("rpc_s_unknown_authn_level", "unknown authentication level"),
        0x0000_06e4 => ("rpc_s_cannot_support", "the operation is not supported"),
        0x0000_06f7 => ("rpc_x_bad_stub_data", "the arguments could not be read"),
        0x0000_0721 => ("rpc_s_sec_pkg_error", "the security package failed"),
        0x0000_0776 => ("or_invalid_oxid", "the object exporter is unknown"),
        0x0000_0777 => ("or_invalid_oid", "the object is unknown"),
        0x0000_0778 => ("or_invalid_set", "the ping set is unknown"),
        0x1c00_0001 => (
            "nca_s_fault_int_div_by_zero",
            "division by zero in the server",
        ),
        0x1c00_0002 => ("nca_s_fault_addr_error", "address error in the server"),
        0x1c00_0006 => ("nca_s_fault_invalid_tag", "a union's tag is wrong"),
        0x1c00_0007 => ("nca_s_fault_invalid_bound", "an array's bound is wrong"),
        0x1c00_0008 => ("nca_s_rpc_version_mismatch", "another protocol version"),
        0x1c00_0009 => ("nca_s_fault_unspec", "unspecified"),
        0x1c00_000b => ("nca_s_unspec_reject", "rejected without a reason"),
        0x1c00_000d => ("nca_s_fault_cancel", "the call was cancelled"),
        0x1c00_001a => (
            "nca_s_fault_context_mismatch",
            "the context handle is unknown",
        ),
        0x1c00_001b => (
            "nca_s_fault_remote_no_memory",
            "the server is out of memory",
        ),
        0x1c00_001c => (
            "nca_s_invalid_pres_context_id",
            "the presentation context is unknown",
        ),
        0x1c00_001d => (
            "nca_s_unsupported_authn_level",
            "the authentication level is not supported",
        ),
        0x1c00_001f => ("nca_s_invalid_checksum", "the checksum is wrong"),
        0x1c00_0024 => ("nca_s_fault_user_defined", "an exception of the interface"),
        0x1c01_0001 => ("nca_s_comm_failure", "communication failed"),
        0x1c01_0002 => ("nca_s_op_rng_error", "the interface has no such operation"),
        0x1c01_0003 => ("nca_s_unk_if", "the server has no such interface"),
        0x1c01_0006 => ("nca_s_wrong_boot_time", "the server was started again"),
        0x1c01_0009 => ("nca_s_you_crashed", "the client was started again"),
        0x1c01_000b => ("nca_s_proto_error", "protocol error"),
        0x1c01_0013 => ("nca_s_out_args_too_big", "the results are too big"),
        0x1c01_0014 => ("nca_s_server_too_busy", "the server is too busy"),
        0x1c01_0017 => ("nca_s_unsupported_type", "the object type is not supported"),
        0x16c9_a0cd => ("ept_s_cant_perform_op", "the mapper cannot do that"),
        0x16c9_a0d6 => (
            "ept_s_not_registered",
            "nothing is registered for the interface",
        ),
        0x8001_0111 => ("rpc_e_invalid_header", "the object call's header is wrong"),
        0x8007_0005 => ("e_accessdenied", "access is denied"),
        _ => return None,
    })
}

/// A status as hexadecimal number and, where documented, name and meaning.
pub(super) fn text(status: u32) -> String {
    match known(status) {
        Some((name, meaning)) => format!("{status:#010x} {name}: {meaning}"),
        None => format!("{status:#010x}"),
    }
}
