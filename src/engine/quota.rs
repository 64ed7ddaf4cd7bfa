//! Which budget a job draws from: the one of its origin and credential, or the one that the job names.

use std::sync::Arc;

use super::run::hex;
use crate::http::Origin;
use crate::model::credential::{EntraLogin, Grant, JsonTemplate, SessionBody};
use crate::model::plan::{Auth, Job, SecretSource, TextSource};
use crate::state::{Quota, RecordStore};

/// The job's budget in the record store. `None` = nothing of it is counted.
pub(super) fn quota_of(job: &Job, records: &Arc<RecordStore>) -> Option<Quota> {
    let limits = &job.source.limits;
    limits.budget.is_set().then(|| Quota::new(Arc::clone(records), &budget_name(job), limits.budget))
}

/// The same for all jobs with the same origin and the same credential. It is made from the names of references, never
/// from what they lead to: two names of one secret are two budgets, unless the jobs say `shared_as`.
fn budget_name(job: &Job) -> String {
    if let Some(name) = &job.source.limits.shared_as {
        return format!("shared/{name}");
    }
    let mut words = vec![Origin::of(&job.source.base_url).text()];
    words.extend(credential_words(&job.source.auth));
    let host = job.source.base_url.host_str().unwrap_or_default();
    // Lengths before the words, so that no two lists of words make one text.
    let text: String = words.iter().map(|word| format!("{}:{word}\n", word.len())).collect();
    format!("source/{host}/{}", hex(text.as_bytes(), 8))
}

fn credential_words(auth: &Auth) -> Vec<String> {
    match auth {
        Auth::Anonymous => vec!["anonymous".to_owned()],
        Auth::Key { value, .. } => vec!["key".to_owned(), name_of(value)],
        Auth::Basic { username, password } => vec!["basic".to_owned(), text_of(username), name_of(password)],
        Auth::Bearer { token } => vec!["bearer".to_owned(), name_of(token)],
        Auth::Windows(plan) => vec!["windows".to_owned(), text_of(&plan.username), name_of(&plan.password)],
        Auth::Oauth2(plan) => {
            let server = plan.server.endpoints.token.as_ref().map(ToString::to_string);
            let server = server.or_else(|| plan.server.issuer.clone()).unwrap_or_default();
            let mut words = vec!["oauth2".to_owned(), server, text_of(&plan.client_id)];
            match &plan.grant {
                Grant::JwtBearer(assertion) => {
                    words.push(text_of(&assertion.issuer));
                    words.extend(assertion.subject.as_ref().map(text_of));
                }
                Grant::Password { username, .. } => words.push(text_of(username)),
                Grant::AuthorizationCode | Grant::ClientCredentials | Grant::RefreshToken | Grant::DeviceCode => {}
            }
            words
        }
        Auth::Entra(plan) => {
            let login = match &plan.login {
                EntraLogin::ManagedIdentity => "managed identity",
                EntraLogin::DeviceCode | EntraLogin::AuthorizationCode => "user",
                EntraLogin::ClientSecret(_) | EntraLogin::Certificate(_) | EntraLogin::WorkloadIdentity(_) => "client",
            };
            let id = plan.client_id.as_ref().map(text_of).unwrap_or_default();
            vec!["entra".to_owned(), login.to_owned(), plan.resource.clone(), id]
        }
        Auth::Session(plan) => {
            let mut words = vec!["session".to_owned(), plan.url.to_string()];
            match &plan.body {
                SessionBody::Json(template) => template_words(template, &mut words),
                SessionBody::Form(pairs) => words.extend(pairs.iter().map(|(_, value)| text_of(value))),
            }
            words.extend(plan.headers.iter().map(|(_, value)| text_of(value)));
            words
        }
    }
}

fn template_words(template: &JsonTemplate, words: &mut Vec<String>) {
    match template {
        JsonTemplate::Text(text) => words.push(text_of(text)),
        JsonTemplate::Plain(_) => {}
        JsonTemplate::List(items) => items.iter().for_each(|item| template_words(item, words)),
        JsonTemplate::Object(members) => members.iter().for_each(|(_, member)| template_words(member, words)),
    }
}

fn text_of(text: &TextSource) -> String {
    match text {
        TextSource::Literal(text) => text.clone(),
        TextSource::Reference(source) => name_of(source),
    }
}

fn name_of(source: &SecretSource) -> String {
    match source {
        SecretSource::Environment(name) => format!("${{{name}}}"),
        SecretSource::File(file) => format!("${{file:{}}}", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::load;

    /// The name of a job's budget; `source` follows the base URL.
    fn name(source: &str) -> String {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("job.yaml");
        let text = format!(
            "job: demo\nsource: {{ {source}, limits: {{ per_day: 9 }} }}\nstreams: [{{ name: a, path: /a }}]\n\
             destination: {{ url: out }}\n"
        );
        std::fs::write(&file, text).unwrap();
        budget_name(&load(&file, &[]).unwrap_or_else(|error| panic!("{source}: {error:?}")))
    }

    fn check(one: &str, other: &str, is_same: bool) {
        assert_eq!(name(one) == name(other), is_same, "{one}\n{other}");
    }

    #[test]
    fn jobs_with_one_credential_share_one_budget() {
        let url = "base_url: https://api.example.com/v1";
        let bearer = |name: &str| format!("{url}, auth: {{ bearer: {{ token: \"${{{name}}}\" }} }}");
        check(url, "base_url: https://api.example.com/v2", true);
        check(url, "base_url: https://api.example.com:8443/v1", false);
        check(url, "base_url: https://other.example.com/v1", false);
        check(&bearer("A"), &bearer("A"), true);
        check(&bearer("A"), &bearer("B"), false);
        check(&bearer("A"), url, false);
        check(&bearer("A"), &bearer("A").replace("bearer", "key").replace("token", "value"), false);
        let basic = |user: &str| format!("{url}, auth: {{ basic: {{ username: {user}, password: \"${{P}}\" }} }}");
        check(&basic("ann"), &basic("bob"), false);
        let oauth2 = |id: &str, scopes: &str| {
            format!(
                "{url}, auth: {{ oauth2: {{ grant: client_credentials, token_url: https://login.example.com/token, \
                 client_id: {id}, client_secret: \"${{S}}\", scopes: [{scopes}] }} }}"
            )
        };
        check(&oauth2("one", "a"), &oauth2("one", "b"), true);
        check(&oauth2("one", "a"), &oauth2("two", "a"), false);
        assert!(name(url).starts_with("source/api.example.com/"));
    }
}
