//! The protocol by which a refresh token is spent, as a pure state machine: events of the outside world come in,
//! actions for it go out. `vault` carries them out; `tests` explores this very machine with crashes at every step.
//!
//! | step | rule |
//! |---|---|
//! | T0 | a good access token is used without more ado |
//! | T1 | one holder at a time; a holder is taken over when it is dead, or its record was observed unchanged for longer than its lease |
//! | T2 | look again; an unused child of the current token is promoted without a request |
//! | T3 | a foreign announcement: the same token is sent again, unless a reuse could revoke an answer on another host's disk |
//! | T4 | the announcement is durable before the token is spent |
//! | T5 | sent once, within the lease |
//! | T6 | not sent, definite, or ambiguous; the latter is sent again with the same token |
//! | T7 | the answer is spilled on this host's disk before anything uses it |
//! | T8 | the answer is stored; one that comes too late becomes an orphan, never lost |
//! | T9 | a refused token: every other candidate once, then a login is needed |
//! | T10 | the announcement ends with whatever is stored last |

mod ledger;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(in crate::auth) use ledger::{Answer, Child, Fingerprint, Intent, Ledger};
pub(crate) use ledger::{CredentialState, HeldBecause};

use crate::limits::REFRESH_REPLAYS_MAX;
use crate::model::plan::RotationClass;

/// Tries to store an answer that is safe on this host's disk.
const STORE_TRIES_SPILLED_MAX: u32 = 4;
/// Tries to store an answer that is nowhere else: with the driver's pauses about five minutes.
const STORE_TRIES_UNSPILLED_MAX: u32 = 60;

/// What is known of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Terms {
    pub class: RotationClass,
    /// Whether a refresh token is spent; otherwise the job itself buys access tokens.
    pub spends: bool,
}

impl Terms {
    /// Whether sending a used token again may revoke its unknown successor.
    fn is_reuse_dangerous(self, is_window_over: bool) -> bool {
        match self.class {
            RotationClass::NotRotated
            | RotationClass::OldStaysValid
            | RotationClass::ValidUntilSuccessorUsed
            | RotationClass::SingleUse => false,
            // Providers of this kind take a reuse after the window for theft.
            RotationClass::ValidForWindow => is_window_over,
            RotationClass::ReuseRevokesFamily => true,
        }
    }

    /// Whether a record that is known to be outdated must not be spent from.
    fn is_outdated_dangerous(self) -> bool {
        match self.class {
            RotationClass::NotRotated | RotationClass::OldStaysValid | RotationClass::ValidUntilSuccessorUsed => false,
            RotationClass::ValidForWindow | RotationClass::SingleUse | RotationClass::ReuseRevokesFamily => true,
        }
    }
}

/// The holder of the announcement that was read, as far as this host can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct HolderSeen {
    /// A process of this host that is gone.
    pub is_dead: bool,
    /// A process of this host that is there, perhaps stopped.
    pub is_alive: bool,
    /// How long the record was observed unchanged, by this host's boot-time clock.
    pub unchanged_for: Duration,
    /// How long the holder said that it would take at most.
    pub lease: Duration,
    /// Whether its spilled answers would lie on this host's disk.
    pub is_here: bool,
    /// Whether the time in which the provider takes a used token again is over.
    pub is_window_over: bool,
}

impl HolderSeen {
    /// A quarter more than its own clock would allow, because two clocks do not run alike.
    fn is_gone(self) -> bool {
        self.is_dead || self.unchanged_for >= self.lease * 5 / 4
    }
}

/// What a look at record and disk shows.
#[derive(Debug, Clone)]
pub(super) struct View<P, H> {
    /// Absent = no record.
    pub ledger: Option<Ledger<P, H>>,
    pub holder: HolderSeen,
    /// Answers spilled on this host's disk for this credential, oldest first.
    pub spilled: Vec<Child<P>>,
    /// The access token is good for the caller.
    pub is_usable: bool,
    /// The record is older than what this host has seen, or its store was copied.
    pub is_behind: bool,
}

/// What happened.
#[derive(Debug, Clone)]
pub(super) enum Event<P, H> {
    /// The beginning, or the end of a wait.
    Ready,
    Seen(View<P, H>),
    /// The record could not be read or written; a write may have been applied.
    StoreDown,
    Swapped,
    /// The record changed since it was read.
    Conflict,
    /// The lease is nearly over: nothing was sent.
    Late,
    Answered(Outcome<P>),
    Spilled,
    NotSpilled,
    Forgotten,
}

