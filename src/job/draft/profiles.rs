//! The ready jobs of `jobs/`, compiled in, with what a person has to say before each of them is their own.

use super::write::comment;

/// A ready job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    /// As `--profile` names it.
    pub name: &'static str,
    /// What it reads, in one line.
    pub title: &'static str,
    /// What is asked before it is written.
    pub questions: &'static [Question],
    pub(super) ready: &'static str,
}

/// Something that a ready job leaves open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// As `--set` names it.
    pub name: &'static str,
    pub asks: &'static str,
    /// What stands in the ready job.
    pub default: &'static str,
    pub(super) kind: Answer,
    /// Where it stands, `{}` in the place of the answer.
    pub(super) places: &'static [&'static str],
}

/// What an answer may be. It goes into YAML as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Name of an environment variable.
    Variable,
    /// One word of letters, digits and `. _ -`.
    Word,
    /// Words of letters, digits and `. _ - /`, separated by commas.
    Words,
    /// A path: as a word, with `/`.
    Path,
    /// An address.
    Address,
}

const fn variable(name: &'static str, asks: &'static str, default: &'static str) -> Question {
    Question { name, asks, default, kind: Answer::Variable, places: &["{}"] }
}

const CLIENT_ID: &str = "environment variable with the app's client id";
const CLIENT_SECRET: &str = "environment variable with the app's client secret";
const TOKEN: &str = "environment variable with the token";

const PROFILES: &[Profile] = &[
    Profile {
        name: "business-central",
        title: "Business Central: customers, ledger entries of all companies",
        questions: &[
            Question {
                name: "tenant",
                asks: "Microsoft Entra tenant",
                default: "contoso.onmicrosoft.com",
                kind: Answer::Word,
                places: &["tenant: {}", "tenant={}"],
            },
            Question {
                name: "environment",
                asks: "Business Central environment",
                default: "production",
                kind: Answer::Word,
                places: &["environment: {}", "environment={}"],
            },
            variable("client_id_env", CLIENT_ID, "BC_CLIENT_ID"),
            variable("client_secret_env", CLIENT_SECRET, "BC_CLIENT_SECRET"),
        ],
        ready: include_str!("../../../jobs/business-central.yaml"),
    },
    Profile {
        name: "exact-online",
        title: "Exact Online: accounts and sales invoices of all divisions",
        questions: &[
            Question {
                name: "country",
                asks: "country of your Exact Online, as its address ends (nl, be, de, fr, es, co.uk, com)",
                default: "nl",
                kind: Answer::Word,
                places: &["country: {} }", "base_url: https://start.exactonline.{}/"],
            },
            variable("client_id_env", CLIENT_ID, "EXACT_CLIENT_ID"),
            variable("client_secret_env", CLIENT_SECRET, "EXACT_CLIENT_SECRET"),
        ],
        ready: include_str!("../../../jobs/exact-online.yaml"),
    },
    Profile {
        name: "github",
        title: "GitHub: changed issues and comments of some repositories",
        questions: &[
            Question {
                name: "repositories",
                asks: "repositories, separated by commas",
                default: "octo/one, octo/two",
                kind: Answer::Words,
                places: &["values: [{}]"],
            },
            variable("token_env", TOKEN, "GITHUB_TOKEN"),
        ],
        ready: include_str!("../../../jobs/github.yaml"),
    },
    Profile {
        name: "hubspot",
        title: "HubSpot CRM: contacts, and deals as far as they changed",
        questions: &[variable("token_env", TOKEN, "HUBSPOT_TOKEN")],
        ready: include_str!("../../../jobs/hubspot.yaml"),
    },
    Profile {
        name: "odata-oauth2",
        title: "any OData service behind OAuth2: the shape of such a job",
        questions: &[
            Question {
                name: "base_url",
                asks: "address of the service",
                default: "https://odata.example.com/v4",
                kind: Answer::Address,
                places: &["base_url: {}"],
            },
            Question {
                name: "authorize_url",
                asks: "address where people log in",
                default: "https://login.example.com/auth",
                kind: Answer::Address,
                places: &["authorize_url: {}"],
            },
            Question {
                name: "token_url",
                asks: "address of the token endpoint",
                default: "https://login.example.com/token",
                kind: Answer::Address,
                places: &["\n      token_url: {}\n"],
            },
            Question {
                name: "revoke_url",
                asks: "address of the revocation endpoint",
                default: "https://login.example.com/token/revocation",
                kind: Answer::Address,
                places: &["revoke_url: {}"],
            },
            Question {
                name: "client_id",
                asks: "client id",
                default: "haul-public",
                kind: Answer::Word,
                places: &["client_id: {}"],
            },
        ],
        ready: include_str!("../../../jobs/odata-oauth2.yaml"),
    },
    Profile {
        name: "rest-next-link",
        title: "any REST API with next links: the shortest kind of job",
        questions: &[
            Question {
                name: "base_url",
                asks: "address of the API",
                default: "https://api.example.com/v1",
                kind: Answer::Address,
                places: &["base_url: {}"],
            },
            Question {
                name: "path",
                asks: "path of the records",
                default: "/products",
                kind: Answer::Path,
                places: &["path: {}"],
            },
            Question {
                name: "records",
                asks: "where the records stand in an answer",
                default: "results",
                kind: Answer::Word,
                places: &["records: {}"],
            },
            Question {
                name: "next",
                asks: "where the next page's address stands in an answer",
                default: "next",
                kind: Answer::Word,
                places: &["next_url: {}"],
            },
        ],
        ready: include_str!("../../../jobs/rest-next-link.yaml"),
    },
    Profile {
        name: "shopify",
        title: "Shopify Admin API (GraphQL): orders as far as they changed",
        questions: &[
            Question {
                name: "shop",
                asks: "name of the shop, before .myshopify.com",
                default: "example",
                kind: Answer::Word,
                places: &["https://{}.myshopify.com"],
            },
            variable("token_env", TOKEN, "SHOPIFY_TOKEN"),
        ],
        ready: include_str!("../../../jobs/shopify.yaml"),
    },
    Profile {
        name: "stripe",
        title: "Stripe: customers, and charges in windows of a month",
        questions: &[
            variable("key_env", "environment variable with the restricted key", "STRIPE_KEY"),
            Question {
                name: "start",
                asks: "day from which on charges are read",
                default: "2026-09-01",
                kind: Answer::Word,
                places: &["start: {}"],
            },
        ],
        ready: include_str!("../../../jobs/stripe.yaml"),
    },
];

