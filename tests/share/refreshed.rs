//! Parameters of a semantic model that a run keeps up to date with the job's share, before Power BI refreshes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::delegated;
use crate::scene::{Scene, text};
use crate::support::Workplace;
use crate::support::server::{Server, ok, status};

const WORKSPACE: &str = "f089354e-8366-4e18-aea3-4cb4a3a50b48";
const MODEL: &str = "cfafbeb1-8037-4d0c-896e-a46fb27ff229";

/// Login and service in one, which take everything.
struct PowerBi(Server);

impl PowerBi {
    fn start() -> Self {
        PowerBi(Server::start(|request, _| match request.path() {
            path if path.ends_with("/refreshes") => status(202, "").with("x-ms-request-id", MODEL),
            path if path.ends_with("/token") => {
                ok(r#"{"access_token":"canary","token_type":"Bearer","expires_in":3600}"#)
            }
            _ => ok("{}"),
        }))
    }

    /// Lines of a job whose every run refreshes a model and keeps its share.
    fn lines(&self) -> String {
        let url = &self.0.url;
        format!(
            "powerbi:\n  api: {url}\n  login: {url}\n  auth: {{ tenant: contoso.example, client_id: app, credential: {{ client_secret: \"${{POWERBI_SECRET}}\" }} }}\n  on: every_run\n  wait: false\n  refresh:\n    - {{ workspace: {WORKSPACE}, dataset: {MODEL}, share: container }}\n"
        )
    }

    /// The parameters that each request set.
    fn set(&self) -> Vec<BTreeMap<String, String>> {
        let asked = self.0.asked().into_iter().filter(|request| request.path().ends_with("/Default.UpdateParameters"));
        let details = asked.map(|request| serde_json::from_str::<Value>(&request.body).expect("JSON"));
        let pair = |detail: &Value| (text(detail, "name").to_owned(), text(detail, "newValue").to_owned());
        details.map(|body| body["updateDetails"].as_array().expect("a list").iter().map(pair).collect()).collect()
    }
}

fn refresh_of(place: &Workplace, file: &str) -> Value {
    place.haul(&["run", file, "--json"]).expect_code(0).json()["refreshes"][0].clone()
}

#[test]
fn a_model_gets_the_share_that_took_the_place_of_its_own() {
    let power_bi = PowerBi::start();
    let mut scene = Scene::start_with(&power_bi.lines());
    scene.place = scene.place.env("POWERBI_SECRET", "canary-of-the-application");
    let refused = refresh_of(&scene.place, &scene.file);
    assert_eq!(refused["outcome"], "refused", "{refused}");
    assert!(text(&refused, "hint").contains("haul share create"), "{refused}");
    let first = scene.share(&["create"]).expect_code(0).json();
    for _ in 0..2 {
        assert_eq!(refresh_of(&scene.place, &scene.file)["outcome"], "accepted");
    }
    // Another share beside it is somebody else's, as long as nothing says that it takes its place.
    scene.share(&["create", "--days", "200"]).expect_code(0);
    assert_eq!(refresh_of(&scene.place, &scene.file)["outcome"], "accepted");
    let rotate = ["rotate", text(&first["share"], "policy"), "--revoke-after", "14"];
    scene.share(&rotate).expect_code(0);
    let shares = scene.share(&["list"]).expect_code(0).json()["shares"].as_array().expect("shares").clone();
    let newest = shares
        .iter()
        .filter(|share| share["is_replaced"] == false)
        .max_by_key(|share| text(share, "expires_at").to_owned());
    let second = scene.share(&["show", text(newest.expect("a share"), "policy")]).expect_code(0).json();
    assert_eq!(refresh_of(&scene.place, &scene.file)["outcome"], "accepted");
    let parameters = |made: &Value| -> BTreeMap<String, String> {
        serde_json::from_value(made["parameters"].clone()).expect("texts")
    };
    assert_eq!(power_bi.set(), [parameters(&first), parameters(&second)], "each once");
}

#[test]
fn a_model_gets_a_fresh_signature_in_good_time() {
    let power_bi = PowerBi::start();
    let token = delegated::token();
    let scene = delegated::Scene::start_with(
        &[("AZURE_STORAGE_TOKEN", &token), ("POWERBI_SECRET", "canary-of-it")],
        &power_bi.lines(),
    );
    for _ in 0..2 {
        assert_eq!(refresh_of(&scene.place, &scene.file)["outcome"], "accepted");
    }
    let set = power_bi.set();
    assert_eq!(set.len(), 1, "the second run has a signature that is good for long");
    // What was set are the parameters that the queries have, and with them the container opens.
    let kit = scene.place.haul(&["powerbi", "m", &scene.file, "--json"]).expect_code(0).json();
    let queries = kit["queries"].as_array().expect("queries");
    let is_parameter = |query: &&Value| text(query, "text").contains("IsParameterQuery");
    let named: Vec<&str> = queries.iter().filter(is_parameter).map(|query| text(query, "name")).collect();
    let mut expect: Vec<&str> = set[0].keys().map(String::as_str).collect();
    expect.sort_by_key(|name| named.iter().position(|other| other == name));
    assert_eq!(named, expect);
    let fields = json!({
        "sv": "SasVersion", "sp": "SasPermissions", "se": "SasExpiry", "skoid": "SasKeyObject", "sktid": "SasKeyTenant",
        "skt": "SasKeyStart", "ske": "SasKeyExpiry", "sks": "SasKeyService", "skv": "SasKeyVersion", "sig": "SasSignature",
    });
    let fields = fields
        .as_object()
        .expect("fields")
        .iter()
        .map(|(field, name)| (field.as_str(), set[0][name.as_str().expect("a name")].as_str()));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("sr", "c").append_pair("spr", "https").extend_pairs(fields);
    assert_eq!(scene.tried(&query.finish())["read"], "done");
}
