//! Refreshes in Power BI behind a publication: a scripted service, which checks who asks for what, and everything that it may
//! answer; no tenant of Microsoft is asked.

#![allow(missing_docs)]

mod support;

use std::collections::VecDeque;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::daemon::Daemon;
use support::rigs::Rig;
use support::server::{Answer, Request, Server, ok, status};
use support::{Done, Workplace, job, terminate};

const WORKSPACE: &str = "f089354e-8366-4e18-aea3-4cb4a3a50b48";
const MODEL: &str = "cfafbeb1-8037-4d0c-896e-a46fb27ff229";
const FLOW: &str = "928228ba-008d-4fd9-864a-92d2752ee5ce";
const SECRET: &str = "canary-secret-of-the-application";
const POWER_BI: &str = "https://analysis.windows.net/powerbi/api/.default";
const FABRIC: &str = "https://api.fabric.microsoft.com/.default";
const DEADLINE: Duration = Duration::from_secs(60);

/// A refresh that the service took.
struct Entry {
    id: String,
    looks: usize,
    end: Value,
}

/// The service, as the test wants it.
struct Script {
    /// Answers to the next requests for a refresh. Empty = they are taken.
    starts: VecDeque<Answer>,
    /// How the next refreshes end. Empty = well.
    ends: VecDeque<Value>,
    /// Looks at a refresh until it has ended.
    looks: usize,
    taken: Vec<Entry>,
    /// Tokens with a lower number are refused.
    first_good_token: usize,
    parameters: VecDeque<Answer>,
}

/// What a job speaks to: its source, the login and both services in one.
struct Scene {
    place: Workplace,
    file: String,
    login: Server,
    api: Server,
    script: Arc<Mutex<Script>>,
    rows: Arc<Mutex<u64>>,
}

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn error(code: u16, name: &str) -> Answer {
    let inner = json!({ "code": name, "parameters": {}, "details": [], "exceptionCulprit": 1 });
    status(code, json!({ "error": { "code": name, "pbi.error": inner } }).to_string())
        .with("x-ms-request-id", "11111111-2222-4333-8444-555555555555")
}

fn token(request: &Request) -> Option<usize> {
    request.header("authorization")?.strip_prefix("Bearer canary-token-")?.parse().ok()
}

impl Script {
    fn answer(&mut self, request: &Request) -> Answer {
        if token(request).is_none_or(|number| number < self.first_good_token) {
            return error(401, "PowerBINotAuthorizedException");
        }
        if request.path().ends_with("/Default.UpdateParameters") {
            return self.parameters.pop_front().unwrap_or_else(|| ok(""));
        }
        if request.method == "POST" {
            return self.starts.pop_front().unwrap_or_else(|| self.take(request));
        }
        self.taken.iter_mut().for_each(|entry| entry.looks += 1);
        let looks = self.looks;
        let one = self.taken.iter().find(|entry| request.path().ends_with(&entry.id));
        match one {
            Some(entry) => ok(shown(entry, looks, request).to_string()),
            None => {
                let all: Vec<Value> = self.taken.iter().rev().map(|entry| shown(entry, looks, request)).collect();
                ok(json!({ "value": all }).to_string())
            }
        }
    }

    fn take(&mut self, request: &Request) -> Answer {
        let id = id(self.taken.len() + 1);
        let is_flow = request.path().contains("/dataflows/");
        let well = json!({ "status": if is_flow { "Success" } else { "Completed" } });
        let end = self.ends.pop_front().unwrap_or(well);
        self.taken.push(Entry { id: id.clone(), looks: 0, end });
        if is_flow {
            return ok("").with("requestid", "22222222-2222-4333-8444-555555555555");
        }
        // On another host, where no token must go.
        let location = format!("https://elsewhere.example{}/{id}", request.path());
        status(202, "").with("x-ms-request-id", &id).with("location", &location)
    }
}

/// An entry as the history that is asked for has it.
fn shown(entry: &Entry, looks: usize, request: &Request) -> Value {
    let mut shown = if request.path().contains("/jobs/instances") || request.path().contains("/dataflows/") {
        json!({ "id": entry.id })
    } else {
        json!({ "requestId": entry.id, "refreshType": "ViaApi" })
    };
    let going = if request.path().contains("/datasets/") { "Unknown" } else { "InProgress" };
    let state = if entry.looks > looks { entry.end.clone() } else { json!({ "status": going }) };
    for (name, value) in state.as_object().expect("an object") {
        shown[name] = value.clone();
    }
    shown
}

impl Scene {
    fn new(targets: &str) -> Self {
        Self::with(targets, "")
    }