/// How a token request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome<P> {
    Yes(P),
    /// The server certainly did not act.
    NotSent,
    /// The server may have acted.
    Ambiguous,
    /// This refresh token is not valid.
    Invalid,
    /// The client or the request is wrong; says nothing of the token.
    Refused,
}

/// What the driver does next.
#[derive(Debug, Clone)]
pub(super) enum Action<P, H> {
    /// Reads record and disk.
    Look,
    /// Replaces the record as it was last read.
    Swap(Box<Ledger<P, H>>, Change),
    /// Sends a token request; `None` = the grant spends no refresh token.
    Send(Option<P>),
    /// Writes the answer to this host's disk.
    Spill(Child<P>),
    /// Removes it from there.
    Forget(Fingerprint),
    /// Waits for another holder.
    WaitForHolder,
    /// Waits before another try.
    Pause,
    End(End),
}

/// What a swap means, for the record's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Announced,
    Refreshed,
    /// A spilled or orphaned answer came to use.
    Recovered,
    /// The announcement ends without an answer.
    GivenUp,
    Exhausted,
    Held(HeldBecause),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// The record that was last read or written holds a usable token.
    Token,
    NeverLoggedIn,
    LoginNeeded,
    Held(HeldBecause),
    /// The provider did not answer; nothing is known to be lost.
    Unanswered,
    ClientRefused,
    /// `is_spilled`: an answer waits on this host's disk.
    StoreDown {
        is_spilled: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase<P> {
    Looking,
    /// A spilled answer goes into the record, then from the disk.
    Importing(Fingerprint),
    /// Something is written that changes what the next look shows.
    Turning,
    Announcing {
        spend: Option<P>,
        epoch: u64,
    },
    Sending {
        spend: Option<P>,
        epoch: u64,
        replays: u32,
    },
    Spilling(Child<P>),
    Storing {
        child: Child<P>,
        is_spilled: bool,
        tries: u32,
        /// The swap under way ends our own announcement.
        is_own: bool,
    },
    /// Our own answer is in the record, and only the copy on the disk is left.
    Stored,
    /// The announcement is to end so; `epoch` is its own.
    Closing {
        epoch: u64,
        end: End,
    },
}

/// One attempt of one process to have a good token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Machine<P, H> {
    terms: Terms,
    me: H,
    phase: Phase<P>,
    refused: Vec<Fingerprint>,
}

impl<P: Answer, H: Clone + PartialEq> Machine<P, H> {
    pub(super) fn new(terms: Terms, me: H) -> Self {
        Machine { terms, me, phase: Phase::Looking, refused: Vec::new() }
    }

    /// The next action. The driver carries out one action, then calls this with its event.
    pub(super) fn on(&mut self, event: Event<P, H>) -> Action<P, H> {
        match (std::mem::replace(&mut self.phase, Phase::Looking), event) {
            (Phase::Looking, Event::Seen(view)) => self.decide(view),
            (Phase::Importing(spilled), Event::Swapped) => Action::Forget(spilled),
            (Phase::Importing(_), Event::StoreDown) => Action::End(End::StoreDown { is_spilled: true }),
            (Phase::Announcing { spend, epoch }, Event::Swapped) => self.send(spend, epoch, 0),
            (Phase::Sending { spend, epoch, replays }, Event::Ready) => self.send(spend, epoch, replays),
            (Phase::Sending { spend, epoch, replays }, Event::Answered(outcome)) => {
                self.answered(outcome, spend, epoch, replays)
            }
            (Phase::Spilling(child), Event::Spilled) => self.store(child, true, 0),
            (Phase::Spilling(child), _) => self.store(child, false, 0),
            (Phase::Storing { child, is_own, .. }, Event::Swapped) => self.forget(&child, is_own),
            (Phase::Storing { child, is_spilled, tries, .. }, Event::Seen(view)) => {
                self.put_away(view, child, is_spilled, tries)
            }
            (Phase::Storing { child, is_spilled, tries, .. }, Event::StoreDown) => {
                let tries_max = if is_spilled { STORE_TRIES_SPILLED_MAX } else { STORE_TRIES_UNSPILLED_MAX };
                if tries + 1 == tries_max {
                    return Action::End(End::StoreDown { is_spilled });
                }
                self.phase = Phase::Storing { child, is_spilled, tries: tries + 1, is_own: false };
                Action::Pause
            }
            (Phase::Storing { child, is_spilled, tries, .. }, _) => self.store(child, is_spilled, tries),
            (Phase::Closing { epoch, end }, Event::Seen(view)) => self.close(view, epoch, end),
            // The announcement stays; it lapses, or its holder is found dead.
            (Phase::Closing { end, .. }, Event::StoreDown) => Action::End(end),
            (Phase::Closing { epoch, end }, _) => {
                self.phase = Phase::Closing { epoch, end };
                Action::Look
            }
            (Phase::Stored, _) => Action::End(End::Token),
            (_, Event::StoreDown) => Action::End(End::StoreDown { is_spilled: false }),
            // Waited, written, forgotten, late, or changed meanwhile: look again.
            (_, _) => Action::Look,
        }
    }

