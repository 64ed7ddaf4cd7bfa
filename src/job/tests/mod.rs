//! Job files that are right, and what the tests of mistakes share with them.

mod credentials;
mod deletes;
mod destination;
mod mistakes;
mod network;

use std::path::Path;

use super::Problem;
use super::check::{JobText, job_from_text};
use super::load::{Environment, LoadError, SecretError, Secrets, load};
use crate::model::column::ColumnType;
use crate::model::credential::Grant;
use crate::model::json_path::JsonPath;
use crate::model::plan::{Auth, Job, KeyPlace, Place, RecordsAt, SecretSource, SettingValue, SourceLimits, TextSource};
use crate::model::quota::DayResets;
use crate::paging::Paginator;

const SHORTEST: &str = "\
job: demo
source: { base_url: https://api.example.com/v1 }
streams: [{ name: orders, path: /orders }]
destination: { url: ./out }
";

fn read(text: &str, set: &[(&str, &str)]) -> Result<Job, Vec<Problem>> {
    let set: Vec<(String, String)> = set.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    job_from_text(
        &JobText { file: "jobs/x.yaml", text, base: Path::new("/base"), folder: Path::new("/base/jobs") },
        &set,
    )
}

fn job(text: &str) -> Job {
    read(text, &[]).unwrap_or_else(|problems| panic!("{text}: {}", shown(&problems)))
}

fn shown(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The shortest job with one part of it replaced.
fn with(part: &str, by: &str) -> String {
    assert!(SHORTEST.contains(part), "{part}");
    SHORTEST.replace(part, by)
}

fn with_source(more: &str) -> String {
    with("base_url: https://api.example.com/v1", &format!("base_url: https://api.example.com/v1, {more}"))
}

fn with_stream(more: &str) -> String {
    with("path: /orders", &format!("path: /orders, {more}"))
}

/// Every expected problem: its path and a part of the printed text; none other is told.
fn check(text: &str, expect: &[(&str, &str)]) {
    check_set(text, &[], expect);
}

fn check_set(text: &str, set: &[(&str, &str)], expect: &[(&str, &str)]) {
    let problems = read(text, set).err().unwrap_or_default();
    let all = shown(&problems);
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, expect.iter().map(|(path, _)| *path).collect::<Vec<_>>(), "{text}\n{all}");
    for (problem, (_, says)) in problems.iter().zip(expect) {
        assert!(problem.to_string().contains(says), "{text}\n{all}\ndoes not say {says}");
    }
}

#[test]
fn the_shortest_job_is_whole() {
    let job = job(SHORTEST);
    assert_eq!((job.name.as_str(), job.alias), ("demo", true));
    assert_eq!(job.source.base_url.as_str(), "https://api.example.com/v1/");
    assert_eq!(job.destination.place, Place::Local("/base/./out".into()));
    assert!(matches!(job.source.auth, Auth::Anonymous));
    let stream = &job.streams[0];
    assert_eq!((stream.request.path.as_str(), &stream.records), ("orders", &RecordsAt::Found));
    assert_eq!(stream.paginator, Paginator::Unstated);
    assert_eq!(job.config_hash.len(), 64);
}

#[test]
fn limits_have_the_defaults_that_the_manual_says() {
    let limits = |typed: &str| job(&with_source(&format!("limits: {{ {typed} }}"))).source.limits;
    let minutes = |limits: &SourceLimits| limits.pause_max.as_secs() / 60;
    let none = limits("");
    assert_eq!((none.in_flight, minutes(&none), none.budget.is_set()), (4, 15, false));
    let day = limits("per_day: 1000");
    assert_eq!((minutes(&day), day.budget.per_day, day.budget.day_resets), (1500, Some(1000), DayResets::Rolling));
    let reset = limits("per_minute: 60, per_day: 5000, day_resets: 00:30, timezone: Europe/Amsterdam, pause_max: 2h");
    let time = chrono::NaiveTime::from_hms_opt(0, 30, 0).unwrap();
    let zone = chrono_tz::Europe::Amsterdam;
    assert_eq!((minutes(&reset), reset.budget.day_resets), (120, DayResets::At { time, zone }));
    assert_eq!(limits("per_day: 9, day_resets: '23:59'").budget.per_day, Some(9));
}

#[test]
fn a_job_with_a_login_is_whole() {
    let job = job(r#"# yaml-language-server: $schema=../config/job.schema.json
job: demo
source:
  base_url: http://127.0.0.1:8123/api
  auth:
    oauth2: { grant: authorization_code, client_id: haul-demo, authorize_url: "http://127.0.0.1:8123/oauth/authorize", token_url: "http://127.0.0.1:8123/oauth/token" }
streams:
  - { name: orders, path: /orders, records: data, paging: { next_url: links.next }, key: [id], columns: { amount: "decimal(18,4)" } }
destination: { url: ./out }
"#);
    let Auth::Oauth2(oauth2) = &job.source.auth else { panic!("{:?}", job.source.auth) };
    assert!(matches!(oauth2.grant, Grant::AuthorizationCode));
    let stream = &job.streams[0];
    assert_eq!(stream.paginator, Paginator::NextUrl { path: JsonPath::of(&["links", "next"]) });
    assert_eq!(stream.records, RecordsAt::Path(JsonPath::of(&["data"])));
    assert_eq!(stream.fields.columns["amount"], ColumnType::Decimal { precision: 18, scale: 4 });
}

#[test]
fn streams_inherit_key_by_key() {
    let job = job("\
job: demo
source:
  base_url: https://api.example.com
  dialect: odata
  defaults:
    headers: { Accept-Language: nl, X-A: a }
    params: { a: 1, b: true, $top: 5 }
    records: value
streams:
  - { name: a, path: /a }
  - { name: b, path: b, params: { b: x }, headers: { accept-language: en }, paging: none, records: $ }
destination: { url: /out }
");
    let text = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let [a, b] = job.streams.as_slice() else { panic!("two streams") };
    assert_eq!(a.request.params, text(&[("$top", "5"), ("a", "1"), ("b", "true")]));
    assert_eq!(b.request.params, text(&[("$top", "5"), ("a", "1"), ("b", "x")]));
    assert_eq!(b.request.headers, text(&[("accept-language", "en"), ("X-A", "a")]));
    assert_eq!((&a.paginator, &b.paginator), (&Paginator::Odata, &Paginator::Single));
    assert_eq!(b.records, RecordsAt::Path(JsonPath::default()));
}

#[test]
fn references_are_kept_as_references() {
    let variable = |name: &str| SecretSource::Environment(name.into());
    let job = job(&with_source("auth: { key: { value: \"${HAUL_TEST_KEY}\", header: X-Key, prefix: 'Token ' } }").replace(
        "url: ./out",
        "url: az://c/p, options: { account_name: acc, access_key: \"${file:/run/key}\", client_id: \"${HAUL_TEST_ID}\" }",
    ));
    let Auth::Key { value, place, prefix } = &job.source.auth else { panic!("{:?}", job.source.auth) };
    assert_eq!((value, prefix.as_str()), (&variable("HAUL_TEST_KEY"), "Token "));
    assert!(matches!(place, KeyPlace::Header(name) if name == "X-Key"));
    let options = &job.destination.options;
    assert_eq!(options["account_name"], TextSource::Literal("acc".into()));
    assert_eq!(options["access_key"], TextSource::Reference(SecretSource::File("/run/key".into())));
    assert_eq!(options["client_id"], TextSource::Reference(variable("HAUL_TEST_ID")));
    let wanted: Vec<String> = Secrets::missing(&job).iter().map(ToString::to_string).collect();
    assert_eq!(wanted.len(), 3);
    assert_eq!(wanted[0], "the environment variable `HAUL_TEST_KEY` is not set (wanted by `source.auth.key.value`)");
}

#[test]
fn settings_are_changed_within_their_type() {
    let text = with("job: demo", "job: demo\nsettings: { division: 7, rate: 0.5, full: false, region: eu }");
    let job = read(&text, &[("division", "8"), ("full", "true"), ("region", "a=b"), ("rate", "2")]).unwrap();
    let value = |name: &str| job.settings[name].clone();
    assert_eq!(value("division"), SettingValue::Integer(8));
    assert_eq!(value("rate"), SettingValue::Float(2.0));
    assert_eq!(value("full"), SettingValue::Boolean(true));
    assert_eq!(value("region"), SettingValue::Text("a=b".into()));
    check_set(&text, &[("division", "x")], &[("settings.division", "allowed: a whole number")]);
    check_set(&text, &[("rate", "inf")], &[("settings.rate", "allowed: a number")]);
    check_set(&text, &[("divison", "1")], &[("settings", "did you mean `division`?")]);
    check_set(SHORTEST, &[("a", "1")], &[("settings", "the job has no settings")]);
    check(&text.replace("division", "Division"), &[("settings.Division", "a-z, 0-9 and _")]);
}

#[test]
fn job_files_are_read_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.yaml");
    assert!(matches!(load(&file, &[]), Err(LoadError::Unreadable { .. })));
    assert!(matches!(load(folder.path(), &[]), Err(LoadError::Folder { .. })));
    std::fs::write(&file, SHORTEST).unwrap();
    let job = load(&file, &[]).unwrap();
    assert_eq!(job.destination.place, Place::Local(std::env::current_dir().unwrap().join("./out")));
    std::fs::write(&file, b"job: \xff").unwrap();
    assert!(matches!(load(&file, &[]), Err(LoadError::NotText { .. })));
    std::fs::write(&file, vec![b'#'; 4 * 1024 * 1024 + 1]).unwrap();
    assert!(matches!(load(&file, &[]), Err(LoadError::TooLarge { .. })));
}

#[test]
fn secret_files_lose_one_line_break_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let resolve = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        Secrets::resolve(&SecretSource::File(file.clone())).map(|secret| secret.expose().to_owned())
    };
    assert_eq!(resolve(b" s \n").unwrap(), " s ");
    assert_eq!(resolve(b"s\r\n").unwrap(), "s");
    assert_eq!(resolve(b"s\n\n").unwrap(), "s\n");
    assert!(matches!(resolve(b"\n"), Err(SecretError::EmptyFile { .. })));
    assert!(matches!(resolve(&[b's'; 64 * 1024 + 1]), Err(SecretError::LargeFile { .. })));
    assert!(matches!(resolve(b"\xff"), Err(SecretError::Unreadable { .. })));
    let missing = Secrets::resolve(&SecretSource::Environment("HAUL_TEST_NO_SUCH_VARIABLE".into())).unwrap_err();
    assert!(missing.hint().unwrap().contains("export HAUL_TEST_NO_SUCH_VARIABLE=…"));
    assert_eq!(Environment::get("HAUL_TEST_NO_SUCH_VARIABLE"), None);
    assert_eq!(Environment::store_options(&Place::Local("/x".into())), []);
}