    /// With further lines for the job.
    fn with(targets: &str, rest: &str) -> Self {
        let rows = Arc::new(Mutex::new(3));
        let served = Arc::clone(&rows);
        let source = Server::start(move |_, _| {
            let rows = *served.lock().expect("a number");
            ok(json!((0..rows).map(|id| json!({ "id": id })).collect::<Vec<_>>()).to_string())
        });
        let login = Server::start(|_, before| {
            let token = format!("canary-token-{}", before + 1);
            ok(json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }).to_string())
        });
        Self::at(targets, rest, &source, login, rows)
    }

    fn at(targets: &str, rest: &str, source: &Server, login: Server, rows: Arc<Mutex<u64>>) -> Self {
        let script = Arc::new(Mutex::new(Script {
            starts: VecDeque::new(),
            ends: VecDeque::new(),
            looks: 0,
            taken: Vec::new(),
            first_good_token: 1,
            parameters: VecDeque::new(),
        }));
        let answering = Arc::clone(&script);
        let api = Server::start(move |request, _| answering.lock().expect("a script").answer(request));
        let place = Workplace::new().env("POWERBI_SECRET", SECRET).env("SAS", "canary+signature/of=the share&more");
        let powerbi = format!(
            "powerbi:\n  api: {0}\n  fabric: {0}\n  login: {1}\n  auth: {{ tenant: contoso.example, client_id: app, credential: {{ client_secret: \"${{POWERBI_SECRET}}\" }} }}\n  refresh:\n{targets}",
            api.url, login.url
        );
        let file = place.file("job.yaml", &format!("{}{powerbi}{rest}", job(&source.url, "", "")));
        Scene { place, file, login, api, script, rows }
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().expect("a script")
    }

    /// The source has something new.
    fn grow(&self) {
        *self.rows.lock().expect("a number") += 1;
    }

    fn run(&self) -> Value {
        self.place.haul(&["run", &self.file, "--json"]).expect_code(0).json()
    }

    /// The only refresh of a run that published or found nothing new.
    fn refreshed(&self) -> Value {
        let report = self.run();
        let refreshes = report["refreshes"].as_array().cloned().unwrap_or_default();
        assert_eq!(refreshes.len(), 1, "{report}");
        refreshes[0].clone()
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.place.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("haul starts")
    }

    /// Requests for a refresh, and what else was sent by POST.
    fn posts(&self) -> Vec<Request> {
        self.api.asked().into_iter().filter(|request| request.method == "POST").collect()
    }

    fn scopes(&self) -> Vec<String> {
        self.login.asked().iter().map(|request| form(request)["scope"].as_str().expect("a scope").to_owned()).collect()
    }
}

fn form(request: &Request) -> Value {
    let pairs = url::form_urlencoded::parse(request.body.as_bytes());
    pairs
        .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn body(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap_or(Value::Null)
}

fn model() -> String {
    format!("    - {{ name: Sales, workspace: {WORKSPACE}, dataset: {MODEL} }}\n")
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value}"))
}

#[test]
fn a_new_snapshot_is_refreshed_once() {
    let scene = Scene::new(&model());
    scene.script().looks = 1;
    let report = scene.run();
    let refresh = &report["refreshes"][0];
    assert_eq!(
        (text(refresh, "target"), text(refresh, "kind"), text(refresh, "outcome"), text(refresh, "status")),
        ("Sales", "dataset", "completed", "Completed")
    );
    assert_eq!((text(refresh, "request_id"), &refresh["snapshot"]), (id(1).as_str(), &report["snapshot"]));
    assert!(text(refresh, "started_at") < text(refresh, "ended_at"));
    assert_eq!(report["warnings"], Value::Null);
    // Who asked, for what, and as whom.
    let posts = scene.posts();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].target, format!("/v1.0/myorg/groups/{WORKSPACE}/datasets/{MODEL}/refreshes"));
    assert_eq!(body(&posts[0]), json!({ "notifyOption": "NoNotification" }));
    assert_eq!(posts[0].header("content-type"), Some("application/json"));
    let bought = scene.login.asked();
    assert_eq!((bought.len(), bought[0].path()), (1, "/contoso.example/oauth2/v2.0/token"));
    assert_eq!(
        form(&bought[0]),
        json!({ "grant_type": "client_credentials", "client_id": "app", "client_secret": SECRET, "scope": POWER_BI })
    );
    // Nothing new: Power BI is not asked at all.
    let asked = scene.api.asked().len();
    let again = scene.run();
    assert_eq!((text(&again, "outcome"), &again["refreshes"]), ("unchanged", &Value::Null));
    assert_eq!(scene.api.asked().len(), asked);
    // Something new, with the token of before.
    scene.grow();
    let third = scene.refreshed();
    assert_eq!(text(&third, "request_id"), id(2));
    assert_eq!(scene.login.asked().len(), 1);
    scene
        .place
        .haul(&["runs", "show", &scene.file])
        .expect_code(0)
        .expect_says(&["refresh of `Sales` in Power BI: completed", "refresh of `Sales`: taken, waiting for its end"]);
    let history = scene.place.haul(&["runs", &scene.file, "--json"]).expect_code(0).json();
    assert_eq!(history["history"][0]["run"]["powerbi"], json!([{ "target": "Sales", "outcome": "completed" }]));
    scene.grow();
    scene.place.haul(&["run", &scene.file]).expect_code(0).expect_says(&["refreshed `Sales` in "]);
}

