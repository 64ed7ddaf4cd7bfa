//! Links that `haul serve` answers: of a folder, and of a container behind it.

use serde_json::{Value, json};

use crate::scene::{text, wait_until};
use crate::support::daemon::{Daemon, Time};
use crate::support::page::{Reply, ask, get};
use crate::support::rigs::{Rig, output_of, read};
use crate::support::server::{Server, ok};
use crate::support::{Done, Workplace, job};

/// A table of a table's size: small enough for a test, and of many pages of a file.
const ROWS: u64 = 20_000;

struct Scene {
    place: Workplace,
    file: String,
    _source: Server,
}

impl Scene {
    fn start() -> Self {
        let source = Server::start(|_, _| {
            let rows: Vec<Value> =
                (0..ROWS).map(|id| json!({ "id": id, "name": format!("name {}", id * 7919 % ROWS) })).collect();
            ok(Value::from(rows).to_string())
        });
        let place = Workplace::new();
        let file = place.file("jobs/test.yaml", &job(&source.url, "", "paging: none"));
        place.haul(&["run", &file]).expect_code(0);
        Scene { place, file, _source: source }
    }

    fn share(&self, args: &[&str]) -> Done {
        self.place.haul(&[&["share", args[0], &self.file, "--json"], &args[1..]].concat())
    }

    fn serve(&self) -> Daemon {
        let daemon = Daemon::start(&self.place, "jobs");
        wait_until("the job is opened", || daemon.get("/jobs/test/powerbi").code == 200);
        daemon
    }
}

/// A made link at the daemon's address.
struct Link {
    url: String,
    path: String,
    query: String,
}

impl Link {
    fn of(made: &Value) -> Self {
        let (base, folder) = (text(made, "base"), text(made, "folder"));
        assert_eq!(text(made, "base_url"), format!("{base}/{folder}"));
        Link { url: base.to_owned(), path: format!("/{folder}"), query: text(made, "query").to_owned() }
    }

    fn get(&self, file: &str) -> Reply {
        get(&self.url, &format!("{}/{file}?{}", self.path, self.query))
    }

    fn ask(&self, method: &str, file: &str, headers: &[(&str, &str)]) -> Reply {
        ask(&self.url, method, &format!("{}/{file}?{}", self.path, self.query), headers, "")
    }

    fn opens(&self) -> bool {
        self.get("_latest.json").code == 200
    }
}

fn id(made: &Value) -> &str {
    text(&made["share"], "policy")
}

