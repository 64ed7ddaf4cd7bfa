//! Questions on standard error, answers from standard input, from a terminal or a pipe.

use std::io::BufRead;

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::job::load::Environment;
use crate::limits::QUESTION_TRIES_MAX;

/// Somebody who answers, or nobody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub output: Output,
    /// Nobody is asked: the likeliest answer is taken.
    pub is_silent: bool,
}

impl Asker {
    /// An answer for which `check` has nothing to say. `otherwise` is the argument that says the same.
    pub(super) async fn ask(
        self,
        question: &str,
        default: Option<&str>,
        otherwise: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, Failure> {
        if self.is_silent {
            return match default {
                Some(default) => check(default).map(|()| default.to_owned()).map_err(Failure::usage),
                None => {
                    Err(Failure::usage(format!("{question} is not known")).hint(format!("say it with `{otherwise}`")))
                }
            };
        }
        for _ in 0..QUESTION_TRIES_MAX {
            match default.filter(|default| !default.is_empty()) {
                Some(default) => self.output.ask(&format!("{question} [{default}]:")),
                None => self.output.ask(&format!("{question}:")),
            }
            let Some(line) = read_line().await? else {
                return Err(Failure::usage(format!("the answers ended before the question: {question}")).hint(
                    format!("answer it, say it with `{otherwise}`, or take the likeliest answers with `--yes`"),
                ));
            };
            let typed = line.trim();
            let answer = if typed.is_empty() { default.unwrap_or_default() } else { typed };
            match check(answer) {
                Ok(()) => return Ok(answer.to_owned()),
                Err(why) => self.output.note(why),
            }
        }
        Err(Failure::usage(format!("no answer fits the question: {question}"))
            .hint(format!("say it with `{otherwise}`")))
    }

    /// Yes or no.
    pub(super) async fn confirm(self, question: &str, default: bool, otherwise: &str) -> Result<bool, Failure> {
        let is_yes = |answer: &str| matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes");
        let check = |answer: &str| {
            let is_known = is_yes(answer) || matches!(answer.to_ascii_lowercase().as_str(), "n" | "no");
            if is_known { Ok(()) } else { Err("answer `y` or `n`".to_owned()) }
        };
        let answer =
            self.ask(&format!("{question} (y/n)"), Some(if default { "y" } else { "n" }), otherwise, check).await?;
        Ok(is_yes(&answer))
    }

    /// One of several, by its number; the first is the default.
    pub(super) async fn choose(self, question: &str, choices: &[&str], otherwise: &str) -> Result<usize, Failure> {
        if !self.is_silent {
            for (at, choice) in choices.iter().enumerate() {
                self.output.note(format!("  {}  {choice}", at + 1));
            }
        }
        let number = |answer: &str| answer.parse::<usize>().ok().filter(|number| (1..=choices.len()).contains(number));
        let check = |answer: &str| {
            number(answer).map(|_| ()).ok_or_else(|| format!("answer with a number from 1 to {}", choices.len()))
        };
        let answer = self.ask(question, Some("1"), otherwise, check).await?;
        Ok(number(&answer).unwrap_or(1) - 1)
    }

    /// The name of an environment variable.
    pub(super) async fn variable(self, question: &str, default: &str, otherwise: &str) -> Result<String, Failure> {
        self.ask(question, Some(default), otherwise, check_variable).await
    }
}

/// Whether a text can be the name of a variable. A secret that was pasted is told from it, and not repeated.
pub(super) fn check_variable(name: &str) -> Result<(), String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_in_capitals = !name.chars().any(|c| c.is_ascii_lowercase());
    if is_name && (is_in_capitals || Environment::get_os(name).is_some()) {
        return Ok(());
    }
    Err("that is no variable: write the name of an environment variable in capitals, never the secret itself"
        .to_owned())
}

/// A line from standard input, read on a thread that a signal may leave behind. `None` = it ended.
async fn read_line() -> Result<Option<String>, Failure> {
    let (sender, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_line(&mut text);
        let _ = sender.send(read.map(|bytes| (bytes > 0).then_some(text)));
    });
    match line.await {
        Ok(Ok(line)) => Ok(line),
        Ok(Err(error)) => Err(Failure::failed("standard input cannot be read").cause(&error)),
        Err(_) => Err(Failure::failed("standard input cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_names_and_no_secrets() {
        for name in ["SHOP_TOKEN", "_A", "A1"] {
            assert_eq!(check_variable(name), Ok(()), "{name}");
        }
        for secret in ["ghp_canary123", "sk-live", "", "1A", "A B", "${A}"] {
            let told = check_variable(secret).expect_err("no variable");
            assert!(secret.is_empty() || !told.contains(secret), "{told}");
        }
    }
}
