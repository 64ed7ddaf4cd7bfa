//! One attempt to have a good access token: carries out what the protocol asks for, on the record store, this host's
//! disk and the wire.

use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard};

use super::error::Error;
use super::grant::Granted;
use super::issuer::Issuer;
use super::protocol::{
    Action, Answer, Change, Child, End, Event, HeldBecause, HolderSeen, Ledger, Machine, Outcome, Terms, View,
};
use super::record::{Announcer, Identity, Opened, Record, Stamp, Tokens};
use super::vault::{AccessToken, Vault};
use crate::clock::Clock;
use crate::http::within;
use crate::limits::{REFRESH_LEASE_WAITS, RETRY_WAIT_MAX, RETRY_WAIT_MIN};
use crate::state::lease::Holder;
use crate::state::{self, Version};

/// How often a waiter looks whether another process finished its refresh.
const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// Leases that a waiter waits for: a holder's, the quarter more after which it is taken over, and one more holder.
const PATIENCE_LEASES: u32 = 3;

/// Held for reading from an announcement to its end.
static SPENDING: RwLock<()> = RwLock::const_new(());

/// Whether a refresh token of this process is on its way.
pub(crate) fn is_something_spent() -> bool {
    SPENDING.try_write().is_err()
}

/// Waits until no refresh token of this process is on its way. A process that ends earlier may lose one.
pub(crate) async fn until_nothing_is_spent() {
    drop(SPENDING.write().await);
}

/// What the last token request came to, where it was no token.
enum Trouble {
    TimedOut(Duration),
    Unanswered(crate::http::Error),
    Unreadable(String),
    Refused(String),
}

