//! The image and what `config/` has for cron, systemd, Kubernetes, Azure and Compose: each file passes the schema or linter
//! of its platform, a broken copy does not, and the commands in it are run with this binary.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::clock::in_hours;
use support::rigs::{outcome_of, output_of};
use support::server::{Server, ok};
use support::{Done, Workplace, job, terminate};
use tempfile::TempDir;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn path(name: &str) -> String {
    root().join(name).to_string_lossy().into_owned()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents of a YAML file.
fn yaml(name: &str) -> Vec<Value> {
    serde_json::from_str(&output_of("deploy.py", &["yaml", &path(name)])).expect("JSON")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A checker takes the file as it is, and none of its broken copies: what is replaced by what, and what is said then.
fn check(name: &str, checker: impl Fn(&str) -> Output, broken: &[(&str, &str, &str)]) {
    let output = checker(&path(name));
    assert!(output.status.success(), "{name}: {}", said(&output));
    let whole = text(name);
    let folder = TempDir::new().expect("a folder");
    let copy = folder.path().join(Path::new(name).file_name().expect("a name"));
    for (right, wrong, word) in broken {
        assert!(whole.contains(right), "{name} has no `{right}` to break");
        std::fs::write(&copy, whole.replacen(right, wrong, 1)).expect("a file");
        let output = checker(&copy.to_string_lossy());
        let said = said(&output);
        assert!(!output.status.success() && said.contains(word), "{name} with `{wrong}`: {:?}: {said}", output.status);
    }
}

// ---- the image

#[test]
fn the_dockerfile_passes_its_linter() {
    let lint = |file: &str| outcome_of("hadolint", &["--no-color", "--failure-threshold", "info", file]);
    check(
        "Dockerfile",
        lint,
        &[
            ("FROM rust:1.95-slim-bookworm", "FROM rust", "DL3006"),
            ("WORKDIR /build", "WORKDIR build", "DL3000"),
            ("COPY src src", "ADD src src", "DL3020"),
            ("USER 65532:65532", "USER root", "DL3002"),
            ("EXPOSE 8733", "EXPOSE 87330", "DL3011"),
            ("STOPSIGNAL SIGTERM", "STOPSIGNALS SIGTERM", "missing whitespace"),
        ],
    );
}

/// Words of every line of the Dockerfile, continued ones joined.
fn instructions() -> Vec<Vec<String>> {
    let text = text("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// What the build stage copies from the folder of the project.
fn copied() -> BTreeSet<String> {
    let copies = instructions().into_iter().filter(|words| words[0] == "COPY" && !words[1].starts_with("--from"));
    copies.flat_map(|words| words[1..words.len() - 1].to_vec()).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Files outside of the sources that are compiled into the binary, below the project's folder.
fn compiled_in() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        for name in ["include_str!(", "include_bytes!(", "include!(", "include_dir!("] {
            for after in code.split(name).skip(1) {
                let Some(named) = after.trim_start().strip_prefix('"') else {
                    assert!(name.starts_with("include_dir"), "{}: `{name}` of no plain name", file.display());
                    continue;
                };
                let named = named.split('"').next().expect("a name").replace("$CARGO_MANIFEST_DIR/", "/");
                let whole = if let Some(below) = named.strip_prefix('/') {
                    root().join(below)
                } else {
                    file.parent().expect("a folder").join(named)
                };
                let whole = whole.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", whole.display()));
                found.insert(whole.strip_prefix(root()).expect("of the project").to_string_lossy().into_owned());
            }
        }
    }
    assert!(found.contains("config/providers.yaml"), "the sources were not understood: {found:?}");
    found
}

fn is_within(file: &str, folders: &BTreeSet<String>) -> bool {
    folders.iter().any(|folder| Path::new(file).starts_with(folder))
}

#[test]
fn the_image_is_built_from_all_that_is_compiled_in() {
    let copied = copied();
    for name in &copied {
        assert!(root().join(name).exists(), "the Dockerfile copies `{name}`, which does not exist");
    }
    let mut needed = compiled_in();
    needed.extend(["Cargo.toml", "Cargo.lock", "src/main.rs", "src/lib.rs"].map(str::to_owned));
    if root().join("build.rs").exists() {
        needed.insert("build.rs".to_owned());
    }
    for file in needed {
        assert!(is_within(&file, &copied), "the Dockerfile does not copy `{file}`, which the build needs");
    }
}

/// The builder gets what is copied and nothing else: no keys that lie about, no build of this machine.
#[test]
fn the_builder_gets_what_is_copied_and_nothing_else() {
    let text = text(".dockerignore");
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(lines.next(), Some("*"));
    let given: BTreeSet<String> =
        lines.map(|line| line.strip_prefix('!').expect("after `*` only exceptions").to_owned()).collect();
    assert_eq!(given, copied());
}

#[test]
fn the_image_has_the_toolchain_of_the_package_and_no_root() {
    let manifest = text("Cargo.toml");
    let least =
        manifest.split("rust-version = \"1.").nth(1).and_then(|rest| rest.split('"').next()).expect("a version");
    let instructions = instructions();
    let froms: Vec<&str> = instructions.iter().filter(|words| words[0] == "FROM").map(|words| &*words[1]).collect();
    let has = froms[0].strip_prefix("rust:1.").and_then(|rest| rest.split('-').next()).expect("a version");
    assert!(has.parse::<u32>().expect("a number") >= least.parse::<u32>().expect("a number"), "{froms:?}");
    assert!(froms[1].ends_with(":nonroot"), "{froms:?}");
    let word = |name: &str| instructions.iter().rfind(|words| words[0] == name).expect("an instruction")[1..].join(" ");
    assert_eq!(word("USER"), "65532:65532");
    assert_eq!(word("STOPSIGNAL"), "SIGTERM");
    assert_eq!(word("ENTRYPOINT"), r#"["/usr/local/bin/haul"]"#, "there is no shell");
    let version = manifest.split("version = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a version");
    assert!(instructions.contains(&vec!["ARG".to_owned(), format!("VERSION={version}")]), "the label's version");
}

// ---- schemas and linters

#[test]
fn kubernetes_files_validate_against_the_published_schema() {
    let files = ["config/kubernetes/jobs.yaml", "config/kubernetes/cronjob.yaml", "config/kubernetes/daemon.yaml"];
    for (number, name) in files.into_iter().enumerate() {
        // References lead from file to file.
        let checker = |file: &str| {
            let mut all = files.map(path);
            file.clone_into(&mut all[number]);
            outcome_of("deploy.py", &["kubernetes", &all[0], &all[1], &all[2]])
        };
        let broken: &[(&str, &str, &str)] = match name {
            "config/kubernetes/jobs.yaml" => &[
                ("  sales.yaml: |", "  sales.yaml:", "data.sales.yaml"),
                ("name: haul-jobs", "name: jobs", "no ConfigMap `haul-jobs`"),
                ("apiVersion: v1", "apiVersion: v2", "Couldn't find schema"),
            ],
            "config/kubernetes/cronjob.yaml" => &[
                ("timeZone:", "timezone:", "'timezone' was unexpected"),
                ("backoffLimit: 4", "backoffLimit: four", "backoffLimit"),
                ("concurrencyPolicy: Forbid", "concurrencyPolicy: Forbidden", "'Forbidden'"),
                ("  schedule: \"0 5 * * 1-5\"\n", "", "'schedule' is a required property"),
                ("containerName: haul", "containerName: hall", "no container `hall`"),
                ("restartPolicy: Never", "restartPolicy: OnFailure", "podFailurePolicy needs"),
                ("status: \"True\"", "state: \"True\"", "'status' is a required property"),
                ("mountPath: /tmp", "mountpath: /tmp", "'mountPath' is a required"),
                ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem"),
                ("runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"),
            ],
            _ => &[
                ("replicas: 1", "replicas: \"1\"", "replicas"),
                ("type: Recreate", "type: Recreated", "'Recreated'"),
                ("path: /healthz", "paths: /healthz", "'paths' was unexpected"),
                (
                    "port: web\n            periodSeconds: 20",
                    "port: wed\n            periodSeconds: 20",
                    "no port `wed`",
                ),
                ("claimName: haul-state", "claimName: haul", "no PersistentVolumeClaim `haul`"),
                (
                    "app.kubernetes.io/component: daemon\n  template",
                    "app.kubernetes.io/component: d\n  template",
                    "selector",
                ),
                (
                    "            - name: web\n              mountPath",
                    "            - name: wed\n              mountPath",
                    "`wed`",
                ),
                ("accessModes: [\"ReadWriteOnce\"]", "accessModes: [\"ReadWriteTwice\"]", "'ReadWriteTwice'"),
            ],
        };
        check(name, checker, broken);
    }
}

#[test]
fn the_container_apps_job_fits_microsofts_own_client() {
    check(
        "config/azure/containerapps-job.yaml",
        |file| outcome_of("deploy.py", &["containerapps", file]),
        &[
            ("triggerType: Schedule", "triggerType: Scheduled", "not one of Schedule, Event, Manual"),
            ("replicaTimeout: 86400", "replicaTimeout: one day", "int is needed"),
            ("    replicaTimeout: 86400\n", "", "`replicaTimeout` is missing"),
            ("cronExpression: \"*/5 * * * *\"", "cronExpression: \"*/5 * * *\"", "five fields"),
            ("keyVaultUrl:", "keyVaultURL:", "unknown; known are identity, keyVaultUrl, name, value"),
            ("secretRef: vault-key", "secretRef: vault", "no secret `vault`"),
            ("volumeName: jobs", "volumeName: job", "no volume `job`"),
            ("storageType: AzureFile", "storageType: AzureDisk", "not one of"),
            ("userAssignedIdentities/haul: {}", "userAssignedIdentities/hall: {}", "is not assigned"),
            ("properties:\n", "properties:\n  provisioningState: Succeeded\n", "only the service sets it"),
        ],
    );
}

#[test]
fn the_compose_file_fits_the_specification() {
    check(
        "config/compose/compose.yaml",
        |file| outcome_of("deploy.py", &["compose", file]),
        &[
            ("read_only: true", "readonly: true", "readonly"),
            ("stop_grace_period: 30s", "stop_grace_period: thirty", "thirty"),
            ("restart: unless-stopped", "restart: sometimes", "unknown variant"),
            ("pids_limit: 256", "pids_limit: many", "pids_limit"),
        ],
    );
}

/// `systemd-analyze` about one unit, with this binary where it will be installed. Template units are asked about as `sales`.
fn units(file: &str, verb: &[&str]) -> Output {
    let folder = TempDir::new().expect("a folder");
    let file = Path::new(file);
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    // The timer needs its service beside it.
    for other in ["haul.service", "haul-run@.service", "haul-run@.timer"] {
        let from = if other == name { file.to_path_buf() } else { root().join("config/systemd").join(other) };
        let unit =
            std::fs::read_to_string(from).expect("a unit").replace("/usr/local/bin/haul", env!("CARGO_BIN_EXE_haul"));
        std::fs::write(folder.path().join(other.replace('@', "@sales")), unit).expect("a file");
    }
    Command::new("systemd-analyze")
        .args(verb)
        .arg(folder.path().join(name.replace('@', "@sales")))
        .stdin(Stdio::null())
        .output()
        .expect("systemd-analyze is installed: run `tests/rigs/install`")
}

#[test]
fn the_units_pass_systemds_own_checks() {
    // No manual page is installed where the tests run. What it ignores it only tells, and so must be silent.
    let verify = |file: &str| {
        let mut output = units(file, &["verify", "--man=no", "--recursive-errors=yes"]);
        if !said(&output).is_empty() {
            output.status = std::os::unix::process::ExitStatusExt::from_raw(256);
        }
        output
    };
    let service = [
        ("ExecStart=/usr/local/bin/haul", "ExecStart=/usr/local/bin/hall", "not executable"),
        ("TimeoutStopSec=30", "TimeoutStopSec=thirty", "time value"),
        ("ProtectSystem=strict", "ProtectSystems=strict", "Unknown key"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@system-services", "Unknown system call group"),
    ];
    check("config/systemd/haul.service", verify, &service);
    check("config/systemd/haul-run@.service", verify, &service);
    let timer = [
        ("Europe/Amsterdam", "Europe/Amsterdom", "calendar"),
        ("OnCalendar=Mon", "Calendar=Mon", "Unknown key"),
        ("Persistent=yes", "Persistent=perhaps", "boolean"),
    ];
    check("config/systemd/haul-run@.timer", verify, &timer);
}

#[test]
fn the_units_leave_little_open() {
    // 1.7 of 10 with systemd 252; the rest is the network and /proc, which haul needs.
    let rate = |file: &str| units(file, &["security", "--offline=true", "--threshold=20", "--no-pager"]);
    for unit in ["config/systemd/haul.service", "config/systemd/haul-run@.service"] {
        check(
            unit,
            rate,
            &[
                ("CapabilityBoundingSet=\n", "", "CAP_SYS_ADMIN"),
                ("RestrictNamespaces=yes", "RestrictNamespaces=no", "✗ RestrictNamespaces=~user"),
            ],
        );
    }
}

#[test]
fn the_crontab_passes_its_linter() {
    check(
        "config/cron/haul",
        |file| outcome_of("checkcrontab", &["--no-colors", "--system", file]),
        &[
            ("* * * * * haul", "61 * * * * haul", "out of bounds"),
            ("* * * * * haul haul run", "* * * * haul run", "haul"),
            ("* * * * * haul", "*/0 * * * * haul", "step"),
        ],
    );
}

// ---- the commands

/// A source whose records differ from request to request.
fn source() -> Server {
    Server::start(|_, before| ok(json!([{ "id": before }]).to_string()))
}

/// A place with `jobs/sales.yaml`, which has a slot every hour.
fn place_with_job(server: &Server) -> Workplace {
    let place = Workplace::new();
    let text =
        job(&server.url, "", "key: [id]\n").replace("url: out", &format!("url: {}", place.path("out").display()));
    place.file("jobs/sales.yaml", &format!("{text}schedule: {{ every: 1h, timezone: UTC }}\n"));
    place
}

fn history(place: &Workplace) -> Vec<Value> {
    let jobs = place.path("jobs/sales.yaml");
    let runs = place.haul(&["runs", &jobs.to_string_lossy(), "--json"]).expect_code(0).json();
    runs["history"].as_array().expect("entries").clone()
}

/// `ExecStart=` of a unit in words.
fn exec_start(unit: &str) -> Vec<String> {
    let text = text(unit);
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("ExecStart=");
    line.split_whitespace().map(str::to_owned).collect()
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|word| word.as_str().expect("a text").to_owned()).collect()
}

fn document<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).expect("a document of this kind")
}

/// Where the jobs are in these files, in this place.
fn put(words: Vec<String>, place: &Workplace) -> Vec<String> {
    let jobs = place.path("jobs").to_string_lossy().into_owned();
    let put = |word: String| {
        let below = word.strip_prefix("/etc/haul").or_else(|| word.strip_prefix("/jobs")).map(str::to_owned);
        below.map_or(word, |below| format!("{jobs}{}", below.replace("%i", "sales")))
    };
    words.into_iter().map(put).collect()
}

fn call(place: &Workplace, words: &[String], hours: u64) -> Done {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if hours == 0 { place.haul(&words) } else { place.haul_in(hours, &words) }
}

#[test]
fn the_commands_of_single_runs_publish() {
    let mut unit = exec_start("config/systemd/haul-run@.service");
    assert_eq!(unit.remove(0), "/usr/local/bin/haul");
    let cron = yaml("config/kubernetes/cronjob.yaml");
    let pod = &document(&cron, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    for command in [unit, words(&pod["containers"][0]["args"])] {
        let server = source();
        let place = place_with_job(&server);
        let report = call(&place, &put(command.clone(), &place), 0).expect_code(0).json();
        assert_eq!(report["outcome"], "published", "{command:?}");
    }
}

#[test]
fn the_command_of_the_container_apps_job_serves_a_due_slot_once() {
    let job = &yaml("config/azure/containerapps-job.yaml")[0];
    let command = words(&job["properties"]["template"]["containers"][0]["args"]);
    let server = source();
    let place = place_with_job(&server);
    let command = put(command, &place);
    call(&place, &command, 0).expect_code(0);
    assert_eq!(server.asked().len(), 0, "no slot is due yet");
    let report = call(&place, &command, 2).expect_code(0).json();
    assert_eq!(report["outcome"], "published");
    call(&place, &command, 2).expect_code(0);
    assert_eq!(server.asked().len(), 1, "its slot is served");
}

#[test]
fn the_crontabs_line_runs_as_cron_would_run_it() {
    let server = source();
    let place = place_with_job(&server);
    let programs = place.path("bin");
    std::fs::create_dir(&programs).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_haul"), programs.join("haul")).expect("a link");
    let text = text("config/cron/haul");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let (lines, settings): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('*'));
    assert_eq!(lines.len(), 1);
    let (_, command) = lines[0].split_once(" haul ").expect("the user");
    assert!(!command.contains('%'), "cron takes it for the end of a line");
    let (haul, log) = command.split_once(" | ").expect("its output goes somewhere");
    assert_eq!(log, "logger --tag haul");
    let haul = haul.replace("/etc/haul", &place.path("jobs").to_string_lossy());
    let said = [0, 2, 2].map(|hours| {
        // The plain environment of cron, and what the file sets.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &haul]).env_clear().env("HOME", place.path("")).env("LOGNAME", "haul").stdin(Stdio::null());
        for setting in &settings {
            let (name, value) = setting.split_once('=').expect("NAME=value");
            let value = value.replace("/usr/local/bin", &programs.to_string_lossy());
            shell.env(name, value.replace("/var/lib/haul/state", &place.path("state").to_string_lossy()));
        }
        if hours > 0 {
            in_hours(&mut shell, hours);
        }
        Done::of(shell.output().expect("a shell")).expect_code(0).stdout
    });
    assert_eq!(said.map(|said| said.contains("published")), [false, true, false]);
    assert_eq!(server.asked().len(), 1, "one slot was due, and served once");
    assert_eq!(history(&place).iter().filter(|entry| entry["outcome"] == "published").count(), 1);
}

/// A daemon as one of the files starts it, on a free port.
struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    /// `environment` = besides that of the place.
    fn start(place: &Workplace, command: Vec<String>, environment: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let token = place.file("web-token", "canary-web-token\n");
        let command: Vec<String> = put(command, place)
            .into_iter()
            .map(|word| word.replace(":8733", &format!(":{port}")).replace("/run/secrets/web/token", &token))
            .collect();
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut call = place.command(&words);
        call.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null());
        Daemon { child: call.spawn().expect("haul starts"), port }
    }

    /// Status and body of a GET, as a probe asks. `None` = nobody listens yet.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        use std::io::{Read, Write};

        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    fn wait_for(&mut self, path: &str) {
        let began = Instant::now();
        loop {
            let answer = self.get(path);
            if answer.as_ref().is_some_and(|(status, _)| *status == 200) {
                return;
            }
            if let Some(status) = self.child.try_wait().expect("a process") {
                panic!("the daemon ended: {status}");
            }
            assert!(began.elapsed() < PATIENCE, "{path} answers {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as every platform does: with code 0, within the time that the files grant.
    fn stop(mut self) {
        let began = Instant::now();
        terminate(self.child.id(), "-TERM");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_commands_of_daemons_answer_the_probes_of_their_files() {
    let mut unit = exec_start("config/systemd/haul.service");
    assert_eq!(unit.remove(0), "/usr/local/bin/haul");
    let kubernetes = yaml("config/kubernetes/daemon.yaml");
    let pod = &document(&kubernetes, "Deployment")["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let probe = |name: &str| container[name]["httpGet"]["path"].as_str().expect("a path").to_owned();
    let metrics = pod["metadata"]["annotations"]["prometheus.io/path"].as_str().expect("a path");
    assert_eq!(container["ports"][0]["containerPort"], 8733);
    let compose = words(&yaml("config/compose/compose.yaml")[0]["services"]["haul"]["command"]);
    let by_environment = [("HAUL_WEB_TOKEN", "canary-web-token")];
    for (command, environment) in
        [(unit, &[][..]), (words(&container["args"]), &[][..]), (compose, &by_environment[..])]
    {
        let server = source();
        let place = place_with_job(&server);
        let mut daemon = Daemon::start(&place, command, environment);
        daemon.wait_for(&probe("livenessProbe"));
        daemon.wait_for(&probe("readinessProbe"));
        let (status, text) = daemon.get(metrics).expect("an answer");
        assert!(status == 200 && text.contains("haul_"), "{status}: {text}");
        daemon.stop();
    }
}

/// A mounted ConfigMap is links to a hidden folder, which is exchanged as a whole.
#[test]
fn the_daemon_reads_a_mounted_configmap_once() {
    let config = yaml("config/kubernetes/jobs.yaml");
    let data = document(&config, "ConfigMap")["data"].as_object().expect("files").clone();
    let place = Workplace::new().env("SALES_CLIENT_SECRET", "canary").env("AZURE_STORAGE_ACCOUNT_NAME", "reports");
    std::fs::create_dir_all(place.path("jobs/..2026_11_26")).expect("a folder");
    std::os::unix::fs::symlink("..2026_11_26", place.path("jobs/..data")).expect("a link");
    for (name, text) in &data {
        place.file(&format!("jobs/..2026_11_26/{name}"), text.as_str().expect("a text"));
        std::os::unix::fs::symlink(format!("..data/{name}"), place.path(&format!("jobs/{name}"))).expect("a link");
        place.haul(&["check", &format!("jobs/{name}")]).expect_code(0);
    }
    let mut daemon = place.command(&["serve", "jobs", "--json", "--no-web"]);
    let mut daemon = daemon.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("haul starts");
    let mut line = String::new();
    let mut notes = std::io::BufReader::new(daemon.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut notes, &mut line).expect("a line");
    terminate(daemon.id(), "-TERM");
    assert_eq!(daemon.wait().expect("it ends").code(), Some(0));
    let note: Value = serde_json::from_str(&line).expect("a document a line");
    assert_eq!(note["note"], "keeping", "{line}");
    assert_eq!(note["next"].as_object().expect("jobs").keys().collect::<Vec<_>>(), ["sales"]);
}

// ---- what the files know of haul

/// Exit codes are an interface: the rules of the platforms name the same ones as the manual and `haul --help`.
#[test]
fn the_rules_by_exit_code_are_those_of_the_manual() {
    let cron = yaml("config/kubernetes/cronjob.yaml");
    let rules = &document(&cron, "CronJob")["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"];
    assert_eq!(rules[1]["onExitCodes"]["values"], json!([2, 4, 5, 6]));
    let unit = text("config/systemd/haul-run@.service");
    for line in ["RestartPreventExitStatus=2 4 5\n", "SuccessExitStatus=6 143\n"] {
        assert!(unit.contains(line), "no {line}");
    }
    // `haul --help` lists them in the order and with the numbers of `Exit`.
    let source = text("src/cli/failure.rs");
    let body = source.split("enum Exit {").nth(1).and_then(|rest| rest.split('}').next()).expect("the codes");
    let codes: BTreeSet<u32> = body.split(',').filter_map(|line| line.split('=').nth(1)?.trim().parse().ok()).collect();
    let help = Done::of(Workplace::new().command(&["--help"]).output().expect("haul starts")).expect_code(0).stdout;
    let listed = |text: &str, start: &str| -> BTreeSet<u32> {
        let after = text.split(start).nth(1).expect("a list of exit codes");
        let lines = after.lines().skip(1).take_while(|line| !line.starts_with("## "));
        let firsts = lines.map(|line| {
            line.trim().trim_matches('|').trim().split(['|', ' ', ',']).next().unwrap_or_default().to_owned()
        });
        firsts.filter_map(|word| word.parse().ok()).collect()
    };
    assert_eq!(listed(&help, "Exit codes:"), codes);
    let manual = text("docs/OPERATING.md").replace("| 130, 143 |", "| 130 |\n| 143 |");
    assert_eq!(listed(&manual, "## Exit codes"), codes);
}

/// Every platform grants the daemon the time that it needs to end.
#[test]
fn every_file_grants_thirty_seconds_to_end() {
    for (name, line) in [
        ("config/systemd/haul.service", "TimeoutStopSec=30\n"),
        ("config/systemd/haul-run@.service", "TimeoutStopSec=30\n"),
        ("config/kubernetes/cronjob.yaml", "terminationGracePeriodSeconds: 30\n"),
        ("config/kubernetes/daemon.yaml", "terminationGracePeriodSeconds: 30\n"),
        ("config/compose/compose.yaml", "stop_grace_period: 30s\n"),
    ] {
        assert!(text(name).contains(line), "{name}: no {line}");
    }
}

/// Container Apps give the tokens of a managed identity at an address of the container, with a header as its password. The state
/// is opened with such a token, and the blob store gets nothing else of it.
#[test]
fn a_store_of_azure_opens_with_the_managed_identity_of_the_container() {
    let platform = Server::start(|_, _| {
        ok(json!({
            "access_token": "canary-token-of-the-platform", "token_type": "Bearer", "resource": "https://storage.azure.com/",
            "expires_on": (chrono::Utc::now().timestamp() + 3600).to_string(),
        })
        .to_string())
    });
    // The store refuses the first request: what it was asked with is what counts here.
    let store = Server::start(|_, _| support::server::status(403, ""));
    let source = source();
    let place = place_with_job(&source)
        .env("HAUL_STATE", "az://haul-state/production")
        .env("HAUL_VAULT_KEY", "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmE=")
        .env("AZURE_STORAGE_ACCOUNT_NAME", "reports")
        .env("AZURE_STORAGE_ENDPOINT", &store.url)
        .env("AZURE_ALLOW_HTTP", "true")
        .env("AZURE_CLIENT_ID", "the-identity")
        .env("IDENTITY_ENDPOINT", &format!("{}/msi/token", platform.url))
        .env("IDENTITY_HEADER", "canary-of-the-header");
    let jobs = place.path("jobs/sales.yaml").to_string_lossy().into_owned();
    let done = place.haul(&["run", &jobs]);
    assert_ne!(done.code, 0, "{done:?}");
    let asked = platform.asked();
    assert!(!asked.is_empty(), "{done:?}");
    for request in &asked {
        assert_eq!((request.path(), request.header("x-identity-header")), ("/msi/token", Some("canary-of-the-header")));
        assert_eq!(request.param("client_id").as_deref(), Some("the-identity"));
    }
    let asked = store.asked();
    assert!(!asked.is_empty(), "{done:?}");
    for request in &asked {
        assert_eq!(request.header("authorization"), Some("Bearer canary-token-of-the-platform"));
        assert_eq!(request.header("x-identity-header"), None);
    }
    place.assert_holds_none_of(&[&done], &["canary-of-the-header", "canary-token-of-the-platform"]);
}
