"""An RPC client, run on a host of the lab: asks the endpoint mapper for an interface, binds it, and calls it.

Usage: rpc.py CONFIG SERVER INTERFACE LEVEL AUTH [USER PASSWORD]: LEVEL as in DCE/RPC (none, connect, call, packet,
integrity, privacy). AUTH is none, ntlm or gss_kerberos (impacket's client), or spnego_ntlm, spnego_kerberos or kerberos (Samba's
client, with the Samba configuration CONFIG; it has no level call). Exit status 3: the port cannot be reached.
"""

import os
import sys

from impacket.dcerpc.v5 import drsuapi, epm, lsad, nrpc, samr, transport
from impacket.dcerpc.v5 import rpcrt
from impacket.uuid import uuidtup_to_bin

INTERFACES = {"lsarpc": lsad.MSRPC_UUID_LSAD, "samr": samr.MSRPC_UUID_SAMR, "drsuapi": drsuapi.MSRPC_UUID_DRSUAPI,
              "netlogon": nrpc.MSRPC_UUID_NRPC}
# Those of Exchange, and the operation that is called: EcDoConnectEx, EcDoAsyncWaitEx, NspiBind, RfrGetNewDSA.
EXCHANGE = {
    "emsmdb": (uuidtup_to_bin(("a4f1db00-ca47-1067-b31f-00dd010662da", "0.81")), 10),
    "async_emsmdb": (uuidtup_to_bin(("5261574a-4572-206e-b268-6b199213b4e4", "0.1")), 0),
    "nspi": (uuidtup_to_bin(("f5cc5a18-4264-101a-8c59-08002b2f8426", "56.0")), 0),
    "rfr": (uuidtup_to_bin(("1544f5e0-613c-11d1-93df-00c04fd7bd09", "1.0")), 0),
}
LEVELS = {
    "none": rpcrt.RPC_C_AUTHN_LEVEL_NONE, "connect": rpcrt.RPC_C_AUTHN_LEVEL_CONNECT,
    "call": rpcrt.RPC_C_AUTHN_LEVEL_CALL, "packet": rpcrt.RPC_C_AUTHN_LEVEL_PKT, "integrity": rpcrt.RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    "privacy": rpcrt.RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
}
IMPACKET = {"ntlm": rpcrt.RPC_C_AUTHN_WINNT, "gss_kerberos": rpcrt.RPC_C_AUTHN_GSS_NEGOTIATE}
DOMAIN = "CORP.EXAMPLE.COM"
# Shorter than the patience of the driver, longer than what a retransmitted SYN needs.
CONNECT_SECONDS = 5


# Options of Samba's binding strings.
SAMBA_LEVELS = {"connect": "connect", "packet": "packet", "integrity": "sign", "privacy": "seal"}


def main(config, server, interface, level, auth, *credentials):
    if auth in ("none", *IMPACKET):
        with_impacket(server, interface, level, auth, *credentials)
    else:
        with_samba(config, server, interface, level, auth, *credentials)


def with_samba(config, server, interface, level, auth, user, password):
    from samba import NTSTATUSError
    from samba.credentials import DONT_USE_KERBEROS, MUST_USE_KERBEROS, Credentials
    from samba.dcerpc import drsuapi, lsa, samr
    from samba.param import LoadParm

    parameters = LoadParm(config)
    account = Credentials()
    account.guess(parameters)
    account.parse_string(f"{user}@{DOMAIN}")
    account.set_password(password)
    account.set_kerberos_state(DONT_USE_KERBEROS if auth.endswith("ntlm") else MUST_USE_KERBEROS)
    options = SAMBA_LEVELS[level] + (",krb5" if auth == "kerberos" else "")
    kinds = {"lsarpc": lsa.lsarpc, "samr": samr.samr, "drsuapi": drsuapi.drsuapi}
    try:
        rpc = kinds[interface](f"ncacn_ip_tcp:{server}[{options}]", parameters, account)
    except NTSTATUSError as error:
        print(error)
        sys.exit(3)
    try:
        if interface == "lsarpc":
            rpc.OpenPolicy2("", lsa.ObjectAttribute(), 0x02000000)
        elif interface == "samr":
            rpc.Connect2(None, 0x02000000)
        else:
            rpc.DsBind(None, None)
        print("called")
    except (NTSTATUSError, RuntimeError) as error:
        print("answered:", error)


def with_impacket(server, interface, level, auth, user="", password=""):
    uuid, operation = EXCHANGE.get(interface) or (INTERFACES[interface], None)
    binding = epm.hept_map(server, uuid, protocol="ncacn_ip_tcp")
    print(binding, flush=True)
    rpc_transport = transport.DCERPCTransportFactory(binding)
    rpc_transport.set_connect_timeout(CONNECT_SECONDS)
    if auth != "none":
        rpc_transport.set_credentials(user, password, DOMAIN)
    rpc = rpc_transport.get_dce_rpc()
    if auth in IMPACKET:
        # Tickets must be there already (newer servers refuse impacket's requests for them); it knows plain paths only.
        os.environ["KRB5CCNAME"] = os.environ["KRB5CCNAME"].removeprefix("FILE:")
        rpc.set_auth_type(IMPACKET[auth])
    rpc.set_auth_level(LEVELS[level])
    try:
        rpc.connect()
    except Exception as error:  # impacket tells time-outs and refusals in several ways
        print(error)
        sys.exit(3)
    rpc.bind(uuid)
    try:
        if operation is not None:
            # Invented arguments.
            rpc.call(operation, bytes(range(256)))
            rpc.recv()
        elif interface == "lsarpc":
            lsad.hLsarOpenPolicy2(rpc)
        elif interface == "samr":
            samr.hSamrConnect(rpc)
        elif interface == "netlogon":
            nrpc.hNetrServerReqChallenge(rpc, "\\\\dc1\0", "lab\0", b"12345678")
        else:
            request = drsuapi.DRSBind()
            request["puuidClientDsa"] = drsuapi.NTDSAPI_CLIENT_GUID
            extensions = drsuapi.DRS_EXTENSIONS_INT()
            extensions["cb"] = len(extensions)
            request["pextClient"]["cb"] = len(extensions)
            request["pextClient"]["rgb"] = list(extensions.getData())
            rpc.request(request)
        print("called")
    except rpcrt.DCERPCException as error:
        print("answered:", error)
    rpc.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
