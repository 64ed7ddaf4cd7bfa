//! The demo's stand-in for a browser: asks the authorization address once and gives the redirect back unfollowed.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// Header bytes read at most; the redirect's are below one KiB.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The API is on this machine and approves at once.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where the authorization server of the demo sends the browser.
pub(crate) async fn approve(url: &Url) -> std::io::Result<String> {
    tokio::time::timeout(ANSWER_WAIT_MAX, ask(url)).await.map_err(|_| std::io::Error::other("no answer"))?
}

async fn ask(url: &Url) -> std::io::Result<String> {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let mut stream = TcpStream::connect((host, port)).await?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut block = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut block).await?;
        if read == 0 || head.len() > HEAD_BYTES_MAX {
            break;
        }
        head.extend_from_slice(&block[..read]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    let status = || head.lines().next().unwrap_or("nothing").to_owned();
    location.ok_or_else(|| std::io::Error::other(format!("it answered `{}`", status())))
}