/// All ready jobs, by name.
pub(crate) fn profiles() -> &'static [Profile] {
    PROFILES
}

/// The ready job of this name.
pub(crate) fn profile(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}

impl Question {
    /// The answer, or what it should have been.
    pub(crate) fn check(&self, answer: &str) -> Result<(), String> {
        let is_of = |signs: &str, c: char| c.is_ascii_alphanumeric() || signs.contains(c);
        let begins = answer.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let (is_good, wanted) = match self.kind {
            Answer::Variable => (
                begins && !answer.starts_with(|c: char| c.is_ascii_digit()) && answer.chars().all(|c| is_of("_", c)),
                "the name of an environment variable, not its value",
            ),
            Answer::Word => {
                (begins && answer.chars().all(|c| is_of("._-", c)), "a word of letters, digits, `.`, `_`, `-`")
            }
            Answer::Words => {
                let words = answer.split(',').map(str::trim);
                let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| is_of("._-/", c));
                (words.into_iter().all(is_word), "words of letters, digits, `.`, `_`, `-`, `/`, separated by commas")
            }
            Answer::Path => {
                (answer.starts_with('/') && answer.chars().all(|c| is_of("._-/", c)), "a path, for example `/products`")
            }
            Answer::Address => (
                answer.parse::<url::Url>().is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
                    && answer.chars().all(|c| is_of("._-/:~%+@", c)),
                "an address, for example `https://api.example.com/v1`",
            ),
        };
        if is_good { Ok(()) } else { Err(format!("`{}` is {wanted}", self.name)) }
    }
}

impl Profile {
    /// The job file with these answers, one for each question. `file` is where it will stand.
    pub(crate) fn text(&self, job: &str, file: &str, answers: &[String], destination: &str) -> String {
        let mut text = self.ready.to_owned();
        for (question, answer) in self.questions.iter().zip(answers) {
            for place in question.places {
                text = text.replace(&place.replace("{}", question.default), &place.replace("{}", answer));
            }
        }
        let body = text.split_once('\n').map_or(text.as_str(), |(_, body)| body);
        let body = body.replace(&format!("jobs/{}.yaml", self.name), file);
        let named = |line: &str| if line.starts_with("job: ") { format!("job: {job}") } else { line.to_owned() };
        let body = body.lines().map(named).collect::<Vec<_>>().join("\n");
        let before = body.split("\ndestination:").next().unwrap_or(&body);
        let schema = "# yaml-language-server: $schema=job.schema.json\n";
        let about = comment(
            &format!(
                "Made by `haul init --profile {}`. `haul schema > job.schema.json` lets editors check it.",
                self.name
            ),
            0,
        );
        let options = match destination.split_once("://").map(|(scheme, _)| scheme) {
            Some("az") => {
                "  options: { account_name: \"${AZURE_STORAGE_ACCOUNT}\", access_key: \"${AZURE_STORAGE_KEY}\" }\n"
            }
            _ => "",
        };
        format!("{schema}{about}{before}\ndestination:\n  url: {}\n{options}", super::write::flow(&destination.into()))
    }
}
