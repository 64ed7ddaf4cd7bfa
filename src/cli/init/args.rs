//! The arguments of `haul init`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::setting;

#[derive(Debug, Args)]
#[command(after_help = "\
What is not said by an option is asked; with --yes the likeliest answer is taken. Answers may be piped. Secrets are \
named by the environment variable that holds them, never typed. A file that is there is not touched without --force, and \
where nothing can be read nothing is written. Exit code 5: the file is written, and a login is needed before it can be \
tried.

Examples:
  haul init
  haul init https://api.example.com/v1/orders
  haul init https://api.example.com/v1/orders --token-env SHOP_TOKEN --yes --output jobs/shop.yaml
  haul init 'https://api.example.com/v1/orders?key=${SHOP_KEY}' --yes
  haul init https://services.odata.org/V4/Northwind/Northwind.svc/ --stream Orders --stream Customers
  haul init --profile exact-online --set country=be
  haul init --list-profiles")]
pub(in crate::cli) struct InitArgs {
    /// Address of records, of an OData service or of its $metadata; `?name=${VARIABLE}` sends a key as a parameter
    #[arg(conflicts_with = "profile")]
    pub url: Option<String>,
    /// Start from a ready job
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// List the ready jobs
    #[arg(long, conflicts_with_all = ["url", "profile"])]
    pub list_profiles: bool,
    /// Answer to a question of the profile
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting, requires = "profile")]
    pub set: Vec<(String, String)>,
    /// File to write [default: NAME.yaml]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Name of the job [default: of the host or the profile]
    #[arg(long)]
    pub name: Option<String>,
    /// Where the tables will go
    #[arg(long, value_name = "URL", default_value = "out")]
    pub destination: String,
    /// Entity set of an OData service, or connection of GraphQL (may be repeated) [default: all]
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
    /// Environment variable that holds a bearer token
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["user_env", "client_id_env"])]
    pub token_env: Option<String>,
    /// Header of every request; with `${VARIABLE}` in it, the header that carries the key (may be repeated)
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Environment variable that holds the user name, for HTTP Basic
    #[arg(long, value_name = "VARIABLE", requires = "password_env", conflicts_with = "client_id_env")]
    pub user_env: Option<String>,
    /// Environment variable that holds the password, for HTTP Basic
    #[arg(long, value_name = "VARIABLE", requires = "user_env")]
    pub password_env: Option<String>,
    /// Environment variable that holds the client id, for OAuth2
    #[arg(long, value_name = "VARIABLE")]
    pub client_id_env: Option<String>,
    /// Environment variable that holds the client secret, for OAuth2
    #[arg(long, value_name = "VARIABLE")]
    pub client_secret_env: Option<String>,
    /// Issuer of the tokens, where the API does not name it or names one that is not trusted
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// How tokens are got: authorization_code, client_credentials or device_code
    #[arg(long, value_parser = ["authorization_code", "client_credentials", "device_code"])]
    pub grant: Option<String>,
    /// What the token must be good for (may be repeated)
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// The API stands in a private network
    #[arg(long)]
    pub allow_private: bool,
    /// Plain http to another machine is meant: everybody on the way can read along
    #[arg(long)]
    pub allow_http: bool,
    /// How long an answer may take while it is tried
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = span)]
    pub timeout: String,
    /// Rows to show
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rows: u32,
    /// Ask nothing: take the likeliest answer
    #[arg(long, short)]
    pub yes: bool,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

fn span(text: &str) -> Result<String, String> {
    let number = text.strip_suffix(['s', 'm']).and_then(|number| number.parse::<u32>().ok());
    let is_good = number.is_some_and(|number| (1..=3_600).contains(&number));
    if is_good { Ok(text.to_owned()) } else { Err("write a whole number and a unit: 20s, 2m".to_owned()) }
}