#[test]
fn a_folder_is_read_by_a_link() {
    let scene = Scene::start();
    let daemon = scene.serve();
    let made = scene.share(&["create", "--address", &daemon.url]).expect_code(0).json();
    assert_eq!((&made["kind"], &made["share"]["permissions"]), (&json!("served"), &json!("r")));
    assert!(id(&made).starts_with("haul-test-90d-"), "{made}");
    let link = Link::of(&made);

    // Whole and in part, as DuckDB asks; the pointer leads to the manifest, and that to the parts.
    let address = format!("{}/items/current.parquet", text(&made, "base_url"));
    let rows = read(&format!("select count(*), min(name), max(id) from read_parquet('{address}')"), Some(&link.query));
    assert_eq!(rows["rows"], json!([[ROWS, "name 0", ROWS - 1]]));
    let least = ROWS - 5;
    let found = output_of("by_link.py", &[&format!("{address}?{}", link.query), "id", &least.to_string()]);
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found, json!({ "arrow": ROWS, "polars": ROWS, "chosen": 5 }));
    let pointer: Value = serde_json::from_str(&link.get("_latest.json").body).expect("JSON");
    let manifest: Value = serde_json::from_str(&link.get(text(&pointer, "manifest")).body).expect("JSON");
    let part = text(&manifest["tables"]["items"]["parts"][0], "path").to_owned();
    let rows = read(&format!("select count(*) from '{}/{part}'", text(&made, "base_url")), Some(&link.query));
    assert_eq!(rows["rows"], json!([[ROWS]]));
    assert_eq!(link.get("_status.json").code, 200);

    let head = link.ask("HEAD", &part, &[]);
    let bytes = std::fs::read(scene.place.path("out/test").join(&part)).expect("the part");
    assert_eq!((head.code, head.header("content-length")), (200, Some(bytes.len().to_string().as_str())));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
    let tag = head.header("etag").expect("a tag").to_owned();
    let few = link.ask("GET", "_latest.json", &[("range", "bytes=2-16")]);
    assert_eq!((few.code, few.body.len()), (206, 15));
    assert!(few.header("content-range").expect("it").starts_with("bytes 2-16/"), "{few:?}");
    assert_eq!(few.body, link.get("_latest.json").body[2..17]);
    assert_eq!(link.ask("GET", "_latest.json", &[("range", "bytes=-2")]).body, "}\n");
    assert_eq!(link.ask("GET", &part, &[("range", "bytes=999999999-")]).code, 416);
    assert_eq!(link.ask("GET", &part, &[("if-none-match", &tag)]).code, 304);

    let again = scene.share(&["show", id(&made), "--address", &daemon.url]).expect_code(0).json();
    assert_eq!(made, again);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn nothing_but_tables_is_read_and_only_with_the_link() {
    let scene = Scene::start();
    std::fs::write(scene.place.path("out/secret.txt"), "not theirs").expect("a file");
    std::fs::write(scene.place.path("out/test/notes.txt"), "not theirs").expect("a file");
    std::fs::create_dir_all(scene.place.path("out/test/items/quarantine")).expect("a folder");
    let run = "01JD3K9V6Q8Z0X4T2M7B5N1C0R";
    let hidden = format!("items/quarantine/{run}.jsonl");
    std::fs::write(scene.place.path("out/test").join(&hidden), "not theirs").expect("a file");
    std::fs::create_dir_all(scene.place.path("out/test/evil")).expect("a folder");
    std::os::unix::fs::symlink("/etc/passwd", scene.place.path("out/test/evil/current.csv")).expect("a link");
    let daemon = scene.serve();
    let made = scene.share(&["create", "--address", &daemon.url]).expect_code(0).json();
    let link = Link::of(&made);
    assert!(link.opens());
    let hostile = [
        "",
        "/",
        ".",
        "..",
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "..%5csecret.txt",
        "....//secret.txt",
        "items/../notes.txt",
        "items/..%2f..%2fsecret.txt",
        "notes.txt",
        "items",
        "items/",
        "items/data/",
        "_snapshots/",
        "_snapshots",
        "_held/x.json",
        &hidden,
        "evil/current.csv",
        "_latest.lock",
        "_latest.json%00.txt",
        "_latest.json/",
        "/_latest.json",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "items%2fcurrent.csv",
        "ITEMS/current.parquet",
        "%ff",
        "items/data/.haul-aB3.tmp",
        "_snapshots/../_latest.json",
        "items/current.parquet%20",
        "C:%5cWindows",
    ];
    for path in hostile {
        let reply = link.get(path);
        assert!(matches!(reply.code, 400 | 403 | 404), "{path}: {reply:?}");
        assert!(!reply.body.contains("not theirs") && !reply.body.contains("root:"), "{path}: {reply:?}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = link.ask(method, "_latest.json", &[]);
        assert!(matches!(reply.code, 401 | 403 | 405), "{method}: {reply:?}");
    }

    let (query, sig) = (&link.query, link.query.rsplit("sig=").next().expect("a signature"));
    let other = scene.share(&["create", "--address", &daemon.url]).expect_code(0).json();
    let wrong = [
        String::new(),
        query.replace(sig, ""),
        query.replace(sig, &sig.to_lowercase()),
        query.replace(sig, &sig[..sig.len() - 1]),
        query.replace(sig, "%00"),
        query.replace("sv=haul-1", "sv=haul-2"),
        query.replace(id(&made), id(&other)),
        query.replace(id(&made), "../../lease"),
        query.replace(id(&made), "x%2f..%2fy"),
        format!("{query}&sig=x"),
        format!("si={}", id(&made)),
    ];
    for query in wrong {
        let reply = get(&link.url, &format!("{}/_latest.json?{query}", link.path));
        assert!(matches!(reply.code, 400 | 403), "{query}: {reply:?}");
        assert!(!reply.body.contains("snapshot"), "{reply:?}");
    }
    // What is not there and what is not theirs look alike without a link, whichever job is named.
    let strange = |path: &str| get(&link.url, path);
    let refused = strange("/data/test/_latest.json").body;
    for path in ["/data/test/nothing.txt", "/data/nobody/_latest.json", "/data/nobody/x"] {
        assert_eq!((strange(path).code, &strange(path).body), (403, &refused), "{path}");
    }
    assert_eq!(strange(&format!("/data/nobody/_latest.json?{query}")).code, 403);
    // Another host name is somebody else's page, as everywhere.
    assert_eq!(link.ask("GET", "_latest.json", &[("host", "evil.example")]).code, 421);
    let stored = std::fs::read_dir(scene.place.path("state")).expect("the state").count();
    assert!(stored > 0);
    scene.place.assert_holds_none_of(&[], &[sig]);
    drop(daemon);

    // With a login before the page a link is enough, and a login is not.
    let place = &scene.place;
    let token = place.file("token", "canary-token-of-the-page");
    let daemon = Daemon::start_at(place, &["serve", "jobs", "--json", "--token-file", &token], &Time::Real);
    let bearer = [("authorization", "Bearer canary-token-of-the-page")];
    wait_until("the job is opened", || daemon.ask("GET", "/jobs/test/powerbi", &bearer, "").code == 200);
    let path = format!("{}/_latest.json", link.path);
    assert_eq!(daemon.get(&format!("{path}?{query}")).code, 200);
    assert_eq!(daemon.ask("GET", &path, &bearer, "").code, 403);
    assert_eq!(daemon.get("/jobs/test/powerbi").code, 401);
}

#[test]
fn a_link_is_extended_replaced_and_revoked() {
    let scene = Scene::start();
    let share = |at: &str, args: &[&str]| -> Done {
        let mut command = scene.place.command(&[&["share", args[0], &scene.file, "--json"], &args[1..]].concat());
        Time::From(at.to_owned(), 1).apply(&mut command);
        Done::of(command.output().expect("haul starts"))
    };
    let ago = |days: i64| (chrono::Utc::now() - chrono::TimeDelta::days(days)).format("%Y-%m-%d %H:%M:%S").to_string();
    let daemon = scene.serve();
    // Made eleven days ago for ten days, so that it is over now.
    let made = share(&ago(11), &["create", "--days", "10", "--address", &daemon.url]).expect_code(0).json();
    let link = Link::of(&made);
    assert_eq!(link.get("_latest.json").code, 403);
    scene.place.haul(&["share", "list", &scene.file]).expect_code(0).expect_says(&["served, ended"]);
    let end = scene.share(&["extend"]).expect_code(0).json()["shares"][0]["expires_at"].clone();
    assert!(link.opens(), "the same address works past its former end");
    let again = scene.share(&["extend", "--days", "1"]).expect_code(0).json();
    assert_eq!(again["shares"][0]["expires_at"], end, "an end is never brought forward");

    // One of which less than half is left is extended by a run, one that has ended is not.
    let old = share(&ago(6), &["create", "--days", "10", "--address", &daemon.url]).expect_code(0).json();
    let over = share(&ago(20), &["create", "--days", "10", "--address", &daemon.url]).expect_code(0).json();
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    let listed = scene.share(&["list"]).expect_code(0).json();
    let end_of = |made: &Value| {
        let shares = listed["shares"].as_array().expect("shares");
        let share = shares.iter().find(|share| share["policy"] == made["share"]["policy"]).expect("the share");
        share["expires_at"].as_str().expect("an end").parse::<chrono::DateTime<chrono::Utc>>().expect("an instant")
    };
    assert!(end_of(&old) > chrono::Utc::now() + chrono::TimeDelta::days(9));
    assert!(end_of(&over) < chrono::Utc::now());
    // Another daemon, because one does not look at every request.
    let page = scene.serve().get("/metrics").body;
    assert!(
        page.contains(&format!("haul_share_expiry_timestamp_seconds{{job=\"test\"}} {}", end_of(&over).timestamp())),
        "{page}"
    );
    scene.share(&["revoke", id(&over)]).expect_code(0);
    scene.share(&["revoke", id(&old)]).expect_code(0);

    let second = scene.share(&["rotate", "--address", &daemon.url]).expect_code(0).expect_says(&["goes on"]).json();
    assert!(link.opens() && Link::of(&second).opens());
    scene.share(&["rotate", id(&made), "--revoke-after", "2", "--address", &daemon.url]).expect_code(0);
    let run = scene.place.haul(&["run", &scene.file, "--json"]).expect_code(0).json();
    assert!(run["warnings"].to_string().contains(&format!("the share `{}` ends at", id(&made))), "{run:#}");
    assert!(link.opens());
    let third = scene.share(&["rotate", id(&second), "--revoke", "--address", &daemon.url]).expect_code(0).json();
    assert!(!Link::of(&second).opens() && Link::of(&third).opens());
    scene.share(&["revoke", id(&third)]).expect_code(0);
    assert_eq!(Link::of(&third).get("_latest.json").code, 403);
    scene.share(&["revoke", id(&third)]).expect_code(2).expect_says(&["there is no share"]);

    // The vault's key may change under links that go on.
    scene.place.haul(&["credentials", "rotate-key"]).expect_code(0);
    assert!(link.opens());
    // For people.
    let told = scene.place.haul(&["share", "create", &scene.file]).expect_code(0);
    told.expect_says(&[
        "may read the tables of `test`",
        "SasSignature",
        "http://127.0.0.1:8733/data/test/FILE?sv=haul-1",
        "haul serve",
    ]);
    let open =
        scene.place.haul(&["share", "create", &scene.file, "--address", "http://haul.example.com/x/"]).expect_code(0);
    open.expect_says(&["plain http", "http://haul.example.com/x/data/test/FILE?"]);
    for wrong in ["ftp://x", "nonsense", "https://u:p@x", "https://x?a=b"] {
        scene.place.haul(&["share", "create", &scene.file, "--address", wrong]).expect_code(2);
    }
}

#[test]
fn a_container_is_read_by_way_of_the_daemon() {
    let azurite = Rig::start("azurite.mjs", &[]);
    output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
    let source = Server::start(|_, _| ok("[{\"id\":1,\"name\":\"one\"},{\"id\":2,\"name\":\"two\"}]"));
    let place = crate::scene::place_at(&azurite, azurite.text("key"));
    let text_of = job(&source.url, "", "paging: none").replace("url: out", "url: az://reports/exports");
    let file = place.file("jobs/test.yaml", &text_of);
    place.haul(&["run", &file]).expect_code(0);
    let daemon = Daemon::start(&place, "jobs");
    wait_until("the job is opened", || daemon.get("/jobs/test/powerbi").code == 200);
    let made = place.haul(&["share", "create", &file, "--json", "--address", &daemon.url]).expect_code(0).json();
    assert_eq!(made["kind"], "served");
    let link = Link::of(&made);
    let rows = read(
        &format!("select id, name from '{}/items/current.parquet' order by id", text(&made, "base_url")),
        Some(&link.query),
    );
    assert_eq!(rows["rows"], json!([[1, "one"], [2, "two"]]));
    let few = link.ask("GET", "_latest.json", &[("range", "bytes=-1")]);
    assert_eq!((few.code, few.body.as_str()), (206, "\n"));
    assert_eq!(link.get("items/current.csv").code, 404);
    // Both kinds stand side by side.
    place.haul(&["share", "create", &file]).expect_code(0);
    let listed = place.haul(&["share", "list", &file, "--json"]).expect_code(0).json();
    let kinds: Vec<&str> =
        listed["shares"].as_array().expect("shares").iter().map(|share| text(share, "kind")).collect();
    assert_eq!(kinds, ["policy", "served"]);
    place.haul(&["share", "revoke", &file, id(&made)]).expect_code(0);
    assert_eq!(link.get("_latest.json").code, 403);
    // The account is gone: the reader is told to come again, and nothing of the account.
    let made = place.haul(&["share", "create", &file, "--json", "--address", &daemon.url]).expect_code(0).json();
    let link = Link::of(&made);
    drop(azurite);
    let gone = link.get("_latest.json");
    assert_eq!((gone.code, gone.header("retry-after")), (503, Some("5")), "{gone:?}");
    assert!(!gone.body.contains("reports"), "{gone:?}");
}

#[test]
fn what_a_gate_holds_back_is_not_read_by_a_link() {
    let source = Server::start(|_, before| {
        let rows: Vec<Value> = (0..if before == 0 { 2_000 } else { 300 }).map(|id| json!({ "id": id })).collect();
        ok(Value::from(rows).to_string())
    });
    let place = Workplace::new();
    let file = place.file("jobs/test.yaml", &job(&source.url, "", "paging: none\nkey: [id]\n"));
    place.haul(&["run", &file]).expect_code(0);
    let scene = Scene { place, file, _source: source };
    let daemon = scene.serve();
    let link = Link::of(&scene.share(&["create", "--address", &daemon.url]).expect_code(0).json());
    let held = scene.place.haul(&["run", &scene.file, "--json"]).json();
    assert_eq!(held["outcome"], "held", "{held}");
    let run = text(&held, "run");
    let part = format!("items/data/{run}-001.parquet");
    assert!(scene.place.path("out/test").join(&part).exists(), "{part}");
    assert_eq!(link.ask("HEAD", &part, &[]).code, 404);
    scene.place.haul(&["publish", &scene.file, "--approve", run]).expect_code(0);
    assert_eq!(link.ask("HEAD", &part, &[]).code, 200);
}
