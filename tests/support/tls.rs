//! A certificate authority of the test's own, a server with its certificate, and a proxy that leads to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Certificates in a folder: `ca.pem`, and `server.pem` of these names with its key.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// `names` as OpenSSL writes them: `DNS:localhost,IP:127.0.0.1`.
    pub fn make(folder: &Path, names: &str) -> Self {
        let openssl = |args: &str, more: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(args.split_whitespace()).args(more).current_dir(folder);
            let output = command.stdin(Stdio::null()).output().expect("openssl runs (package openssl)");
            assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem"), &["-subj", "/CN=a test's authority"]);
        openssl(
            &format!("req -x509 {key} -keyout server.key -out server.pem -CA ca.pem -CAkey ca.key"),
            &[
                "-subj",
                "/CN=a test's server",
                "-addext",
                &format!("subjectAltName={names}"),
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
        );
        Authority { folder: folder.to_path_buf() }
    }

    fn config(&self) -> Arc<rustls::ServerConfig> {
        let certificate = CertificateDer::from_pem_file(self.folder.join("server.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(self.folder.join("server.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a pair");
        Arc::new(config)
    }

    /// A server that gives to each path what the script says: the head's lines and the body; one answer a connection.
    pub fn serve(&self, script: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
        let (config, script) = (self.config(), Arc::new(script));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, script) = (Arc::clone(&config), Arc::clone(&script));
                std::thread::spawn(move || {
                    let connection = rustls::ServerConnection::new(config).expect("a connection");
                    let mut stream = rustls::StreamOwned::new(connection, stream);
                    let Some(head) = head_of(&mut stream) else { return };
                    let path = head.split(' ').nth(1).unwrap_or_default();
                    let _ = stream.write_all(script(path).as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                });
            }
        });
        address
    }
}

/// An answer of 200 with this JSON.
pub fn json(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// The head of a request, its body left behind.
fn head_of(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8(head).ok()
}

/// A proxy for CONNECT, which leads to one server whatever it is asked for.
pub struct Tunnel {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://localhost:{}", listener.local_addr().expect("an address").port());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(head) = head_of(&mut stream) else { continue };
                log.lock().expect("a log").push(head);
                let upstream = TcpStream::connect(to).expect("the server is there");
                let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
                for (mut from, mut into) in [
                    (stream.try_clone().expect("a stream"), upstream.try_clone().expect("a stream")),
                    (upstream, stream),
                ] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut into);
                        let _ = into.shutdown(std::net::Shutdown::Write);
                    });
                }
            }
        });
        Tunnel { url, asked }
    }

    /// The heads of the requests for a tunnel.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a log").clone()
    }
}
