//! The job file that `haul demo` writes: the first one that most people read.

use std::path::Path;

use super::oauth::CLIENT_ID;

/// The schema that the job file's first line names, in the same folder.
pub(crate) const SCHEMA_FILE: &str = "job.schema.json";

/// The demo's job. `api_url` is [`super::DemoApi::url`], `out` the destination's folder.
pub(crate) fn job_file(api_url: &str, out: &Path) -> String {
    let out = yaml_text(&out.to_string_lossy());
    format!(
        r#"# yaml-language-server: $schema={SCHEMA_FILE}
# The line above gives editors completion and checks for this file.

# Name of the job, and of its folder in the destination.
job: demo

# The API to read.
source:
  base_url: {api_url}/api/v1
  auth:
    oauth2:                             # `haul login` opens the browser once; haul renews the token from then on
      grant: authorization_code
      client_id: {CLIENT_ID}              # a real API gives you this, often with a client_secret: ${{MY_SECRET}}
      authorize_url: {api_url}/oauth/authorize
      token_url: {api_url}/oauth/token
      revoke_url: {api_url}/oauth/revoke
  defaults:                             # holds for every stream below
    records: data                       # an answer is {{"data": [records…], "links": {{"next": "…"}}}}
    paging:
      next_url: links.next              # haul follows this link until it is null

# What to read. Each stream becomes one table.
streams:
  - name: customers
    path: /customers                    # below base_url
    key: [id]                           # what identifies a record
    columns:                            # types are recognised; write down those you rely on
      credit_limit: decimal(18,4)       # an exact number, as money should be
      address_postal_code: text         # the field postal_code inside address; leading zeros stay

  - name: orders
    path: /orders
    key: [id]
    columns:
      ordered_at: instant               # a point in time, in UTC
      ship_date: date
      total: decimal(18,4)

  - name: order_lines
    path: /order_lines
    key: [id]
    columns:
      unit_price: decimal(18,4)
      discount: decimal(5,4)            # 0.125 is 12.5 %
      line_total: decimal(18,4)

# Where the tables go: a folder here; az://container/folder in Azure.
destination:
  url: {out}
  format: parquet                       # or csv
"#
    )
}

/// Plain where every YAML reader agrees on it, else in quotes: a JSON text is a YAML text.
fn yaml_text(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.starts_with(['/', '.']) && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_file_is_a_job_and_keeps_any_folder_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for folder in ["/tmp/haul-demo/out", r"/C:\Users\Jörg M\out", "/tmp/a: #\"b\"/out", "/~"] {
            std::fs::write(file.path(), job_file("http://127.0.0.1:20000", Path::new(folder))).unwrap();
            let job = crate::job::load(file.path(), &[]).unwrap();
            assert_eq!(job.destination.place, crate::model::plan::Place::Local(folder.into()));
            assert_eq!(job.source.base_url.as_str(), "http://127.0.0.1:20000/api/v1/");
            assert_eq!(job.streams.len(), 3);
        }
    }
}
