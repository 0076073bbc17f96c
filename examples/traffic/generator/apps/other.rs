//! What else is in an office: monitoring, logs, remote desktops, shells, databases, printers; and what fails.

use super::super::samples::bytes::{cat, der, der_integer, der_of, u8_of, u16_of, utf16};
use super::super::session::{Fate, Path, Session, Side};
use super::super::world::{Server, World, far};

/// An SNMP question (RFC 3416) and its answer: counters of one interface.
pub(super) fn monitoring(world: &mut World, sessions: &mut Vec<Session>) {
    let to = world.workplace().telephone(161);
    let from = Server::Monitoring.at(world.random.between(32_768, 60_999) as u16);
    let mut session = Session::udp("snmp", (from, to));
    let id = world.random.word() >> 1;
    let oid = [0x2b, 6, 1, 2, 1, 2, 2, 1, 10, 1];
    let message = |kind: u8, value: Vec<u8>| {
        let binding = der_of(0x30, &[der(6, &oid), value]);
        let pdu = der_of(
            kind,
            &[
                der_integer(id),
                der_integer(0),
                der_integer(0),
                der(0x30, &binding),
            ],
        );
        der_of(0x30, &[der_integer(1), der(4, b"public"), pdu])
    };
    session.client(message(0xa0, der(5, &[])));
    let counter = world.random.prng.bytes(4);
    session
        .server(message(0xa2, der(0x41, &counter)))
        .after(1500);
    sessions.push(session);
}

/// A line to the log server (RFC 3164).
pub(super) fn log(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = host.telephone(514);
    let mut session = Session::udp("syslog", (from, Server::Monitoring.at(514)));
    let (number, user) = (world.random.below(65_536), host.user());
    session.client(
        format!(
            "<134>May  2 10:00:{:02} phone{:04} sip[{number}]: registered {user}@example.com",
            number % 60,
            host.0
        )
        .into_bytes(),
    );
    sessions.push(session);
}

/// A remote desktop (MS-RDPBCGR §2.2.1.1): connection request and confirm, TLS, then screens.
pub(super) fn desktop(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let ends = (from, Server::Terminals.at(3389));
    let mut session = Session::tcp("rdp", ends, Path::LOCAL, &mut world.random);
    let cookie = format!("Cookie: mstshash={}\r\n", host.user());
    let length = 11 + cookie.len() + 8;
    session.client(cat(&[
        &[3, 0],
        &u16_of(length).to_be_bytes(),
        &[u8_of(length - 5), 0xe0, 0, 0, 0, 0, 0],
        cookie.as_bytes(),
        &[1, 0, 8, 0, 3, 0, 0, 0],
    ]));
    session.server([
        3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0, 2, 0, 0, 0,
    ]);
    super::tls::handshake_12(
        world,
        &mut session,
        Some("rds1.example.com"),
        "dc1.example.com",
    );
    for _ in 0..world.random.between(50, 800) {
        session
            .sealed(Side::Client, 60)
            .after(world.random.exponential(60_000.0) as u64);
        let screen = world.random.heavy_tailed(90, 60_000);
        session.sealed(Side::Server, screen);
    }
    sessions.push(session.ending(Fate::Open));
}

