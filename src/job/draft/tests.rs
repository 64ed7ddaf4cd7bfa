//! What drafts become, and that every ready job takes its answers.

use serde_json::json;

use super::profiles::Answer;
use super::*;
use crate::job::load_text;

fn draft() -> Draft {
    Draft {
        name: "shop".into(),
        head: vec!["From https://api.example.com/v1/products".into()],
        base_url: "https://api.example.com/v1".parse().expect("a URL"),
        is_odata: false,
        has_metadata: true,
        auth: None,
        headers: Vec::new(),
        allow_private: false,
        allow_http: false,
        streams: vec![StreamDraft { name: "products".into(), path: "/products".into(), ..StreamDraft::default() }],
        destination: "out".into(),
        patience: "20s".into(),
    }
}

#[test]
fn a_draft_is_a_job_whatever_servers_and_people_say() {
    let nasty = "}: *x # \u{2028}\nstreams: [] \"'`${HOME}{{ 7*7 }}{% raw %}\u{0}\u{85}—🚢";
    let mut draft = draft();
    draft.head.push(nasty.into());
    draft.auth = Some(Said::new(json!({ "key": { "value": "${KEY}", "header": "X-Key" } }), nasty));
    let stream = &mut draft.streams[0];
    stream.params =
        vec![("q".into(), "a: b # {{ x }}".into()), ("page[size]".into(), "007".into()), ("n".into(), "10".into())];
    stream.records = Some(Said::new(json!("$['odd name']"), nasty));
    stream.paging = Some(Said::new(json!({ "offset": { "param": "on", "size_param": "no", "size": 10 } }), nasty));
    stream.paging_notes = vec![nasty.into(), "  paging: none".into()];
    stream.key = Some(Said::new(json!(["id", "null", "1st"]), nasty));
    stream.columns = vec![("a.b".into(), "json".into())];
    stream.notes = vec![nasty.into(), "x ".repeat(500)];
    for text in [draft.text(), draft.trial()] {
        let job = load_text("x.yaml", &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        assert_eq!(job.streams.len(), 1, "{text}");
        assert_eq!(job.streams[0].key, ["id", "null", "1st"], "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 1_000), "{text}");
    }
}

#[test]
fn names_are_those_that_a_job_takes() {
    let job = |words: &str, expect: &str| assert_eq!(job_name(words), expect, "{words}");
    job("api.Example.com", "api-example-com");
    job("127.0.0.1", "127-0-0-1");
    job("con", "con-job");
    job("Ünïcode ☃", "n-code");
    job("☃", "api");
    let stream = |words: &str, expect: &str| assert_eq!(stream_name(words, &[]), expect, "{words}");
    stream("OrderLines", "order_lines");
    stream("HTTPCodes", "http_codes");
    stream("salesInvoices", "sales_invoices");
    stream("2024", "s_2024");
    stream("☃", "records");
    stream("products.json", "products_json");
    let taken = vec![StreamDraft { name: "orders".into(), ..StreamDraft::default() }];
    assert_eq!(stream_name("Orders", &taken), "orders_2");
}

#[test]
fn every_ready_job_is_its_own_after_the_answers() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/jobs")).expect("jobs/");
    let files =
        files.filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|ext| ext == "yaml")));
    assert_eq!(files.count(), profiles().len(), "a job of jobs/ is no profile");
    for profile in profiles() {
        let defaults: Vec<String> = profile.questions.iter().map(|question| question.default.to_owned()).collect();
        let text = profile.text(profile.name, "x.yaml", &defaults, "out");
        load_text("x.yaml", &text).unwrap_or_else(|error| panic!("{}: {error:?}\n{text}", profile.name));
        for (index, question) in profile.questions.iter().enumerate() {
            question.check(question.default).unwrap_or_else(|why| panic!("{}: {why}", profile.name));
            for place in question.places {
                let place = place.replace("{}", question.default);
                assert!(profile.ready.contains(&place), "{}: `{place}` is not there", profile.name);
            }
            let answer = match question.kind {
                Answer::Variable => "MY_OWN",
                Answer::Word => "be",
                Answer::Words => "a/b, c/d",
                Answer::Path => "/my/own",
                Answer::Address => "https://my.example.org/own",
            };
            let answer = if question.name == "start" { "2020-01-01" } else { answer };
            let mut answers = defaults.clone();
            answers[index] = answer.to_owned();
            let text = profile.text("my-own", "my-own.yaml", &answers, "az://c/p");
            load_text("x.yaml", &text).unwrap_or_else(|error| panic!("{}: {error:?}\n{text}", profile.name));
            assert!(text.contains(answer) && text.contains("\njob: my-own\n"), "{text}");
            assert!(!text.contains("jobs/"), "{text}");
            for place in question.places {
                assert!(!text.contains(&place.replace("{}", question.default)), "{place}: {text}");
            }
        }
    }
}

#[test]
fn answers_that_are_no_words_are_refused() {
    let question = |name: &str, of: &str| {
        *profile(name).expect("a profile").questions.iter().find(|question| question.name == of).expect("a question")
    };
    assert!(question("github", "token_env").check("ghp_secret-value").is_err());
    assert!(question("github", "repositories").check("a/b]\nx: y").is_err());
    assert!(question("shopify", "shop").check("a }").is_err());
    assert!(question("rest-next-link", "base_url").check("javascript:alert(1)").is_err());
}
