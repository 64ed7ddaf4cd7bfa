//! One question to a Kerberos key distribution centre over TCP (RFC 4120 section 7.2.2).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::auth::error::Error;
use crate::limits::{CONNECT_WAIT_MAX, KDC_BYTES_MAX};

/// Sends a message that stands behind its length, and gives the answer the same way.
pub(super) async fn ask(url: &Url, message: &[u8]) -> Result<Vec<u8>, Error> {
    let host = url.host_str().unwrap_or_default();
    let place = format!("{host}:{}", url.port().unwrap_or(88));
    let wrong = |source| Error::Kdc { place: place.clone(), source };
    let asked = async {
        let mut stream = TcpStream::connect(&place).await?;
        stream.write_all(message).await?;
        let length = stream.read_u32().await?;
        if length > KDC_BYTES_MAX {
            return Err(std::io::Error::other("its answer is larger than KDC_BYTES_MAX"));
        }
        let mut answer = length.to_be_bytes().to_vec();
        answer.resize(4 + length as usize, 0);
        stream.read_exact(&mut answer[4..]).await?;
        Ok(answer)
    };
    match tokio::time::timeout(CONNECT_WAIT_MAX, asked).await {
        Ok(answer) => answer.map_err(wrong),
        Err(_) => Err(wrong(std::io::ErrorKind::TimedOut.into())),
    }
}
