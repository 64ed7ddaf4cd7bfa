//! Presigned addresses of Amazon S3 (a service whose signatures Amazon's own library checks) and Google Cloud Storage.

use std::io::{Read, Write};

use serde_json::json;

use crate::scene::{get, text};
use crate::support::daemon::Time;
use crate::support::rigs::{Rig, read};
use crate::support::server::{Server, ok};
use crate::support::{Done, Workplace, job};

const SECRET: &str = "canary-s3-secret";

fn status_of(url: &str) -> u16 {
    get(url).split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

/// The status that a method is answered with.
fn status_by(method: &str, url: &str) -> u16 {
    let url: url::Url = url.parse().expect("a URL");
    let (host, port) = (url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = std::net::TcpStream::connect((host, port)).expect("the server is there");
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

#[test]
fn a_bucket_is_shared_by_presigned_addresses() {
    let s3 = Rig::start("s3.py", &["--key", &format!("tester:{SECRET}")]);
    let source = Server::start(|_, _| ok("[{\"id\":1,\"name\":\"one\"},{\"id\":2,\"name\":\"two\"}]"));
    let place = Workplace::new().env("S3_ID_OF_TEST", "tester").env("S3_SECRET_OF_TEST", SECRET);
    let options = format!(
        "{{ endpoint: \"{}\", region: us-east-1, allow_http: \"true\", access_key_id: \"${{S3_ID_OF_TEST}}\", secret_access_key: \"${{S3_SECRET_OF_TEST}}\" }}",
        s3.url()
    );
    let of = |more: &str| {
        let text = job(&source.url, "", "paging: none");
        text.replace("  url: out\n", &format!("  url: s3://haul/exports\n  options: {options}\n")) + more
    };
    let file = place.file("job.yaml", &of(""));
    let share = |args: &[&str]| -> Done { place.haul(&[&["share", args[0], &file, "--json"], &args[1..]].concat()) };
    share(&["create"]).expect_code(2).expect_says(&["nothing is published", "run the job first"]);
    place.haul(&["run", &file]).expect_code(0);
    let made = share(&["create"]).expect_code(0).json();
    assert_eq!((&made["kind"], &made["share"]["days"]), (&json!("presigned"), &json!(7)));
    let address = text(&made["addresses"], "items").to_owned();
    assert!(
        address.contains("/exports/test/items/current.parquet?") && address.contains("X-Amz-Expires=604800"),
        "{address}"
    );
    let (url, query) = address.split_once('?').expect("a query");
    let rows = read(&format!("select id, name from read_parquet('{url}') order by id"), Some(query));
    assert_eq!(rows["rows"], json!([[1, "one"], [2, "two"]]));

    // It opens this file, to read, and nothing else.
    assert_eq!(status_of(&address), 200);
    assert_eq!(status_of(url), 403, "the service asks for no signature");
    assert_eq!(status_of(&address.replace("current.parquet", "columns.json")), 403);
    assert_eq!(status_of(&address.replace("X-Amz-Expires=604800", "X-Amz-Expires=604801")), 403);
    assert_eq!(status_by("PUT", &address), 403);
    assert_eq!(status_by("DELETE", &address), 403);
    assert_eq!(status_of(&address), 200);
    // One that was made eight days ago is over.
    let mut command = place.command(&["share", "create", &file, "--json"]);
    let before = (chrono::Utc::now() - chrono::TimeDelta::days(8)).format("%Y-%m-%d %H:%M:%S").to_string();
    Time::From(before, 1).apply(&mut command);
    let former = Done::of(command.output().expect("haul starts")).expect_code(0).json();
    assert_eq!(status_of(text(&former["addresses"], "items")), 403);

    let listed = share(&["list"]).expect_code(0).json();
    assert_eq!(listed["shares"].as_array().map(Vec::len), Some(2), "{listed:#}");
    place.haul(&["share", "list", &file]).expect_code(0).expect_says(&["presigned, ended"]);
    share(&["create", "--days", "8"]).expect_code(2).expect_says(&["7 days at most", "--address"]);
    share(&["create", "--list"]).expect_code(2).expect_says(&["`--list` is for Azure Blob"]);
    let told = place.haul(&["share", "create", &file]).expect_code(0);
    told.expect_says(&["cannot be taken back alone", "nobody can extend it", "items\n    http", "one snapshot"]);
    let policy = text(&made["share"], "policy");
    share(&["show", policy]).expect_code(2).expect_says(&["cannot be made once more"]);
    place
        .haul(&["share", "revoke", &file, policy])
        .expect_code(0)
        .expect_says(&["forgot", "cannot be taken back alone"]);
    let bare = place.file("bare.yaml", &of("publish: { alias: false }\n"));
    place.haul(&["share", "create", &bare]).expect_code(2).expect_says(&["does not want aliases"]);
    let signature = address.rsplit("X-Amz-Signature=").next().expect("a signature").to_owned();
    place.assert_holds_none_of(&[], &[&signature]);
    // Those of a role end with it.
    let text = of("").replace("secret_access_key:", "token: \"${S3_SESSION_OF_TEST}\", secret_access_key:");
    let place = place.env("S3_SESSION_OF_TEST", "a-session-of-a-role");
    let file = place.file("role.yaml", &text);
    place
        .haul(&["share", "create", &file])
        .expect_code(0)
        .expect_says(&["a temporary one", "X-Amz-Security-Token=a-session"]);
}
