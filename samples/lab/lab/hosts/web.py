"""Web: nginx with TLS, which answers the paths of Exchange and Lync."""

PATHS = ["owa/", "ecp/", "Microsoft-Server-ActiveSync", "EWS/Exchange.asmx", "OAB/", "Autodiscover/Autodiscover.xml",
         "rpc/rpcproxy.dll", "UnifiedMessaging/UM", "abs/", "meet/", "dialin/"]


def start(host, authority, *names):
    """Starts nginx on 80 and 443; Autodiscover on 80 redirects, Autodiscover on 443 asks for credentials."""
    certificate, key = authority.issue(host.fqdn, *names)
    folder = host.folder / "nginx"
    folder.mkdir()
    locations = "".join(f"location /{path} {{ return 200 'answered by {path}'; }}\n" for path in PATHS[:4] + PATHS[6:])
    config = folder / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; server_tokens off; default_type text/html;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen {host.address}:80; listen [{host.address6}]:80;
        location / {{ return 302 https://$host$request_uri; }}
    }}
    server {{
        listen {host.address}:443 ssl http2; listen [{host.address6}]:443 ssl http2;
        ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
        {locations}
        location /Autodiscover/ {{
            add_header WWW-Authenticate 'Basic realm="mail"' always;
            return 401;
        }}
        location /OAB/ {{ return 200 '<OAB/>'; }}
    }}
}}
""")
    return host.start(["nginx", "-c", config], ready=["tcp:80", "tcp:443"])