/// SSH (RFC 4253): banners, key exchange in clear, then noise.
pub(super) fn shell(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let ends = (from, Server::Unix.at(22));
    let mut session = Session::tcp("ssh", ends, Path::LOCAL, &mut world.random);
    session.server(*b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    session.client(*b"SSH-2.0-OpenSSH_for_Windows_9.5\r\n");
    for side in [Side::Client, Side::Server] {
        let exchange = key_exchange(world);
        session.say(side, exchange, 0);
    }
    // sntrup761x25519 (draft-ietf-sshm-ntruprime-ssh): Q_C of 1,190 bytes; host key, Q_S and signature
    let strings: [(Side, u8, &[usize]); 2] = [
        (Side::Client, 30, &[1190]),
        (Side::Server, 31, &[51, 1071, 83]),
    ];
    for (side, kind, lengths) in strings {
        let mut body = vec![kind];
        for length in lengths {
            body.extend((*length as u32).to_be_bytes());
            body.extend(world.random.prng.bytes(*length));
        }
        session.say(side, ssh_packet(&body), 0);
    }
    // SSH_MSG_NEWKEYS: noise from here on
    session.server(ssh_packet(&[21])).client(ssh_packet(&[21]));
    for _ in 0..world.random.between(10, 400) {
        session
            .say(Side::Client, [], 36)
            .after(world.random.exponential(150_000.0) as u64);
        let answer = world.random.heavy_tailed(36, 20_000);
        session.say(Side::Server, [], answer);
    }
    sessions.push(session);
}

/// SSH_MSG_KEXINIT (RFC 4253 §7.1) in a binary packet.
fn key_exchange(world: &mut World) -> Vec<u8> {
    let lists = [
        "sntrup761x25519-sha512@openssh.com,curve25519-sha256,ecdh-sha2-nistp256",
        "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256",
        "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
        "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
        "umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-256",
        "umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-256",
        "none,zlib@openssh.com",
        "none,zlib@openssh.com",
        "",
        "",
    ];
    let mut body = cat(&[&[20], &world.random.prng.bytes(16)]);
    for list in lists {
        body.extend((list.len() as u32).to_be_bytes());
        body.extend(list.as_bytes());
    }
    body.extend([0; 5]);
    ssh_packet(&body)
}

/// A binary packet before there are keys (RFC 4253 §6).
fn ssh_packet(body: &[u8]) -> Vec<u8> {
    let padding = 8 - (body.len() + 5) % 8 + 8;
    cat(&[
        &((body.len() + 1 + padding) as u32).to_be_bytes(),
        &[u8_of(padding)],
        body,
        &vec![0; padding],
    ])
}

/// SQL Server (MS-TDS §2.2): pre-login, then batches in clear.
pub(super) fn database(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let ends = (from, Server::Database.at(1433));
    let mut session = Session::tcp("tds", ends, Path::LOCAL, &mut world.random);
    let packet = |kind: u8, body: &[u8]| {
        cat(&[
            &[kind, 1],
            &u16_of(body.len() + 8).to_be_bytes(),
            &[0, 0, 1, 0],
            body,
        ])
    };
    // VERSION, ENCRYPTION (not supported), the terminator
    let login = [
        0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 15, 0, 7, 0xd0, 0, 0, 2,
    ];
    session.client(packet(18, &login)).server(packet(4, &login));
    for _ in 0..world.random.heavy_tailed(2, 60) {
        let text = format!(
            "SELECT name, price FROM orders WHERE id = {}",
            world.random.below(100_000)
        );
        // ALL_HEADERS with a transaction descriptor (MS-TDS §2.2.5.3)
        let headers = [
            22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
        ];
        session.client(packet(1, &cat(&[&headers, &utf16(&text)])));
        let rows = world.random.heavy_tailed(3, 400);
        let answer = result(world, rows);
        let count = answer.len().div_ceil(4088);
        for (number, part) in answer.chunks(4088).enumerate() {
            let last = u8::from(number + 1 == count);
            session.server(cat(&[
                &[4, last],
                &u16_of(part.len() + 8).to_be_bytes(),
                &[0, 0, number as u8, 0],
                part,
            ]));
            if number == 0 {
                session.after(2000);
            }
        }
    }
    sessions.push(session);
}

/// Rows of one column, NVARCHAR(80), and the end (MS-TDS §2.2.7.4, §2.2.7.19, §2.2.7.6).
fn result(world: &mut World, rows: usize) -> Vec<u8> {
    let name = utf16("name");
    let mut answer = cat(&[
        &[
            0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0xe7, 160, 0, 9, 4, 0xd0, 0, 52, 4,
        ],
        &name,
    ]);
    for _ in 0..rows {
        let text = utf16(&format!(
            "article {:08x} of the catalogue",
            world.random.word()
        ));
        answer.push(0xd1);
        answer.extend(u16_of(text.len()).to_le_bytes());
        answer.extend(text);
    }
    answer.extend([0xfd, 0x10, 0, 0xc1, 0]);
    answer.extend((rows as u64).to_le_bytes());
    answer
}

/// A print job over port 9100: PJL, then what the driver made.
pub(super) fn printing(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let ends = (from, Server::Printers.at(9100));
    let mut session = Session::tcp("printing", ends, Path::LOCAL, &mut world.random);
    let pages = world.random.heavy_tailed(30_000, 3_000_000);
    let head = format!(
        "\x1b%-12345X@PJL JOB NAME=\"{}\"\r\n@PJL ENTER LANGUAGE=PCLXL\r\n",
        host.user()
    );
    session.say(Side::Client, head.into_bytes(), pages);
    sessions.push(session);
}

/// A connection that does not come about.
pub(super) fn failure(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let port = *world.random.one_of(&[443, 445, 80, 8080, 135, 3268, 5061]);
    let to = match world.random.below(3) {
        0 => {
            let last = world.random.between(1, 250) as u8;
            far([203, 0, 113, last].into(), port)
        }
        1 => world.workplace().at(port),
        _ => Server::Unix.at(port),
    };
    let session = Session::tcp("no connection", (from, to), Path::LOCAL, &mut world.random);
    let fate = if world.random.per_mille(500) {
        Fate::Ignored
    } else {
        Fate::Refused
    };
    sessions.push(session.ending(fate));
}
