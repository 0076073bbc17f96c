"""MAPI over RPC: Outlook asks the endpoint mapper of Client Access, and binds on the dynamic port that it is given."""

from lab.hosts import domain

TITLE = "MAPI, notifications, address book and referral on a dynamic port, NTLM at level privacy; Client Access to Mailbox in clear"
TAP = "core"
PORT = 49300
NOTE = "scripted server: no distribution has EMSMDB and NSPI; impacket's client, real NTLM, invented arguments"


def prepare(lab, stack):
    for name in ("cas1", "mbx1"):
        host, program = lab[name], lab.client_program("exchange_rpc.py")
        command = ["/usr/bin/python3", program, host.address, PORT, "outlook", domain.USERS["outlook"]]
        stack.callback(host.stop, host.start(command, ready=["tcp:135", f"tcp:{PORT}"], name="exchange-rpc"))
    lab["client1"]


def run(s, lab):
    s.offers("cas1")
    cas = lab["cas1"].address
    services = {"emsmdb": "mapi", "async_emsmdb": "mapi_notification", "nspi": "address_book", "rfr": "referral"}
    for interface, service in services.items():
        with s.step(f"{interface}, sealed"):
            s.flow("client1", "cas1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"), note=NOTE)
            s.flow("client1", "cas1", PORT, service=service, protocols=["dcerpc"], encryption="rpc_privacy",
                   authentication=["ntlm"], rpc=s.bound(interface, "ntlm", "privacy"), note=NOTE)
            lab.rpc("client1", interface, "privacy", "ntlm", server=cas)
    with s.step("Client Access to Mailbox by MAPI, authenticated but in clear"):
        s.flow("cas1", "mbx1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"), note=NOTE)
        clear = s.flow("cas1", "mbx1", PORT, service="mapi", protocols=["dcerpc"], authentication=["ntlm"],
                       findings=["EXW204"], rpc=s.bound("emsmdb", "ntlm", "connect"), note=NOTE)
        lab.rpc("cas1", "emsmdb", "connect", "ntlm", server=lab["mbx1"].address)
        s.cause("Client Access does not encrypt RPC towards Mailbox: messages can be read", "EXW204", [clear])