#[test]
fn a_refresh_that_fails_is_told_with_its_cure_and_fails_no_run() {
    let receiver = Server::start(|_, _| ok(""));
    let notify = format!("notify:\n  - webhook: {}/hook\n    on: [failed, refresh_failed]\n", receiver.url);
    let scene = Scene::with(&model(), &notify);
    let exception = json!({
        "errorCode": "ModelRefreshFailed_CredentialsNotSpecified",
        "errorDescription": format!("the secret was {SECRET}"),
    });
    let failed = json!({ "status": "Failed", "serviceExceptionJson": exception.to_string() });
    scene.script().ends.extend(std::iter::repeat_n(failed, 3));
    let report = scene.run();
    assert_eq!(report["outcome"], "published");
    let refresh = &report["refreshes"][0];
    assert_eq!((text(refresh, "outcome"), text(refresh, "status")), ("failed", "Failed"));
    assert_eq!(text(refresh, "error_code"), "ModelRefreshFailed_CredentialsNotSpecified");
    assert!(text(refresh, "hint").contains("enter the credentials of the data source"), "{refresh}");
    let warning = report["warnings"][0].as_str().expect("a warning");
    assert!(
        warning.starts_with("the refresh of `Sales` failed: ModelRefreshFailed_CredentialsNotSpecified"),
        "{warning}"
    );
    assert!(warning.contains("the secret was ***") || !warning.contains("canary"), "{warning}");
    scene.place.haul(&["runs", &scene.file]).expect_code(0).expect_says(&["Power BI: `Sales` failed"]);
    // The next runs try again, although there is nothing new, but not for ever.
    assert_eq!(text(&scene.refreshed(), "outcome"), "failed");
    assert_eq!(text(&scene.refreshed(), "outcome"), "failed");
    assert_eq!(scene.run()["refreshes"], Value::Null);
    assert_eq!(scene.posts().len(), 3);
    // Who is told hears of it once.
    let told: Vec<Value> = receiver.asked().iter().map(body).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((text(&told[0], "event"), text(&told[0], "outcome")), ("refresh_failed", "published"));
    assert_eq!(text(&told[0], "text"), "test: published, but Power BI was not refreshed");
    assert!(text(&told[0], "error").contains("ModelRefreshFailed_CredentialsNotSpecified"));
    assert!(text(&told[0], "hint").contains("Anonymous"));
    // And once more after one was well.
    scene.grow();
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
    scene.grow();
    scene.script().ends.push_back(json!({ "status": "Disabled" }));
    let disabled = scene.refreshed();
    assert!(text(&disabled, "hint").contains("switch it on"), "{disabled}");
    assert_eq!(receiver.asked().len(), 2);
}

#[test]
fn a_throttled_refresh_waits_as_long_as_it_is_asked_to() {
    let scene = Scene::new(&model());
    scene.script().starts.push_back(error(429, "TooManyRequests").with("retry-after", "3"));
    let began = Instant::now();
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert_eq!(scene.posts().len(), 2);
    // Longer than anybody waits: eight a day are used up.
    scene.grow();
    scene.script().starts.push_back(error(429, "TooManyRequests").with("retry-after", "36000"));
    let began = Instant::now();
    let refused = scene.refreshed();
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(text(&refused, "outcome"), "not_started");
    assert!(text(&refused, "hint").contains("eight refreshes of a model a day"), "{refused}");
    // Made up for by the next run, though it finds nothing new.
    let report = scene.run();
    assert_eq!((text(&report, "outcome"), text(&report["refreshes"][0], "outcome")), ("unchanged", "completed"));
}

