//! How little a merge touches: files that can hold none of the keys are neither written nor read, whatever the key is.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::scene::{manifest, rows};
use crate::support::rigs::{Rig, output_of, read as read_rows};
use crate::support::server::{Server, ok};
use crate::support::{Workplace, job};

/// Rows of one file.
const ROWS: i64 = 500;
const FILES: i64 = 4;

/// A table of several files, of which each run may change something.
struct Scene {
    place: Workplace,
    _server: Server,
    records: Arc<Mutex<Vec<Value>>>,
    file: String,
}

impl Scene {
    fn new(stream: &str) -> Self {
        let records: Arc<Mutex<Vec<Value>>> = Arc::default();
        let server = {
            let records = Arc::clone(&records);
            Server::start(move |_, _| ok(json!(*records.lock().expect("records")).to_string()))
        };
        let place = Workplace::new();
        let file = place.file("job.yaml", &(job(&server.url, "", stream) + "publish: { alias: false }\n"));
        Scene { place, _server: server, records, file }
    }

    /// One run that reads these records.
    #[track_caller]
    fn run(&self, records: Vec<Value>) -> Value {
        *self.records.lock().expect("records") = records;
        self.place.haul(&["run", &self.file, "--json"]).expect_code(0).json()["tables"]["items"]["merge"].clone()
    }

    fn parts(&self) -> Vec<PathBuf> {
        let folder = self.place.path("out/test");
        let manifest = manifest(&folder);
        let parts = manifest["tables"]["items"]["parts"].as_array().expect("parts").iter();
        parts.map(|part| folder.join(part["path"].as_str().expect("a path"))).collect()
    }

    /// Spoils all of a part but its footer: whoever reads a row of it fails.
    fn spoil(&self, part: &PathBuf) {
        self.place.is_own(part);
        let mut content = std::fs::read(part).expect("a part");
        let length = content.len();
        let footer = u32::from_le_bytes(content[length - 8..length - 4].try_into().expect("4 bytes")) as usize;
        content[4..length - 8 - footer].fill(0xFF);
        std::fs::write(part, content).expect("written");
    }
}

fn check(key: &str, key_of: impl Fn(i64) -> Value) {
    let scene = Scene::new(&format!(
        "paging: none\nkey: {key}\nincremental: {{ cursor: n, start: 0 }}\ndeleted: {{ field: gone }}"
    ));
    let record = |number: i64, more: Value| {
        let mut record = key_of(number);
        record.as_object_mut().expect("a record").extend(more.as_object().expect("members").clone());
        record
    };
    for file in 0..FILES {
        let numbers = file * ROWS..(file + 1) * ROWS;
        scene.run(numbers.map(|number| record(number, json!({ "n": file, "word": "old" }))).collect());
    }
    let before = scene.parts();
    assert_eq!(before.len() as i64, FILES, "{key}");
    for part in [0, 1, 3] {
        scene.spoil(&before[part]);
    }
    // All in the third file, and one behind the last.
    let changed = vec![
        record(2 * ROWS, json!({ "n": 9, "word": "new" })),
        record(3 * ROWS - 1, json!({ "n": 9, "gone": true })),
        record(2 * ROWS + 7, json!({ "n": 9, "gone": true })),
        record(FILES * ROWS, json!({ "n": 9, "word": "new" })),
    ];
    let counts = scene.run(changed);
    let count = |name: &str| counts[name].as_i64().expect("a count");
    assert_eq!((count("updated"), count("deleted"), count("inserted")), (1, 2, 1), "{key}: {counts}");
    assert_eq!((count("parts_unread"), count("parts_rewritten")), (FILES - 1, 1), "{key}: {counts}");
    let after = scene.parts();
    assert_eq!([&after[0], &after[1]], [&before[0], &before[1]], "{key}");
    assert!(after.contains(&before[3]) && !after.contains(&before[2]), "{key}");
}

#[test]
fn files_that_can_hold_no_changed_key_are_not_even_read() {
    check("[id]", |number| json!({ "id": number - 700 }));
    check("[id]", |number| json!({ "id": format!("{number:08}") }));
    // The footer holds the first 64 bytes of a text.
    check("[id]", |number| json!({ "id": format!("{number:08}{}", "x".repeat(100)) }));
    check("[id]", |number| json!({ "id": number as f64 / 4.0 + 0.5, "also": 1 }));
    check(
        "[id]",
        |number| json!({ "id": format!("2024-01-{:02}T00:{:02}:{:02}Z", number / 500 + 1, number % 500 / 60, number % 60) }),
    );
    check("[area, id]", |number| json!({ "area": 7, "id": number }));
    check("[area, id]", |number| json!({ "id": number % 500, "area": format!("area {}", number / 500) }));
}

