//! A job with a scripted authorization server, and what its credential goes through.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::provider::{Class, Provider};
use super::{Done, Workplace, job};

/// A job whose refresh token was imported, ready for its first refresh.
pub struct Scene {
    pub provider: Provider,
    pub place: Workplace,
    pub file: String,
}

impl Scene {
    pub fn new(class: Class) -> Self {
        Scene::at(Workplace::new(), class)
    }

    pub fn at(place: Workplace, class: Class) -> Self {
        let provider = Provider::start(class);
        let file = place.file("job.yaml", &job(provider.url(), &provider.auth(), ""));
        let scene = Scene { provider, place, file };
        let token = scene.provider.new_family();
        scene.import(&token).expect_code(0);
        scene
    }

    pub fn import(&self, token: &str) -> Done {
        let mut child = self.spawn(&["credentials", "import", &self.file]);
        child.stdin.take().expect("a pipe").write_all(token.as_bytes()).expect("written");
        Done::of(child.wait_with_output().expect("it ends"))
    }

    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.place.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("haul starts")
    }

    /// Buys a new access token.
    pub fn refresh(&self) -> Done {
        self.place.haul(&["credentials", "test", &self.file, "--new"])
    }

    pub fn credential(&self) -> Value {
        self.place.haul(&["credentials", "--json"]).expect_code(0).json()[0].clone()
    }

    #[track_caller]
    pub fn expect_state(&self, state: &str) -> Value {
        let credential = self.credential();
        assert_eq!(credential["state"], state, "{credential:#}");
        credential
    }

    pub fn spilled(&self) -> usize {
        let files = std::fs::read_dir(self.place.path("state/spill")).expect("a folder");
        files
            .filter(|file| std::fs::read(file.as_ref().expect("an entry").path()).is_ok_and(|text| text[0] != 0))
            .count()
    }

    /// A fault, then everything is well: the credential is what it was, and the next refresh works.
    #[track_caller]
    pub fn survives(&self) {
        self.refresh().expect_code(0);
        self.expect_state("idle");
        assert_eq!(self.spilled(), 0);
    }
}

/// Looks again and again; panics when it never happens.
pub fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("what the test waits for does not happen");
}