#[test]
fn a_refresh_that_is_going_on_ends_before_ours() {
    for refusal in [error(400, "RefreshInProgressException"), status(409, r#"{"Message":"words that nobody knows"}"#)] {
        let scene = Scene::new(&model());
        {
            let mut script = scene.script();
            let end = json!({ "status": "Completed" });
            script.taken.push(Entry { id: "somebody-else".to_owned(), looks: 0, end });
            script.looks = 2;
            script.starts.push_back(refusal);
        }
        let refresh = scene.refreshed();
        // Not that of somebody else, which may have read the former snapshot.
        assert_eq!((text(&refresh, "outcome"), text(&refresh, "request_id")), ("completed", id(2).as_str()));
        let order: Vec<String> = scene.api.asked().into_iter().map(|request| request.method).collect();
        let posts: Vec<usize> = (0..order.len()).filter(|at| order[*at] == "POST").collect();
        assert_eq!(posts.len(), 2, "{order:?}");
        assert!(posts[1] - posts[0] >= 3, "the other one was looked at until it had ended: {order:?}");
    }
    // Another refusal with the same status is one.
    let scene = Scene::new(&model());
    scene.script().starts.push_back(error(400, "InvalidRequest"));
    let refresh = scene.refreshed();
    assert_eq!((text(&refresh, "outcome"), text(&refresh, "error_code")), ("refused", "InvalidRequest"));
    assert_eq!(text(&refresh, "request_id"), "11111111-2222-4333-8444-555555555555");
}

#[test]
fn a_bad_moment_of_the_service_passes() {
    let scene = Scene::new(&model());
    scene.script().starts.extend([status(503, "busy"), Answer::Reset, status(500, "oops")]);
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
    assert_eq!(scene.posts().len(), 4);
    // One that does not pass is none of the run's business.
    scene.grow();
    scene.script().starts.extend(std::iter::repeat_n(status(503, "busy"), 20));
    let report = scene.run();
    assert_eq!((text(&report, "outcome"), text(&report["refreshes"][0], "outcome")), ("published", "not_started"));
    scene.script().starts.clear();
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
}

#[test]
fn a_token_that_is_refused_is_bought_anew_once() {
    let scene = Scene::new(&model());
    scene.script().first_good_token = 2;
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
    assert_eq!(scene.login.asked().len(), 2);
    scene.grow();
    scene.script().first_good_token = 100;
    let refused = scene.refreshed();
    assert_eq!((text(&refused, "outcome"), text(&refused, "status")), ("refused", "401"));
    assert!(text(&refused, "hint").contains("allow service principals"), "{refused}");
    assert_eq!(scene.login.asked().len(), 3);
}

#[test]
fn refusals_are_told_with_their_cure_and_asked_again_by_the_next_run() {
    for (code, name, hint) in [
        (403, "PowerBINotAuthorizedException", "the role Contributor in the workspace"),
        (404, "PowerBIEntityNotFound", "check the ids of `powerbi.refresh`"),
    ] {
        let scene = Scene::new(&model());
        scene.script().starts.push_back(error(code, name));
        let done = scene.place.haul(&["run", &scene.file]).expect_code(0);
        done.expect_says(&["warning: `Sales` was not refreshed: Power BI answered", name, hint, "published"]);
        assert_eq!(text(&scene.refreshed(), "outcome"), "completed", "{code}");
    }
    // A login that does not know the application.
    let login = Server::start(|_, _| {
        let why = "AADSTS7000215: Invalid client secret provided.";
        status(401, json!({ "error": "invalid_client", "error_description": why }).to_string())
    });
    let source = Server::start(|_, _| ok("[]"));
    let scene =
        Scene::at(&model(), "publish: { require: { items: { empty: allow } } }\n", &source, login, Arc::default());
    let refused = scene.run()["refreshes"].as_array().cloned().unwrap_or_default();
    // An empty first table without columns is published, too.
    assert_eq!(text(&refused[0], "outcome"), "refused", "{refused:?}");
    assert!(text(&refused[0], "error").contains("AADSTS7000215"), "{refused:?}");
    assert_eq!(scene.api.asked().len(), 0, "without a token nothing is asked");
}

#[test]
fn the_end_of_the_wait_is_told_and_holds_up_nobody() {
    let targets = format!("    - {{ name: Sales, workspace: {WORKSPACE}, dataset: {MODEL}, wait: 3s }}\n");
    let scene = Scene::new(&targets);
    scene.script().looks = usize::MAX - 1;
    let began = Instant::now();
    let report = scene.run();
    assert!(began.elapsed() < Duration::from_secs(20));
    let refresh = &report["refreshes"][0];
    assert_eq!((text(refresh, "outcome"), text(refresh, "error")), ("unknown", "it was not over within 3 s"));
    assert_eq!(refresh["ended_at"], Value::Null);
    assert!(report["warnings"][0].as_str().is_some_and(|warning| warning.contains("is not known")), "{report}");
    // It was asked for, and is not asked for again.
    assert_eq!(scene.run()["refreshes"], Value::Null);
    assert_eq!(scene.posts().len(), 1);
    // In its way all the time: ours was never asked for, and will be.
    scene.grow();
    scene.script().starts.push_back(error(400, "RefreshInProgressException"));
    let busy = scene.refreshed();
    assert_eq!(text(&busy, "outcome"), "not_started");
    assert_eq!(text(&busy, "error"), "another refresh was going on and did not end within 3 s");
    scene.script().looks = 0;
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
}

#[test]
fn nobody_waits_where_the_job_says_so() {
    let scene = Scene::with(&model(), "  wait: false\n");
    let done = scene.place.haul(&["run", &scene.file]).expect_code(0);
    done.expect_says(&["asked Power BI to refresh `Sales`"]);
    let methods: Vec<String> = scene.api.asked().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST"]);
    assert_eq!(scene.run()["refreshes"], Value::Null);
}

#[test]
fn a_signal_ends_the_wait_and_the_run_stays_published() {
    let scene = Scene::new(&model());
    scene.script().looks = usize::MAX - 1;
    let run = scene.spawn(&["run", &scene.file, "--json"]);
    until("the refresh is looked at", || scene.api.asked().iter().any(|request| request.method == "GET"));
    let began = Instant::now();
    terminate(run.id(), "-TERM");
    let done = Done::of(run.wait_with_output().expect("its output")).expect_code(0);
    assert!(began.elapsed() < Duration::from_secs(5));
    let report = done.json();
    assert_eq!((text(&report, "outcome"), text(&report["refreshes"][0], "outcome")), ("published", "unknown"));
    assert_eq!(text(&report["refreshes"][0], "error"), "stopped by a signal");
    scene.place.assert_holds_none_of(&[&done], &["canary-token-1"]);
    // It was taken.
    assert_eq!(scene.run()["refreshes"], Value::Null);
}

#[test]
fn what_a_killed_run_did_not_ask_for_the_next_one_does() {
    let source = Server::start(|_, _| ok(r#"[{"id":1}]"#));
    let login = Server::start(|_, before| {
        let token = json!({ "access_token": format!("canary-token-{}", before + 1), "expires_in": 3600 }).to_string();
        // The first process is killed while it waits for this.
        if before == 0 { Answer::Late { wait: Duration::from_secs(30), body: token.into() } } else { ok(token) }
    });
    let scene = Scene::at(&model(), "", &source, login, Arc::default());
    let mut run = scene.spawn(&["run", &scene.file]);
    until("a token is asked for", || !scene.login.asked().is_empty());
    terminate(run.id(), "-KILL");
    run.wait().expect("it is over");
    assert_eq!(scene.posts().len(), 0);
    let report = scene.run();
    assert_eq!((text(&report, "outcome"), text(&report["refreshes"][0], "outcome")), ("unchanged", "completed"));
    assert_eq!(report["refreshes"][0]["snapshot"], report["snapshot"]);
    assert_eq!(scene.run()["refreshes"], Value::Null);
    assert_eq!(scene.posts().len(), 1);
}

#[test]
fn a_run_that_is_killed_while_it_waits_has_asked() {
    let scene = Scene::new(&model());
    scene.script().looks = usize::MAX - 1;
    let mut run = scene.spawn(&["run", &scene.file]);
    until("the refresh is looked at", || scene.api.asked().iter().any(|request| request.method == "GET"));
    terminate(run.id(), "-KILL");
    run.wait().expect("it is over");
    assert_eq!(scene.run()["refreshes"], Value::Null);
    assert_eq!(scene.posts().len(), 1);
}

#[test]
fn dataflows_of_the_first_generation_are_told_apart_by_their_transactions() {
    let scene = Scene::new(&format!("    - {{ workspace: {WORKSPACE}, dataflow: {FLOW} }}\n"));
    // What was there before, one of it without a status.
    scene.script().taken.push(Entry { id: "old".to_owned(), looks: 9, end: json!({ "status": "Failed" }) });
    scene.script().looks = 1;
    let refresh = scene.refreshed();
    assert_eq!(
        (text(&refresh, "kind"), text(&refresh, "outcome"), text(&refresh, "status")),
        ("dataflow", "completed", "Success")
    );
    assert_eq!(text(&refresh, "target"), format!("dataflow {FLOW}"));
    assert_eq!(text(&refresh, "request_id"), "22222222-2222-4333-8444-555555555555");
    let root = format!("/v1.0/myorg/groups/{WORKSPACE}/dataflows/{FLOW}");
    assert_eq!(scene.posts()[0].target, format!("{root}/refreshes"));
    assert_eq!(body(&scene.posts()[0]), json!({ "notifyOption": "NoNotification" }));
    let asked: Vec<String> = scene.api.asked().into_iter().map(|request| request.target).collect();
    assert_eq!(
        (&asked[0], asked.last().expect("a look")),
        (&format!("{root}/transactions"), &format!("{root}/transactions"))
    );
    // One that is going on ends first.
    scene.grow();
    scene.script().taken.push(Entry { id: "theirs".to_owned(), looks: 0, end: json!({ "status": "Success" }) });
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
    // And one that fails says little.
    scene.grow();
    scene.script().ends.push_back(json!({ "status": "Failed" }));
    let failed = scene.refreshed();
    assert_eq!((text(&failed, "outcome"), text(&failed, "error")), ("failed", "Power BI says `Failed`"));
}

#[test]
fn dataflows_of_the_second_generation_are_jobs_of_fabric() {
    let scene =
        Scene::new(&format!("    - {{ name: Flow, workspace: {WORKSPACE}, dataflow: {FLOW}, generation: 2 }}\n"));
    let refresh = scene.refreshed();
    assert_eq!((text(&refresh, "kind"), text(&refresh, "outcome")), ("dataflow_gen2", "completed"));
    let root = format!("/v1/workspaces/{WORKSPACE}/items/{FLOW}/jobs/instances");
    assert_eq!(scene.posts()[0].target, format!("{root}?jobType=Refresh"));
    assert_eq!(scene.posts()[0].body, "");
    assert_eq!(scene.api.asked().last().expect("a look").target, format!("{root}/{}", id(1)));
    assert_eq!(scene.scopes(), [FABRIC]);
    // Left out by Fabric, because another one began meanwhile: asked for again.
    scene.grow();
    scene.script().ends.push_back(json!({ "status": "Deduped", "endTimeUtc": "2026-01-01T00:00:00" }));
    let again = scene.refreshed();
    assert_eq!((text(&again, "outcome"), text(&again, "request_id")), ("completed", id(3).as_str()));
    scene.grow();
    let reason = json!({ "requestId": "x", "errorCode": "DataflowFailed", "message": "the gateway is offline" });
    scene.script().ends.push_back(json!({ "status": "Failed", "failureReason": reason }));
    let failed = scene.refreshed();
    assert_eq!(
        (text(&failed, "error_code"), text(&failed, "error")),
        ("DataflowFailed", "DataflowFailed: the gateway is offline")
    );
    assert!(text(&failed, "hint").contains("no gateway"), "{failed}");
}

#[test]
fn parameters_are_set_before_the_refresh_and_shown_nowhere() {
    let targets = format!(
        "    - workspace: {WORKSPACE}\n      dataset: {MODEL}\n      parameters: {{ SasVersion: \"2024-11-04\", SasSignature: \"${{SAS}}\" }}\n"
    );
    let scene = Scene::new(&targets);
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
    let posts = scene.posts();
    assert_eq!(posts[0].target, format!("/v1.0/myorg/groups/{WORKSPACE}/datasets/{MODEL}/Default.UpdateParameters"));
    let details = json!([
        { "name": "SasSignature", "newValue": "canary+signature/of=the share&more" },
        { "name": "SasVersion", "newValue": "2024-11-04" },
    ]);
    assert_eq!(body(&posts[0]), json!({ "updateDetails": details }));
    assert!(posts[1].path().ends_with("/refreshes"));
    // Somebody else owns the model.
    scene.grow();
    scene.script().parameters.push_back(error(403, "PowerBINotAuthorizedException"));
    let refused = scene.refreshed();
    assert_eq!(text(&refused, "outcome"), "refused");
    assert!(text(&refused, "error").starts_with("the parameters cannot be set: Power BI answered 403"), "{refused}");
    assert!(text(&refused, "hint").contains("only the owner"), "{refused}");
    assert_eq!(scene.posts().len(), 3, "nothing is refreshed with the former signature");
    // The service may repeat what it was sent.
    scene
        .script()
        .parameters
        .push_back(status(400, r#"{"error":{"code":"Bad","message":"canary+signature/of=the share&more"}}"#));
    assert_eq!(text(&scene.refreshed(), "error_code"), "Bad");
    let log = scene.place.haul(&["run", &scene.file, "--log", "debug"]).expect_code(0);
    scene.place.haul(&["runs", "show", &scene.file]).expect_code(0);
    // The environment lacks it on this machine.
    scene.grow();
    let mut bare = scene.place.command(&["run", &scene.file, "--json"]);
    let bare = Done::of(bare.env_remove("SAS").output().expect("haul starts")).expect_code(0).json();
    assert_eq!(text(&bare["refreshes"][0], "outcome"), "refused");
    assert!(text(&bare["refreshes"][0], "error").contains("SAS"), "{bare}");
    assert!(!log.stderr.contains("canary"));
}

#[test]
fn some_tables_of_a_model_are_an_enhanced_refresh() {
    let scene = Scene::new(&format!(
        "    - {{ workspace: {WORKSPACE}, dataset: {MODEL}, tables: [Orders, \"Order lines\"] }}\n"
    ));
    assert_eq!(text(&scene.refreshed(), "outcome"), "completed");
    let objects = json!([{ "table": "Orders" }, { "table": "Order lines" }]);
    assert_eq!(body(&scene.posts()[0]), json!({ "type": "full", "commitMode": "transactional", "objects": objects }));
    let looked = scene.api.asked().last().expect("a look").target.clone();
    assert_eq!(looked, format!("/v1.0/myorg/groups/{WORKSPACE}/datasets/{MODEL}/refreshes/{}", id(1)));
    scene.grow();
    let messages = json!([{ "message": "The column 'x' does not exist in the rowset.", "type": "Error" }]);
    scene.script().ends.push_back(json!({ "status": "Failed", "extendedStatus": "Failed", "messages": messages }));
    let failed = scene.refreshed();
    assert_eq!(text(&failed, "error"), "The column 'x' does not exist in the rowset.");
    assert!(text(&failed, "hint").contains("other columns"), "{failed}");
}

#[test]
fn targets_are_refreshed_in_their_order_one_after_the_other() {
    let flow = format!("    - {{ name: Flow, workspace: {WORKSPACE}, dataflow: {FLOW}, on: every_run }}\n");
    let scene = Scene::new(&format!("{flow}{}", model()));
    scene.script().looks = 1;
    let report = scene.run();
    let refreshes = report["refreshes"].as_array().expect("refreshes");
    let outcomes: Vec<(&str, &str)> =
        refreshes.iter().map(|refresh| (text(refresh, "target"), text(refresh, "outcome"))).collect();
    assert_eq!(outcomes, [("Flow", "completed"), ("Sales", "completed")]);
    // One has ended before the other one begins.
    assert!(text(&refreshes[0], "ended_at") <= text(&refreshes[1], "started_at"));
    assert_eq!(scene.scopes(), [POWER_BI]);
    let unchanged = scene.refreshed();
    assert_eq!(text(&unchanged, "target"), "Flow");
}

#[test]
fn a_person_refreshes_by_hand() {
    let scene = Scene::new(&model());
    let by_hand = |args: &[&str]| {
        let args = [&["powerbi", "refresh", &scene.file], args].concat();
        scene.place.haul(&args)
    };
    by_hand(&[]).expect_code(2).expect_says(&["has published nothing so far"]);
    scene.run();
    let asked = scene.api.asked().len();
    let done = by_hand(&["--json"]).expect_code(0).json();
    assert_eq!((text(&done, "job"), text(&done["refreshes"][0], "outcome")), ("test", "completed"));
    by_hand(&["--no-wait"]).expect_code(0).expect_says(&["asked Power BI to refresh `Sales`"]);
    assert_eq!(scene.posts().len(), 3);
    assert!(scene.api.asked().len() > asked);
    scene.script().starts.push_back(error(403, "PowerBINotAuthorizedException"));
    by_hand(&[])
        .expect_code(1)
        .expect_says(&["error: `Sales` was not refreshed", "hint: give the application the role"]);
    scene.script().ends.push_back(json!({ "status": "Cancelled" }));
    by_hand(&[]).expect_code(1).expect_says(&["the refresh of `Sales` failed: Power BI says `Cancelled`"]);
    scene.script().starts.push_back(error(429, "TooMany").with("retry-after", "90000"));
    by_hand(&["--json"]).expect_code(75);
    scene.script().looks = usize::MAX - 1;
    let waiting = scene.spawn(&["powerbi", "refresh", &scene.file, "--json"]);
    let posts = scene.posts().len();
    until("it is asked for", || scene.posts().len() > posts);
    terminate(waiting.id(), "-INT");
    let done = Done::of(waiting.wait_with_output().expect("its output")).expect_code(130);
    assert!(matches!(text(&done.json()["refreshes"][0], "outcome"), "unknown" | "not_started"));
    let plain = scene.place.file("plain.yaml", &job("http://localhost:1", "", ""));
    scene.place.haul(&["powerbi", "refresh", &plain]).expect_code(2).expect_says(&["has no `powerbi`"]);
}

#[test]
fn a_job_says_what_it_refreshes_and_where_tokens_may_go() {
    let scene = Scene::new(&model());
    scene.place.haul(&["check", &scene.file]).expect_code(0).expect_says(&["then refreshes in Power BI: Sales"]);
    let checked = scene.place.haul(&["check", &scene.file, "--json"]).expect_code(0).json();
    assert_eq!(checked["files"][0]["refreshes"], json!(["Sales"]));
    scene.place.haul(&["plan", &scene.file]).expect_code(0).expect_says(&["then refreshes in Power BI: Sales"]);
    let mut bare = scene.place.command(&["check", &scene.file]);
    let bare = Done::of(bare.env_remove("POWERBI_SECRET").output().expect("haul starts"));
    bare.expect_says(&["powerbi.auth.credential.client_secret", "POWERBI_SECRET"]);
    let check = |powerbi: &str, says: &[&str]| {
        let file = scene.place.file("wrong.yaml", &format!("{}powerbi:\n{powerbi}", job("http://localhost:1", "", "")));
        scene.place.haul(&["check", &file]).expect_code(2).expect_says(says);
    };
    let auth = "  auth: { tenant: t, client_id: a, credential: { client_secret: \"${S}\" } }\n";
    let refresh = format!("  refresh: [{{ workspace: {WORKSPACE}, dataset: {MODEL} }}]\n");
    check(&format!("{auth}{refresh}  api: http://api.powerbi.example\n"), &["plain http would show the credential"]);
    check(
        &format!("{auth}{refresh}  api: https://api.powerbi.com/v1.0\n"),
        &["has a path of its own", "https://api.powerbi.com"],
    );
    // A vault that cannot be opened is none of the tables' business.
    let mut locked = scene.place.command(&["run", &scene.file, "--json"]);
    let locked = Done::of(locked.env("HAUL_VAULT_KEY", "no key").output().expect("haul starts")).expect_code(0).json();
    assert_eq!((text(&locked, "outcome"), text(&locked["refreshes"][0], "outcome")), ("published", "refused"));
    check(&format!("{auth}{refresh}  wait: 6h\n"), &["`6h` is too long", "at most 5h"]);
    check(
        &format!("  auth: {{ credential: {{ client_secret: \"${{S}}\" }} }}\n{refresh}"),
        &["needs `tenant`", "needs `client_id`"],
    );
    check(
        &format!("  auth: {{ tenant: t, client_id: a, credential: {{ client_secret: hunter2 }} }}\n{refresh}"),
        &["must be a reference"],
    );
    let target = |target: &str| format!("{auth}  refresh:\n    - {{ workspace: {WORKSPACE}, {target} }}\n");
    check(&target("dataset: Sales"), &["`Sales` is no id", "behind `/datasets/`"]);
    check(&target(&format!("dataset: {MODEL}, dataflow: {FLOW}")), &["one of dataset, dataflow"]);
    check(&target(&format!("dataflow: {FLOW}, tables: [a]")), &["a dataflow is refreshed as a whole"]);
    check(&target(&format!("dataflow: {FLOW}, parameters: {{ a: b }}")), &["parameters of semantic models only"]);
    check(&target(&format!("dataset: {MODEL}, tables: []")), &["nothing would be refreshed"]);
    check(&target(&format!("dataset: {MODEL}, parameters: {{ SasSignature: abc }}")), &["must be a reference"]);
    let twice = target(&format!("dataset: {MODEL}"));
    check(
        &format!("{twice}    - {{ workspace: {WORKSPACE}, dataset: {} }}\n", MODEL.to_uppercase()),
        &["refreshed already"],
    );
}

fn run_by_hand(daemon: &Daemon) {
    let form = format!("csrf={}", daemon.get("/").csrf());
    assert_eq!(daemon.ask("POST", "/jobs/test/run", &[], &form).code, 303);
}

#[test]
fn the_daemon_refreshes_shows_and_counts() {
    let scene = Scene::with(&model(), "schedule: { cron: '0 0 1 1 *', timezone: UTC }\n");
    scene.script().starts.push_back(error(403, "PowerBINotAuthorizedException"));
    let run = text(&scene.run(), "run").to_owned();
    scene.place.file("jobs/test.yaml", &std::fs::read_to_string(&scene.file).expect("a job"));
    let mut daemon = Daemon::start(&scene.place, "jobs");
    until("the job is there", || daemon.get(&format!("/jobs/test/runs/{run}")).code == 200);
    let page = daemon.get(&format!("/jobs/test/runs/{run}")).body;
    assert!(page.contains("<h2>Power BI</h2>") && page.contains("the role Contributor in the workspace"), "{page}");
    assert!(page.contains("11111111-2222-4333-8444-555555555555") && !page.contains("canary"), "{page}");
    let counts =
        |value: u8| daemon.get("/metrics").body.contains(&format!("haul_job_refresh_failing{{job=\"test\"}} {value}"));
    until("the failure is counted", || counts(1));
    // A run of its own makes up for it.
    scene.script().looks = usize::MAX - 1;
    run_by_hand(&daemon);
    until("the refresh is looked at", || {
        scene.api.asked().iter().filter(|request| request.method == "GET").count() > 1
    });
    scene.script().looks = 0;
    let ended = daemon.ended();
    assert_eq!(text(&ended["report"]["refreshes"][0], "outcome"), "completed", "{ended}");
    until("the success is counted", || counts(0));
    // One that is waited for does not hold up the end of the daemon.
    scene.grow();
    scene.script().looks = usize::MAX - 1;
    let looked = || scene.api.asked().iter().filter(|request| request.method == "GET").count();
    let before = looked();
    run_by_hand(&daemon);
    until("the refresh is looked at", || looked() > before);
    daemon.signal("-TERM");
    let (code, took) = daemon.end();
    assert!(code == 0 && took < Duration::from_secs(10), "{code} {took:?}");
}

#[test]
fn a_token_goes_to_no_other_host() {
    let scene = Scene::new(&model());
    let elsewhere = Server::start(|_, _| ok("{}"));
    let redirect = status(307, "").with("location", &format!("{}/v1.0/steal", elsewhere.url));
    scene.script().starts.push_back(redirect);
    let refresh = scene.refreshed();
    assert_eq!(text(&refresh, "outcome"), "not_started");
    assert!(text(&refresh, "error").contains("refused"), "{refresh}");
    assert_eq!(elsewhere.asked().len(), 0);
}

#[test]
fn a_real_authorization_server_gives_the_tokens() {
    let login = Rig::start("oidc.mjs", &["--entra-tenant", "contoso.example"]);
    let source = Server::start(|_, _| ok(r#"[{"id":1}]"#));
    let api = Server::start(|request, before| match (request.method.as_str(), before) {
        ("POST", _) => status(202, "").with("x-ms-request-id", &id(1)),
        _ => ok(json!({ "value": [{ "requestId": id(1), "status": "Completed" }] }).to_string()),
    });
    let place = Workplace::new().env("POWERBI_SECRET", login.text("cc_secret"));
    let powerbi = format!(
        "powerbi:\n  api: {}\n  login: {}\n  auth: {{ tenant: contoso.example, client_id: haul-post, credential: {{ client_secret: \"${{POWERBI_SECRET}}\" }} }}\n  refresh:\n{}",
        api.url,
        login.url(),
        model()
    );
    let file = place.file("job.yaml", &format!("{}{powerbi}", job(&source.url, "", "")));
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(text(&report["refreshes"][0], "outcome"), "completed", "{report}");
    assert_eq!(login.get("/_stats")["grants"]["client_credentials"], 1);
    // The very token, asked of the server that gave it.
    let bearer = api.asked()[0]
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .expect("a token")
        .to_owned();
    let seen = login.get(&format!("/_token?value={bearer}"));
    assert_eq!(
        (&seen["is_known"], &seen["client_id"], &seen["scope"]),
        (&json!(true), &json!("haul-post"), &json!(POWER_BI))
    );
    place.assert_holds_none_of(&[], &[&bearer]);
}