    fn decide(&mut self, view: View<P, H>) -> Action<P, H> {
        let ledger = match view.ledger {
            Some(ledger) => ledger,
            None if self.terms.spends && view.spilled.is_empty() => return Action::End(End::NeverLoggedIn),
            None => Ledger::new(),
        };
        let is_foreign = ledger.intent.as_ref().is_some_and(|intent| intent.holder != self.me);
        let is_busy = is_foreign && !view.holder.is_gone();
        if let Some(spilled) = view.spilled.into_iter().next() {
            return self.import(ledger, spilled, is_busy);
        }
        if view.is_usable && ledger.state != CredentialState::Reauth {
            return Action::End(End::Token);
        }
        if is_busy {
            return Action::WaitForHolder;
        }
        if !self.terms.spends {
            return self.announce(ledger, None);
        }
        match ledger.state {
            CredentialState::Held => return Action::End(End::Held(ledger.held.unwrap_or(HeldBecause::Behind))),
            CredentialState::Reauth if ledger.generation == 0 => return Action::End(End::NeverLoggedIn),
            CredentialState::Reauth => return Action::End(End::LoginNeeded),
            CredentialState::Idle | CredentialState::Intent => {}
        }
        if let Some(child) = ledger.unused_child().cloned() {
            return self.turn(ledger.promoted(child), Change::Recovered);
        }
        let is_risky = self.terms.is_reuse_dangerous(view.holder.is_window_over);
        // Where it would have spilled its answer there is none, so it got none, unless it still waits for one.
        let is_without_answer = view.holder.is_here && !view.holder.is_alive;
        if is_foreign && is_risky && !is_without_answer {
            return self.hold(ledger, HeldBecause::ForeignIntent);
        }
        if view.is_behind && self.terms.is_outdated_dangerous() {
            return self.hold(ledger, HeldBecause::Behind);
        }
        let is_previous_harmless = self.terms.class != RotationClass::ReuseRevokesFamily;
        match ledger.candidate(&self.refused, is_previous_harmless).cloned() {
            Some(candidate) => self.announce(ledger, Some(candidate.tokens)),
            None => self.turn(ledger.exhausted(), Change::Exhausted),
        }
    }

    /// A swap after which, or after whose conflict, everything is looked at again.
    fn turn(&mut self, ledger: Ledger<P, H>, change: Change) -> Action<P, H> {
        self.phase = Phase::Turning;
        Action::Swap(Box::new(ledger), change)
    }

    fn hold(&mut self, ledger: Ledger<P, H>, because: HeldBecause) -> Action<P, H> {
        self.turn(ledger.held_because(because), Change::Held(because))
    }

    fn import(&mut self, ledger: Ledger<P, H>, spilled: Child<P>, is_busy: bool) -> Action<P, H> {
        // Kept answers always have a refresh token: others can be bought again.
        let name = spilled.fingerprint().unwrap_or(Fingerprint([0; 16]));
        if ledger.holds(&spilled) {
            return Action::Forget(name);
        }
        self.phase = Phase::Importing(name);
        Action::Swap(Box::new(ledger.absorbed(spilled, is_busy)), Change::Recovered)
    }

