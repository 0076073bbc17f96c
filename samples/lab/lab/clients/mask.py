"""A device in between that hides STARTTLS, as some firewalls' inspection of SMTP does: a transparent proxy.

Usage: mask.py PORT. Connections must have been redirected here by the firewall.
"""

import socket
import socketserver
import struct
import sys
import threading

SO_ORIGINAL_DST = 80


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        original = self.request.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        port, address = struct.unpack("!2xH4s8x", original)
        with socket.create_connection((socket.inet_ntoa(address), port)) as server:
            threading.Thread(target=self.pump, args=(self.request, server, False), daemon=True).start()
            self.pump(server, self.request, True)

    @staticmethod
    def pump(source, target, is_masking):
        try:
            while data := source.recv(65536):
                target.sendall(data.replace(b"STARTTLS", b"XXXXXXXX") if is_masking else data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("0.0.0.0", int(sys.argv[1])), Session).serve_forever()