#[test]
fn where_the_statistics_say_nothing_everything_is_read() {
    let columns = "columns: { id: float }\n";
    let scene = Scene::new(&format!("paging: none\nkey: [id]\n{columns}incremental: {{ cursor: n, start: 0 }}"));
    scene.run((0..10).map(|id| json!({ "id": id, "n": 0 })).collect());
    scene.run((10..20).map(|id| json!({ "id": id, "n": 0 })).collect());
    let counts = scene.run(vec![json!({ "id": 15, "n": 1 })]);
    assert_eq!((&counts["updated"], &counts["parts_unread"]), (&json!(1), &json!(0)), "{counts}");
    // A key that becomes text has another order than the files.
    let scene = Scene::new("paging: none\nkey: [id]\nincremental: { cursor: n, start: 0 }\ndeleted: { field: gone }");
    scene.run((0..10).map(|id| json!({ "id": id, "n": 0 })).collect());
    scene.run((10..20).map(|id| json!({ "id": id, "n": 0 })).collect());
    let counts = scene.run(vec![
        json!({ "id": "9", "n": 1 }),
        json!({ "id": "11a", "n": 1 }),
        json!({ "id": "15", "n": 1, "gone": true }),
    ]);
    assert_eq!(
        (&counts["updated"], &counts["deleted"], &counts["inserted"]),
        (&json!(1), &json!(1), &json!(1)),
        "{counts}"
    );
    assert_eq!(rows(&scene.place.path("out/test"), "items").len(), 20);
}

/// A file of several row groups, of which some are passed over: the others' rows keep their numbers.
#[test]
fn rows_of_later_groups_are_found() {
    let scene = Scene::new("paging: none\nkey: [id]\nincremental: { cursor: n, start: 0 }\ndeleted: { field: gone }");
    let count = 150_000;
    scene.run((0..count).map(|id| json!({ "id": id, "n": 0 })).collect());
    assert_eq!(scene.parts().len(), 1);
    let gone = [65_536, 65_537, 131_071];
    let mut read: Vec<Value> = gone.iter().map(|id| json!({ "id": id, "n": 1, "gone": true })).collect();
    read.push(json!({ "id": count - 1, "n": 1 }));
    let counts = scene.run(read);
    assert_eq!((&counts["deleted"], &counts["updated"]), (&json!(3), &json!(1)), "{counts}");
    let files: Vec<String> = scene.parts().iter().map(|part| format!("'{}'", part.display())).collect();
    let sql = format!(
        "select count(*), count(distinct id), sum(id)::bigint, sum(n)::bigint from read_parquet([{}])",
        files.join(",")
    );
    let expected = (0..count).sum::<i64>() - gone.iter().sum::<i64>();
    assert_eq!(read_rows(&sql, None)["rows"][0], json!([count - 3, count - 3, expected, 1]));
}

/// Passes a connection through and counts what comes back.
fn counting(upstream: String, count: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&upstream) else { continue };
            let (mut up, mut down) = (server.try_clone().expect("a stream"), server);
            let (mut from, mut to) = (client.try_clone().expect("a stream"), client);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut up);
                let _ = up.shutdown(Shutdown::Write);
            });
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                let mut block = [0; 65_536];
                while let Ok(read @ 1..) = down.read(&mut block) {
                    count.fetch_add(read as u64, Ordering::Relaxed);
                    if to.write_all(&block[..read]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

#[test]
fn of_a_remote_table_little_is_fetched() {
    let azurite = Rig::start("azurite.mjs", &[]);
    output_of("blob.py", &["container", "--url", azurite.url(), "--name", "tables"]);
    let url: url::Url = azurite.url().parse().expect("a URL");
    let upstream = format!("127.0.0.1:{}", url.port().expect("a port"));
    let fetched = Arc::new(AtomicU64::new(0));
    let port = counting(upstream, Arc::clone(&fetched));
    let records: Arc<Mutex<Vec<Value>>> = Arc::default();
    let server = {
        let records = Arc::clone(&records);
        Server::start(move |_, _| ok(json!(*records.lock().expect("records")).to_string()))
    };
    let destination = format!(
        "destination:\n  profile: analytics\n  url: az://tables/x\n  options: {{ account_name: \"${{AZURE_ACCOUNT}}\", access_key: \"${{AZURE_KEY_OF_TEST}}\", endpoint: \"http://127.0.0.1:{port}{}\", allow_http: \"true\" }}\npublish: {{ alias: false }}\n",
        url.path()
    );
    let stream = "paging: none\nkey: [id]\nincremental: { cursor: n, start: 0 }\ndeleted: { field: gone }";
    let text = job(&server.url, "", stream).replace("destination:\n  url: out\n", &destination);
    let place =
        Workplace::new().env("AZURE_KEY_OF_TEST", azurite.text("key")).env("AZURE_ACCOUNT", azurite.text("account"));
    let file = place.file("job.yaml", &text);
    let run = |read: Vec<Value>| {
        *records.lock().expect("records") = read;
        place.haul(&["run", &file, "--json"]).expect_code(0).json()["tables"]["items"].clone()
    };
    // Noise that does not shrink: some megabytes a file.
    let noise = |id: i64| -> String {
        let mut state = id as u64 + 1;
        let mut next = || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            state
        };
        (0..24).map(|_| format!("{:016x}", next())).collect()
    };
    for file in 0..FILES {
        let ids = file * 8_000..(file + 1) * 8_000;
        run(ids.map(|id| json!({ "id": id, "n": file, "noise": noise(id) })).collect());
    }
    fetched.store(0, Ordering::Relaxed);
    let table =
        run(vec![json!({ "id": 5, "n": 9, "gone": true }), json!({ "id": 8_000 * FILES, "n": 9, "noise": "x" })]);
    let (fetched, bytes) = (fetched.load(Ordering::Relaxed), table["bytes"].as_u64().expect("a size"));
    assert_eq!((&table["merge"]["deleted"], &table["merge"]["parts_rewritten"]), (&json!(1), &json!(1)));
    // One of the four files is written anew, of the others only the ends are looked at.
    assert!(fetched * 10 < bytes * 4, "{fetched} of {bytes} bytes were fetched");
}