    fn announce(&mut self, ledger: Ledger<P, H>, spend: Option<P>) -> Action<P, H> {
        let spends = spend.as_ref().and_then(Answer::fingerprint);
        let ledger = ledger.announced(self.me.clone(), spends);
        self.phase = Phase::Announcing { spend, epoch: ledger.epoch };
        Action::Swap(Box::new(ledger), Change::Announced)
    }

    fn send(&mut self, spend: Option<P>, epoch: u64, replays: u32) -> Action<P, H> {
        self.phase = Phase::Sending { spend: spend.clone(), epoch, replays };
        Action::Send(spend)
    }

    fn answered(&mut self, outcome: Outcome<P>, spend: Option<P>, epoch: u64, replays: u32) -> Action<P, H> {
        match outcome {
            Outcome::Yes(tokens) => {
                let tokens = match &spend {
                    Some(spent) => tokens.or_refresh_of(spent),
                    None => tokens,
                };
                let parent = spend.as_ref().and_then(Answer::fingerprint);
                let is_new = tokens.fingerprint().is_some() && tokens.fingerprint() != parent;
                let child = Child { tokens, parent, epoch };
                if is_new && parent.is_some() {
                    self.phase = Phase::Spilling(child.clone());
                    Action::Spill(child)
                } else {
                    // What was spent is still good, so nothing is lost with this answer.
                    self.store(child, true, 0)
                }
            }
            Outcome::NotSent | Outcome::Ambiguous if replays < REFRESH_REPLAYS_MAX => {
                self.phase = Phase::Sending { spend, epoch, replays: replays + 1 };
                Action::Pause
            }
            Outcome::NotSent | Outcome::Ambiguous => self.end(epoch, End::Unanswered),
            Outcome::Refused => self.end(epoch, End::ClientRefused),
            Outcome::Invalid => {
                self.refused.extend(spend.as_ref().and_then(Answer::fingerprint));
                match spend {
                    Some(_) => Action::Look,
                    None => self.end(epoch, End::ClientRefused),
                }
            }
        }
    }

    fn end(&mut self, epoch: u64, end: End) -> Action<P, H> {
        self.phase = Phase::Closing { epoch, end };
        Action::Look
    }

    fn close(&mut self, view: View<P, H>, epoch: u64, end: End) -> Action<P, H> {
        match view.ledger {
            Some(ledger) if self.is_own(&ledger, epoch) => {
                self.phase = Phase::Closing { epoch, end };
                Action::Swap(Box::new(ledger.given_up()), Change::GivenUp)
            }
            // Ended, by us or by somebody who took over.
            _ => Action::End(end),
        }
    }

    fn is_own(&self, ledger: &Ledger<P, H>, epoch: u64) -> bool {
        ledger.epoch == epoch && ledger.intent.as_ref().is_some_and(|intent| intent.holder == self.me)
    }

    fn store(&mut self, child: Child<P>, is_spilled: bool, tries: u32) -> Action<P, H> {
        self.phase = Phase::Storing { child, is_spilled, tries, is_own: false };
        Action::Look
    }

    fn put_away(&mut self, view: View<P, H>, child: Child<P>, is_spilled: bool, tries: u32) -> Action<P, H> {
        let ledger = view.ledger.unwrap_or_else(Ledger::new);
        let is_own = self.is_own(&ledger, child.epoch);
        let (ledger, change) = if is_own {
            (ledger.refreshed(child.clone()), Change::Refreshed)
        } else if ledger.holds(&child) || child.parent.is_none() {
            return self.forget(&child, false);
        } else {
            let is_busy = ledger.intent.is_some();
            let absorbed = ledger.absorbed(child.clone(), is_busy);
            if !absorbed.holds(&child) {
                return self.forget(&child, false);
            }
            (absorbed, Change::Recovered)
        };
        self.phase = Phase::Storing { child, is_spilled, tries, is_own };
        Action::Swap(Box::new(ledger), change)
    }

    /// The answer is in the record, or of no use: the copy on the disk goes.
    fn forget(&mut self, child: &Child<P>, is_own: bool) -> Action<P, H> {
        // A new access token may be too short-lived to count as good; it is used all the same, once.
        self.phase = if is_own { Phase::Stored } else { Phase::Looking };
        match (child.fingerprint(), is_own) {
            (Some(spilled), _) => Action::Forget(spilled),
            (None, true) => Action::End(End::Token),
            (None, false) => Action::Look,
        }
    }
}
