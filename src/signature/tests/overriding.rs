//! What other files and options replace.

use super::*;

#[test]
fn replace_replaces_what_other_files_said() {
    let changed = [HEAD, ROW]
        .concat()
        .replace("port = 25", "port = 2500")
        .replace("document =", "replace = true\ndocument =");
    let rows = load(&[("own.toml", &whole()), ("other.toml", &changed)]).unwrap();
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| &*row.id.0 == ONE).unwrap();
    assert_eq!(row.ports[0].ports, Ports::Single(2500));
    // Inside one file a second row of the same id stays a mistake.
    let twice = [changed.as_str(), ROW].concat();
    let (_, line, row, message) = refusal(&[("own.toml", &whole()), ("other.toml", &twice)]);
    assert_eq!((line, row.as_deref()), (15, Some(ONE)));
    assert!(message.contains("other.toml:6"), "{message}");
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("exwire-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_folder_is_read_in_order_of_names_and_only_its_toml_files() {
    let folder = folder("signatures");
    std::fs::write(folder.join("b.toml"), SERVICE).unwrap();
    std::fs::write(folder.join("a.toml"), [HEAD, ROW].concat()).unwrap();
    std::fs::write(folder.join("notes.txt"), "not TOML").unwrap();
    let mut loader = Loader::default();
    loader.folder(&folder).unwrap();
    assert_eq!(loader.finish(&VOCABULARY).unwrap().0.len(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_without_toml_files_is_refused() {
    let folder = folder("empty");
    std::fs::write(folder.join("notes.txt"), "not TOML").unwrap();
    let error = Loader::default().folder(&folder).unwrap_err();
    let told = format!("cannot read {}", folder.display());
    assert_eq!(error.to_string(), told);
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(reason, "expected 1 to 1000 .toml files, found 0");
    std::fs::remove_dir_all(&folder).unwrap();
    let error = Loader::default().folder(&folder).unwrap_err();
    assert!(matches!(error, SignatureError::Read { .. }), "{error}");
}

#[test]
fn port_overrides_are_read_in_four_forms() {
    for text in [
        "log_shipping=64400",
        "log_shipping=tcp/64400",
        "media=50000-59999",
        "media=udp/50000-59999",
        "um2013.listening.call-router=tcp/5080",
    ] {
        assert_eq!(text.parse::<PortOverride>().unwrap().to_string(), text);
    }
    let spaced: PortOverride = " log_shipping = 64400 ".parse().unwrap();
    assert_eq!(spaced.to_string(), "log_shipping=64400");
}

#[test]
fn port_overrides_that_mean_nothing_are_refused() {
    for text in [
        "",
        "64400",
        "log_shipping",
        "log_shipping=",
        "=64400",
        "log_shipping=0",
        "log_shipping=65536",
        "log_shipping=-5",
        "log_shipping=5-",
        "log_shipping=9-9",
        "log_shipping=9-8",
        "log_shipping=tcp/",
        "log_shipping=1,2",
    ] {
        assert_eq!(
            text.parse::<PortOverride>().unwrap_err(),
            format!(
                "expected SERVICE=PORT, SERVICE=FIRST-LAST or SERVICE=tcp/PORT, found `{text}`"
            )
        );
    }
    assert_eq!(
        "log_shipping=sctp/1".parse::<PortOverride>().unwrap_err(),
        "unknown transport `sctp`, the nearest known one is `tcp`"
    );
}

#[test]
fn a_changed_log_shipping_port_moves_its_rows() {
    let before = with_ports(&[]).unwrap();
    let after = with_ports(&["log_shipping=64400"]).unwrap();
    let paths = ["ref2010.mailbox.log-shipping", "ref2010.mailbox.seeding"];
    for id in paths {
        assert!(ids(&before, Transport::TCP, 64327).contains(&id.to_owned()));
        assert!(!ids(&before, Transport::TCP, 64400).contains(&id.to_owned()));
        assert!(!ids(&after, Transport::TCP, 64327).contains(&id.to_owned()));
        assert!(ids(&after, Transport::TCP, 64400).contains(&id.to_owned()));
    }
}

#[test]
fn a_changed_port_leaves_the_ports_of_other_services_alone() {
    let id = |text: &str| RowId(text.into());
    let ports = |matrix: &Matrix, row: &str| -> Vec<String> {
        let row = matrix.row(&id(row)).unwrap();
        row.ports.iter().map(ToString::to_string).collect()
    };
    let matrix = with_ports(&["ldap=1389", "mapi=6005", "um_sip=5080"]).unwrap();
    assert_eq!(
        ports(&matrix, "ref2010.mailbox.active-directory"),
        [
            "1389/tcp+udp",
            "3268/tcp",
            "88/tcp+udp",
            "53/tcp+udp",
            "135/tcp",
            "dynamic rpc/tcp"
        ]
    );
    // The endpoint mapper stays; the dynamic port may now be this one.
    assert_eq!(
        ports(&matrix, "ref2010.mailbox.mapi-access"),
        ["135/tcp", "6005/tcp", "dynamic rpc/tcp"]
    );
    assert_eq!(
        ports(&matrix, "ref2010.um.phone"),
        ["5080/tcp", "16000-17000/tcp", "1024-65535/udp"]
    );
}

#[test]
fn a_port_that_several_services_share_stays_beside_the_new_one() {
    let matrix = with_ports(&["owa=8443"]).unwrap();
    let row = matrix.row(&RowId("mail2013.clients.https".into())).unwrap();
    let ports: Vec<String> = row.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["443/tcp", "8443/tcp"]);
    assert_eq!(row.ports[1].services, [ServiceId("owa".into())]);
}

#[test]
fn a_row_can_be_moved_alone() {
    let matrix = with_ports(&["um2013.listening.call-router=5080"]).unwrap();
    let router = "um2013.listening.call-router".to_owned();
    assert!(ids(&matrix, Transport::TCP, 5080).contains(&router));
    assert!(!ids(&matrix, Transport::TCP, 5061).contains(&router));
    let service = "um2013.listening.um-service".to_owned();
    assert!(ids(&matrix, Transport::TCP, 5062).contains(&service));
}

#[test]
fn an_override_of_what_no_row_has_is_refused() {
    let refusal = |text: &str| with_ports(&[text]).unwrap_err().to_string();
    assert_eq!(
        refusal("log_shiping=64400"),
        "--port log_shiping=64400: unknown service `log_shiping`, the nearest known one is `log_shipping`"
    );
    assert_eq!(
        refusal("um2013.listening.call-ruoter=5080"),
        "--port um2013.listening.call-ruoter=5080: unknown row `um2013.listening.call-ruoter`, \
         the nearest known one is `um2013.listening.call-router`"
    );
    assert_eq!(
        refusal("powershell=5986"),
        "--port powershell=5986: expected a service with a port in the matrix, found `powershell`, which has none"
    );
}
