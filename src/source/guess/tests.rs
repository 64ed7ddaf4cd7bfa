//! Answers of many shapes, and what is guessed of them.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::*;

fn seen(url: &str, body: impl Into<Bytes>, headers: &[(&str, &str)]) -> Seen {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        );
    }
    Seen { url: url.parse().expect("a URL"), status: StatusCode::OK, headers: map, body: body.into() }
}

#[track_caller]
fn records(url: &str, body: &str, headers: &[(&str, &str)]) -> Records {
    let seen = seen(url, body.to_owned(), headers);
    let params: Vec<(String, String)> = seen.url.query_pairs().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    match look_at(&seen, &params).expect("an answer") {
        Sighting::Records(records) => records,
        other => panic!("{other:?}"),
    }
}

/// The place of the records and the first guess about paging.
#[track_caller]
fn check(url: &str, body: &str, headers: &[(&str, &str)], at: &str, paging: &Value) {
    let found = records(url, body, headers);
    let place = found.at.as_ref().map_or("", |guess| guess.value.as_str().expect("a text"));
    assert_eq!(place, at, "{body}");
    assert_eq!(found.pagings.first().map_or(&Value::Null, |guess| &guess.value), paging, "{body}");
}

#[test]
fn records_stand_in_the_list_that_is_named_so_or_is_the_longest() {
    let url = "https://h/x";
    check(url, r#"[{"id":1},{"id":2}]"#, &[], "", &Value::Null);
    check(url, r#"{"results":[{"id":1}],"errors":[],"links":[{"a":1},{"a":2}]}"#, &[], "results", &Value::Null);
    check(url, r#"{"data":{"orders":[{"id":1}]},"included":[{"id":1},{"id":2}]}"#, &[], "data.orders", &Value::Null);
    check(url, r#"{"small":[{"id":1}],"long":[{"id":1},{"id":2}]}"#, &[], "long", &Value::Null);
    check(url, r#"{"odd-name":[{"id":1}]}"#, &[], "$['odd-name']", &Value::Null);
    check(url, r#"{"id":1,"name":"x"}"#, &[], "$", &Value::Null);
    check(url, "\u{feff}[{\"id\":1}]", &[], "", &Value::Null);
}

#[test]
fn what_is_no_record_is_told() {
    let check = |body: &str, says: &str| {
        let error = look_at(&seen("https://h/x", body.to_owned(), &[]), &[]).expect_err(body).to_string();
        assert!(error.contains(says), "{body}: {error}");
    };
    check("<!doctype html><title>Sign in</title>", "HTML");
    check("", "empty");
    check("[1,2,3]", "not of objects");
    check(r#"{"rows":[[1,2]],"expanded_columns":[]}"#, "`$.rows`");
    check(r#"{"error":{"message":"no"}}"#, "tells of an error");
    check(r#"{"a":[{"#, "no whole JSON");
    check("{}", "neither a list nor an object");
}

#[test]
fn ways_to_the_next_page() {
    let url = "https://h/x";
    let link = ("link", "<https://h/x?page=2>; rel=\"next\"");
    check(url, r#"[{"id":1}]"#, &[link], "", &json!("link_header"));
    check(url, r#"{"data":[{"id":1}],"next":"https://h/x?p=2"}"#, &[], "data", &json!({ "next_url": "next" }));
    check(
        url,
        r#"{"data":[{"id":1}],"links":{"next":{"href":"/x?p=2"}}}"#,
        &[],
        "data",
        &json!({ "next_url": "links.next" }),
    );
    check(url, r#"{"data":[{"id":1}],"next":null}"#, &[], "data", &Value::Null);
    let cursor = |from: &str, param: &str| json!({ "cursor": { "from": from, "param": param } });
    check(url, r#"{"items":[{"id":1}],"nextPageToken":"abc"}"#, &[], "items", &cursor("nextPageToken", "pageToken"));
    check(
        url,
        r#"{"items":[{"id":1}],"meta":{"next_cursor":"abc"}}"#,
        &[],
        "items",
        &cursor("meta.next_cursor", "cursor"),
    );
    check(
        url,
        r#"{"results":[{"id":1}],"paging":{"next":{"after":"a1"}}}"#,
        &[],
        "results",
        &cursor("paging.next.after", "after"),
    );
    check(url, r#"{"data":[{"id":1}],"nextPage":2}"#, &[], "data", &cursor("nextPage", "page"));
    check(
        url,
        r#"{"data":[{"id":"a"}],"has_more":true}"#,
        &[],
        "data",
        &json!({ "cursor": { "from_last_record": "id", "param": "starting_after", "has_more": "has_more" } }),
    );
    check(
        url,
        r#"{"page":1,"per_page":1,"total":9,"total_pages":9,"data":[{"id":1}]}"#,
        &[],
        "data",
        &json!({ "page": { "param": "page", "total": "total", "total_pages": "total_pages" } }),
    );
    check(
        url,
        r#"{"startAt":0,"maxResults":1,"total":9,"issues":[{"id":1}]}"#,
        &[],
        "issues",
        &json!({ "offset": { "param": "startAt", "size_param": "maxResults", "size": 1, "total": "total" } }),
    );
    check(
        "https://h/x?skip=0&limit=2",
        r#"[{"id":1},{"id":2}]"#,
        &[("x-total-count", "5")],
        "",
        &json!({ "offset": { "param": "skip", "size_param": "limit", "size": 2, "total_header": "x-total-count" } }),
    );
    check(
        "https://h/x?page=0&size=2",
        r#"[{"id":1},{"id":2}]"#,
        &[],
        "",
        &json!({ "page": { "param": "page", "first": 0, "size_param": "size", "size": 2 } }),
    );
    check(
        url,
        r#"[{"id":1}]"#,
        &[("x-next-page", "2")],
        "",
        &json!({ "cursor": { "from_header": "x-next-page", "param": "page" } }),
    );
    // A total that is reached tells of no further page.
    check(url, r#"{"total":1,"data":[{"id":1}]}"#, &[], "data", &Value::Null);
}

#[test]
fn odata_is_known_by_its_words() {
    let set = r#"{"@odata.context":"https://h/svc/$metadata#Orders","value":[{"Id":1}],"@odata.nextLink":"https://h/svc/Orders?$skiptoken=1"}"#;
    let found = records("https://h/svc/Orders", set, &[]);
    assert_eq!(found.odata, Some((Version::V4, "https://h/svc".parse().expect("a URL"))));
    assert_eq!((found.at, &found.pagings[0].value), (None, &json!("odata")));
    // Behind a proxy the service calls itself otherwise.
    let found = records("https://h/svc/Orders", &set.replace("https://h/svc/$", "http://inner/$"), &[]);
    assert_eq!(found.odata, Some((Version::V4, "https://h/svc".parse().expect("a URL"))));
    let relative = set.replace("https://h/svc/$", "$");
    let found = records("https://h/svc/Orders", &relative, &[]);
    assert_eq!(found.odata, Some((Version::V4, "https://h/svc".parse().expect("a URL"))));
    let old = r#"{"d":{"results":[{"__metadata":{"uri":"u"},"Id":1}],"__next":{"uri":"https://h/svc/Orders?x"}}}"#;
    let found = records("https://h/svc/Orders", old, &[]);
    assert_eq!(found.odata, Some((Version::V2, "https://h/svc".parse().expect("a URL"))));
    assert_eq!(found.pagings[0].value, json!("odata"));

    let check = |url: &str, body: &str, expect: Version, names: &[&str]| {
        let Sighting::Service { version, base_url, sets } =
            look_at(&seen(url, body.to_owned(), &[]), &[]).expect("an answer")
        else {
            panic!("{body}");
        };
        assert_eq!((version, base_url.as_str()), (expect, "https://h/svc"), "{body}");
        assert_eq!(sets.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(), names, "{body}");
    };
    let v4 = r#"{"@odata.context":"https://h/svc/$metadata","value":[{"name":"A","url":"A","kind":"EntitySet"},{"name":"Me","url":"Me","kind":"Singleton"},{"name":"B","url":"B"}]}"#;
    check("https://h/svc/", v4, Version::V4, &["A", "B"]);
    check("https://h/svc", r#"{"d":{"EntitySets":["A","B"]}}"#, Version::V2, &["A", "B"]);
    check(
        "https://h/svc",
        r#"{"odata.metadata":"https://h/svc/$metadata","value":[{"name":"A","url":"A"}]}"#,
        Version::V3,
        &["A"],
    );
    let edmx = r#"<?xml version="1.0"?><edmx:Edmx xmlns:edmx="e"><EntitySet Name="A" EntityType="S.A"/></edmx:Edmx>"#;
    check("https://h/svc/$metadata", edmx, Version::V4, &["A"]);
}

#[test]
fn descriptions_of_apis_are_no_records() {
    let body = r#"{"openapi":"3.0.0","info":{"title":"Shop"},"paths":{"/orders":{"get":{}},"/orders/{id}":{"get":{}},"/x":{"post":{}}}}"#;
    let sighting = look_at(&seen("https://h/openapi.json", body, &[]), &[]).expect("an answer");
    assert_eq!(sighting, Sighting::OpenApi { title: "Shop".into(), paths: vec!["/orders".into()] });
}

#[test]
fn challenges_are_read_in_their_spellings() {
    let check = |offers: &[&str], schemes: &[&str], metadata: Option<&str>, scope: Option<&str>| {
        let found = challenged(&offers.iter().map(|offer| (*offer).to_owned()).collect::<Vec<_>>());
        assert_eq!(found.schemes, schemes, "{offers:?}");
        assert_eq!(found.resource_metadata.as_deref(), metadata, "{offers:?}");
        assert_eq!(found.scope.as_deref(), scope, "{offers:?}");
    };
    check(&["Basic realm=\"a, b\""], &["basic"], None, None);
    check(&["Bearer"], &["bearer"], None, None);
    check(&["Negotiate", "NTLM"], &["negotiate", "ntlm"], None, None);
    check(
        &["Bearer realm=\"x\", scope=\"a b\", resource_metadata=\"https://h/.well-known/oauth-protected-resource\""],
        &["bearer"],
        Some("https://h/.well-known/oauth-protected-resource"),
        Some("a b"),
    );
    check(&["Bearer error=\"invalid_token\", Basic realm=\"x\""], &["bearer", "basic"], None, None);
    let entra =
        challenged(&["Bearer authorization_uri=https://login.microsoftonline.com/t/oauth2/authorize".to_owned()]);
    assert_eq!(entra.authorization_uri.as_deref(), Some("https://login.microsoftonline.com/t/oauth2/authorize"));
}

#[test]
fn connections_are_found_in_a_description_of_types() {
    let named = |kind: &str, name: &str| json!({ "kind": kind, "name": name });
    let list = |of: Value| json!({ "kind": "LIST", "name": null, "ofType": of });
    let args = json!([{ "name": "first", "type": named("SCALAR", "Int") }, { "name": "after", "type": named("SCALAR", "Cursor") }]);
    let field = |name: &str, kind: Value| json!({ "name": name, "args": [], "type": kind });
    let types = json!([
        { "kind": "OBJECT", "name": "Query", "fields": [
            { "name": "orders", "args": args, "type": named("OBJECT", "OrderConnection") },
            { "name": "edged", "args": args, "type": named("OBJECT", "EdgedConnection") },
            field("order", named("OBJECT", "Order")),
        ] },
        { "kind": "OBJECT", "name": "OrderConnection", "fields": [
            field("nodes", list(named("OBJECT", "Order"))), field("pageInfo", named("OBJECT", "PageInfo")),
            field("totalCount", named("SCALAR", "Int")),
        ] },
        { "kind": "OBJECT", "name": "EdgedConnection", "fields": [
            field("edges", list(named("OBJECT", "Edge"))), field("pageInfo", named("OBJECT", "PageInfo")),
        ] },
        { "kind": "OBJECT", "name": "Edge", "fields": [field("node", named("OBJECT", "Order"))] },
        { "kind": "OBJECT", "name": "Order", "fields": [
            field("id", named("SCALAR", "Int")), field("customer", named("OBJECT", "Customer")), field("state", named("ENUM", "State")),
        ] },
    ]);
    let body = json!({ "data": { "__schema": { "queryType": { "name": "Query" }, "types": types } } }).to_string();
    let found = connections(body.as_bytes()).expect("a description");
    assert_eq!(found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["orders", "edged"]);
    assert!(
        found[0].query.contains("$first: Int, $after: Cursor") && found[0].query.contains("nodes { id state }"),
        "{found:?}"
    );
    assert!(found[0].query.contains("totalCount") && !found[1].query.contains("totalCount"), "{found:?}");
    assert_eq!(found[0].records.value, json!("data.orders.nodes"));
    assert_eq!(found[1].records.value, json!("data.edged.edges[*].node"));
    assert!(connections(br#"{"errors":[{"message":"introspection is disabled"}]}"#).is_err());
}