pub(super) struct Attempt<'a> {
    vault: &'a Vault,
    issuer: &'a Issuer,
    identity: Identity,
    me: Announcer,
    /// The generation that the API refuses.
    refused: Option<u64>,
    record: Option<(Option<Version>, Record)>,
    ledger: Option<Opened>,
    /// The version that was read last, and when it was first read, by the boot-time clock.
    observed: Option<(Version, Duration)>,
    announced_at: Duration,
    /// Announcements that room was taken for.
    rooms: Vec<u64>,
    /// How long an announcement of ours may last.
    lease: Duration,
    pauses: u32,
    waiting_since: Option<Duration>,
    trouble: Option<Trouble>,
    store_trouble: Option<state::Error>,
    /// The local disk did not take the answer: the record store is its only place.
    is_spill_refused: bool,
    /// An answer arrived that replaces what was spent.
    is_answered: bool,
    spending: Option<RwLockReadGuard<'static, ()>>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(vault: &'a Vault, issuer: &'a Issuer, refused: Option<u64>) -> Self {
        Attempt {
            vault,
            issuer,
            identity: issuer.identity(),
            me: Announcer { holder: Holder::current(), place: vault.disk().place().to_owned() },
            refused,
            record: None,
            ledger: None,
            observed: None,
            announced_at: Duration::ZERO,
            rooms: Vec::new(),
            lease: issuer.timeout() * REFRESH_LEASE_WAITS,
            pauses: 0,
            waiting_since: None,
            trouble: None,
            store_trouble: None,
            is_spill_refused: false,
            is_answered: false,
            spending: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<AccessToken, Error> {
        let terms = Terms { class: self.issuer.rotation().class, spends: self.issuer.needs_login() };
        let mut machine = Machine::new(terms, self.me.clone());
        let mut event = Event::Ready;
        let ended = loop {
            let done = match machine.on(event) {
                Action::Look => self.look().await,
                Action::Swap(ledger, change) => self.swap(*ledger, change).await,
                Action::Send(spend) => Ok(self.send(spend).await),
                Action::Spill(child) => Ok(self.spill(&child)),
                Action::Forget(name) => {
                    self.vault.disk().forget(&self.identity.id, name);
                    Ok(Event::Forgotten)
                }
                Action::WaitForHolder => self.wait_for_holder().await,
                Action::Pause => {
                    let wait = RETRY_WAIT_MIN * 2_u32.pow(self.pauses.min(4));
                    self.pauses += 1;
                    tokio::time::sleep(wait.min(RETRY_WAIT_MAX)).await;
                    Ok(Event::Ready)
                }
                Action::End(end) => break self.end(end),
            };
            event = match done {
                Ok(event) => event,
                Err(error) => break Err(error),
            };
        };
        for epoch in &self.rooms {
            self.vault.disk().give_back(&self.identity.id, *epoch);
        }
        ended
    }

    async fn look(&mut self) -> Result<Event<Tokens, Announcer>, Error> {
        let found = match self.vault.load(&self.identity).await {
            Ok(found) => found,
            Err(Error::Store(error)) => return Ok(self.store_down(error)),
            Err(error) => return Err(error),
        };
        let (version, record) = match found {
            Some((version, record)) => (Some(version), Some(record)),
            None => (None, None),
        };
        let now = Clock.boot_time();
        if self.observed.as_ref().map(|(version, _)| version) != version.as_ref() {
            self.observed = version.clone().map(|version| (version, now));
        }
        let unchanged_for = self.observed.as_ref().map_or(Duration::ZERO, |(_, since)| now.saturating_sub(*since));
        let ledger = record.as_ref().map(|record| record.open(self.vault.key())).transpose()?;
        let view = View {
            holder: self.holder(record.as_ref(), unchanged_for),
            spilled: self.vault.disk().spilled(&self.identity.id, self.vault.key())?,
            is_usable: match (&record, &ledger) {
                (Some(record), Some(ledger)) => self.is_usable(record, ledger)?,
                _ => false,
            },
            is_behind: record.as_ref().is_some_and(|record| self.vault.is_behind(record)),
            ledger: ledger.clone(),
        };
        self.record = Some((version, record.unwrap_or_else(|| Record::new(&self.identity))));
        self.ledger = ledger;
        Ok(Event::Seen(view))
    }

    fn holder(&self, record: Option<&Record>, unchanged_for: Duration) -> HolderSeen {
        let holder = record.and_then(Record::holder);
        let announced_at = record.and_then(Record::announced_at);
        let window = self.issuer.rotation().window.and_then(|window| chrono::Duration::from_std(window).ok());
        HolderSeen {
            is_dead: holder.is_some_and(|holder| holder.holder.is_dead()),
            is_alive: holder
                .is_some_and(|holder| holder.holder.host == self.me.holder.host && !holder.holder.is_dead()),
            unchanged_for,
            lease: record.map(Record::lease).filter(|lease| !lease.is_zero()).unwrap_or(self.lease),
            is_here: holder.is_some_and(|holder| holder.place == self.me.place),
            is_window_over: match (announced_at, window) {
                (Some(at), Some(window)) => at.checked_add_signed(window).is_none_or(|over| over < Clock.now()),
                (Some(_), None) => true,
                (None, _) => false,
            },
        }
    }

    fn is_usable(&self, record: &Record, ledger: &Opened) -> Result<bool, Error> {
        let Some(current) = &ledger.current else { return Ok(false) };
        if self.refused.is_some_and(|refused| ledger.generation <= refused) {
            self.refuse_too_young(record)?;
            return Ok(false);
        }
        Ok(current.tokens.is_good(Clock.now(), self.vault.haste())
            && !is_idle_too_long(record, self.issuer.rotation().idle))
    }

    /// A provider that replaces no young token would count the request as an error, and block the client for it.
    fn refuse_too_young(&self, record: &Record) -> Result<(), Error> {
        let age_min = self.issuer.rotation().age_min;
        let Some(refreshed_at) = record.refreshed_at() else { return Ok(()) };
        let age_secs = (Clock.now() - refreshed_at).num_seconds();
        if (0..age_min.as_secs() as i64).contains(&age_secs) {
            let origin = self.identity.bound_to.clone();
            return Err(Error::TooYoung { origin, age_secs, min_secs: age_min.as_secs() });
        }
        Ok(())
    }

    async fn swap(&mut self, ledger: Opened, change: Change) -> Result<Event<Tokens, Announcer>, Error> {
        let (version, former) = self.record.take().expect("a swap follows a look");
        if change == Change::Announced {
            self.vault.disk().reserve(&self.identity.id, ledger.epoch)?;
            self.rooms.push(ledger.epoch);
            self.spending = Some(SPENDING.read().await);
        }
        let what = self.history(&ledger, change);
        let stamp = Stamp { at: Clock.now(), lease: self.lease, idle: self.issuer.rotation().idle, what: &what };
        let record = former.with(&ledger, self.vault.key(), &stamp);
        match self.vault.replace(&self.identity, version.as_ref(), &record).await {
            Ok(true) => {
                match change {
                    Change::Announced => self.announced_at = Clock.boot_time(),
                    Change::Refreshed => {
                        self.vault.count_refresh();
                        self.vault.disk().remember(&self.identity.id, ledger.generation);
                    }
                    Change::Recovered => self.vault.disk().remember(&self.identity.id, ledger.generation),
                    Change::GivenUp | Change::Exhausted | Change::Held(_) => {}
                }
                self.ledger = Some(ledger);
                Ok(Event::Swapped)
            }
            Ok(false) => Ok(Event::Conflict),
            Err(Error::Store(error)) => Ok(self.store_down(error)),
            Err(error) => Err(error),
        }
    }

    fn store_down(&mut self, error: state::Error) -> Event<Tokens, Announcer> {
        self.store_trouble = Some(error);
        Event::StoreDown
    }

    fn history(&self, ledger: &Opened, change: Change) -> String {
        let no_rotation = ledger.current.as_ref().map(Child::fingerprint) == Some(None)
            || ledger
                .current
                .as_ref()
                .is_some_and(|child| child.parent.is_some() && child.parent == child.fingerprint());
        match change {
            Change::Announced => String::new(),
            Change::Refreshed if no_rotation && self.issuer.needs_login() => {
                "refreshed; the refresh token stays the same".to_owned()
            }
            Change::Refreshed if self.is_spill_refused => "refreshed; the local disk took no copy".to_owned(),
            Change::Refreshed => "refreshed".to_owned(),
            Change::Recovered => "recovered a token that was bought and not stored".to_owned(),
            Change::GivenUp | Change::Exhausted => match &self.trouble {
                Some(Trouble::Unanswered(error)) => error.to_string(),
                Some(Trouble::TimedOut(wait)) => unanswered_for(*wait),
                Some(Trouble::Unreadable(why) | Trouble::Refused(why)) => why.clone(),
                None => "no refresh token is left to try".to_owned(),
            },
            Change::Held(HeldBecause::ForeignIntent) => "held: another host's refresh is unfinished".to_owned(),
            Change::Held(HeldBecause::Behind) => "held: the record is older than what was seen".to_owned(),
        }
    }

    async fn send(&mut self, spend: Option<Tokens>) -> Event<Tokens, Announcer> {
        let held_for = Clock.boot_time().saturating_sub(self.announced_at);
        let wait = self.issuer.timeout();
        if held_for + wait > self.lease {
            return Event::Late;
        }
        let asked = async {
            match spend.as_ref().and_then(|tokens| tokens.refresh.as_ref()) {
                Some(token) => self.issuer.refresh(token).await,
                None => self.issuer.buy().await,
            }
        };
        let Some(granted) = within(wait, asked).await else {
            self.trouble = Some(Trouble::TimedOut(wait));
            return Event::Answered(Outcome::Ambiguous);
        };
        Event::Answered(match granted {
            Granted::Yes(tokens) => {
                self.is_answered = spend.is_some() && tokens.fingerprint().is_some();
                Outcome::Yes(*tokens)
            }
            Granted::NotSent(error) => {
                self.trouble = Some(Trouble::Unanswered(error));
                Outcome::NotSent
            }
            Granted::Ambiguous(error) => {
                self.trouble = Some(Trouble::Unanswered(error));
                Outcome::Ambiguous
            }
            Granted::Unreadable { why } => {
                self.trouble = Some(Trouble::Unreadable(why));
                Outcome::Ambiguous
            }
            Granted::InvalidGrant { why } => {
                self.trouble = Some(Trouble::Refused(why));
                Outcome::Invalid
            }
            Granted::Refused { why } => {
                self.trouble = Some(Trouble::Refused(why));
                Outcome::Refused
            }
        })
    }

    fn spill(&mut self, child: &Child<Tokens>) -> Event<Tokens, Announcer> {
        match self.vault.disk().spill(&self.identity.id, child, self.vault.key()) {
            Ok(()) => Event::Spilled,
            Err(_) => {
                self.is_spill_refused = true;
                Event::NotSpilled
            }
        }
    }

    async fn wait_for_holder(&mut self) -> Result<Event<Tokens, Announcer>, Error> {
        let now = Clock.boot_time();
        let since = *self.waiting_since.get_or_insert(now);
        if now.saturating_sub(since) > self.lease * PATIENCE_LEASES {
            return Err(Error::Busy { origin: self.identity.bound_to.clone() });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        Ok(Event::Ready)
    }

    fn end(&mut self, end: End) -> Result<AccessToken, Error> {
        let origin = self.identity.bound_to.clone();
        match (end, self.trouble.take(), self.store_trouble.take()) {
            (End::Token, ..) => {
                let ledger = self.ledger.take().unwrap_or_else(Ledger::new);
                let current = ledger.current.expect("the protocol ends so with a token only");
                Ok(AccessToken { tokens: current.tokens, generation: ledger.generation })
            }
            (End::NeverLoggedIn, ..) => Err(Error::NeverLoggedIn { origin }),
            (End::LoginNeeded, Some(Trouble::Refused(why)), _) => Err(Error::LoginLost { origin, why }),
            (End::LoginNeeded, ..) => {
                let why = self.record.take().map(|(_, record)| record.last_outcome().to_owned()).unwrap_or_default();
                Err(Error::LoginLost { origin, why })
            }
            (End::Held(because), ..) => Err(Error::Held { origin, because }),
            (End::ClientRefused, Some(Trouble::Refused(why)), _) => Err(Error::ClientRefused { why }),
            (End::StoreDown { is_spilled: true }, _, Some(source)) => Err(Error::Spilled { origin, source }),
            (End::StoreDown { is_spilled: false }, _, Some(source)) if self.is_answered => {
                Err(Error::Lost { origin, source })
            }
            (End::StoreDown { .. }, _, Some(source)) => Err(Error::Store(source)),
            (_, Some(Trouble::TimedOut(wait)), _) => Err(Error::Unreadable { why: unanswered_for(wait) }),
            (_, Some(Trouble::Unanswered(source)), _) => Err(Error::Unanswered { source }),
            (_, Some(Trouble::Unreadable(why) | Trouble::Refused(why)), _) => Err(Error::Unreadable { why }),
            (_, None, _) => Err(Error::Busy { origin }),
        }
    }
}

fn unanswered_for(wait: Duration) -> String {
    format!("no answer within {wait:?}")
}

/// Whether a refresh token comes near to being void from idleness: half of its idle life is over.
fn is_idle_too_long(record: &Record, idle: Option<Duration>) -> bool {
    let half = idle.and_then(|idle| chrono::Duration::from_std(idle / 2).ok());
    match (record.void_at(), half) {
        (Some(void_at), Some(half)) => void_at - half < Clock.now(),
        _ => false,
    }
}
