//! An exhaustive search over everything that can happen to two hosts that refresh one credential, by number of faults.
//!
//! A process carries out one action at a time; between any two steps the other one may go on, so that a process that
//! nobody schedules is one that is stopped. Faults: a crash after an action was carried out, or before; a request or an
//! answer lost; a write that fails, applied or not; a disk that does not take the answer; a holder that is alive and is
//! taken over; a provider's window that closes.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::provider::{Number, Provider};
use crate::auth::protocol::{
    Action, Answer, Child, CredentialState, End, Event, Fingerprint, HolderSeen, Ledger, Machine, Outcome, Terms, View,
};
use crate::model::plan::RotationClass;

const LEASE: Duration = Duration::from_secs(1);
/// A token that was bought this often is as good as one bought more often.
const TOKENS_MAX: usize = 6;
const HOSTS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pair(Number);

impl Answer for Pair {
    fn fingerprint(&self) -> Option<Fingerprint> {
        Some(Fingerprint([self.0; 16]))
    }

    fn or_refresh_of(self, _: &Self) -> Self {
        self
    }
}

/// A process by host and number of its start.
type Holder = (usize, u8);
type Book = Ledger<Pair, Holder>;

/// An action with what the process will be told of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Process {
    machine: Machine<Pair, Holder>,
    next: Step,
    /// Whether the record is still what it read last.
    is_fresh: bool,
    me: Holder,
    /// The newest generation when it started: it wants a newer one.
    seen: Option<u64>,
}

/// `Action` without what the record store brings along, so that states can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Look,
    Swap(Box<Book>),
    Send(Number),
    Spill(Child<Pair>),
    Forget(Fingerprint),
    Wait,
    Pause,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    provider: Provider,
    book: Book,
    spilled: [Vec<Child<Pair>>; HOSTS],
    processes: [Option<Process>; HOSTS],
    starts: [u8; HOSTS],
    /// How the last process of each host ended.
    ended: [Option<End>; HOSTS],
    /// Refreshes that each host may still begin.
    wishes: [u8; HOSTS],
}

/// What the search saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Findings {
    /// The least number of faults after which no host gets a token any more. `None` = not within the bound.
    pub faults_to_lose: Option<u32>,
    pub states: usize,
}

/// Every world within the number of faults, the ones with fewer faults first.
pub(super) fn explore(class: RotationClass, faults_max: u32) -> Findings {
    let mut queue = VecDeque::from([(World::new(class), 0)]);
    let mut seen = HashSet::new();
    let mut judged = HashSet::new();
    let mut faults_to_lose = None;
    while let Some((world, faults)) = queue.pop_front() {
        if !seen.insert(digest(&world)) {
            continue;
        }
        // A process that still runs may yet store what it holds.
        let is_quiet = world.processes.iter().all(Option::is_none);
        if is_quiet && judged.insert(digest(&world.durable())) && world.is_lost() {
            assert!(!world.is_answer_on_disk(), "a good token on a disk is of no use: {world:#?}");
            if faults_to_lose.is_none() {
                faults_to_lose = Some(faults);
            }
        }
        for (next, cost) in world.next() {
            let faults = faults + cost;
            if faults > faults_max || next.provider.count() > TOKENS_MAX {
                continue;
            }
            // Fewer faults first: a 0-1 breadth-first search.
            if cost == 0 { queue.push_front((next, faults)) } else { queue.push_back((next, faults)) }
        }
    }
    Findings { faults_to_lose, states: seen.len() }
}

/// Worlds are remembered by two hashes of them: a collision of both would hide a world, and is as likely as one in 10^24.
fn digest(value: &impl Hash) -> (u64, u64) {
    let mut first = DefaultHasher::new();
    value.hash(&mut first);
    let mut second = DefaultHasher::new();
    first.finish().hash(&mut second);
    value.hash(&mut second);
    (first.finish(), second.finish())
}

impl World {
    fn new(class: RotationClass) -> Self {
        let first = Child { tokens: Pair(1), parent: None, epoch: 1 };
        World {
            provider: Provider::new(class),
            book: Ledger::new().logged_in(first),
            spilled: [Vec::new(), Vec::new()],
            processes: [None, None],
            starts: [0, 0],
            ended: [None, None],
            wishes: [2, 1],
        }
    }

    fn terms(&self) -> Terms {
        Terms { class: self.provider.class(), spends: true }
    }

    /// What outlives every process: enough to judge what comes after.
    fn durable(&self) -> (Provider, Book, [Vec<Child<Pair>>; HOSTS]) {
        (self.provider.clone(), self.book.clone(), self.spilled.clone())
    }

    /// Whether a token that the provider takes is in the record or on a disk.
    fn is_answer_on_disk(&self) -> bool {
        let book = self.book.current.iter().chain(&self.book.previous).chain(&self.book.orphans);
        book.chain(self.spilled.iter().flatten()).any(|child| self.provider.takes(child.tokens.0))
    }

    /// Whether, all processes dead and no fault any more, neither host gets a token, not even when a person lets a held
    /// credential go on after every host had its turn.
    fn is_lost(&self) -> bool {
        let mut world = World { processes: [None, None], ..self.clone() };
        for host in [0, 1, 0, 1] {
            if world.run_alone(host) == End::Token {
                return false;
            }
        }
        if world.book.state == CredentialState::Held {
            world.book = world.book.taken_over();
            return world.run_alone(0) != End::Token && world.run_alone(1) != End::Token;
        }
        true
    }

    /// One process without faults and alone, to its end.
    fn run_alone(&mut self, host: usize) -> End {
        self.start(host);
        for _ in 0..200 {
            let mut next = self.step(host);
            assert_eq!(next.len(), 1, "without faults there is one way");
            *self = next.remove(0);
            if let Some(end) = self.ended[host].take() {
                return end;
            }
        }
        panic!("a process does not come to its end: {self:#?}");
    }

    fn start(&mut self, host: usize) {
        self.starts[host] += 1;
        let me = (host, self.starts[host]);
        let mut machine = Machine::new(self.terms(), me);
        let next = step_of(machine.on(Event::Ready)).expect("a process begins with a look");
        self.processes[host] = Some(Process { machine, next, is_fresh: false, me, seen: None });
        self.ended[host] = None;
    }

    /// Everything that can happen next, with its cost in faults.
    fn next(&self) -> Vec<(World, u32)> {
        let mut worlds = Vec::new();
        for host in 0..HOSTS {
            match &self.processes[host] {
                None if self.wishes[host] > 0 => {
                    let mut world = self.clone();
                    world.wishes[host] -= 1;
                    world.start(host);
                    worlds.push((world, 0));
                }
                None => {}
                Some(process) => {
                    worlds.extend(self.step(host).into_iter().map(|world| (world, 0)));
                    worlds.extend(self.faults(host, process).into_iter().map(|world| (world, 1)));
                }
            }
        }
        if self.provider.class() == RotationClass::ValidForWindow && !self.provider.is_window_over {
            let mut world = self.clone();
            world.provider.is_window_over = true;
            worlds.push((world, 1));
        }
        worlds
    }

    /// The action carried out as it should be.
    fn step(&self, host: usize) -> Vec<World> {
        let mut world = self.clone();
        let event = world.carry_out(host, false);
        world.tell(host, event);
        vec![world]
    }

    /// The action carried out as it should not be; every such world costs one fault.
    fn faults(&self, host: usize, process: &Process) -> Vec<World> {
        let mut worlds = Vec::new();
        let crash = |mut world: World| {
            world.processes[host] = None;
            // What starts it again: the next scheduled run.
            world.wishes[host] = world.wishes[host].max(1);
            world
        };
        let told = |mut world: World, event| {
            world.tell(host, event);
            world
        };
        let done = || {
            let mut world = self.clone();
            world.carry_out(host, false);
            world
        };
        worlds.push(crash(self.clone()));
        match &process.next {
            Step::Look => {
                worlds.push(told(self.clone(), Event::StoreDown));
                // A holder that is alive, but was not heard of for longer than its lease.
                let mut world = self.clone();
                let event = world.carry_out(host, true);
                worlds.push(told(world, event));
            }
            Step::Swap(_) => {
                worlds.push(crash(done()));
                worlds.push(told(self.clone(), Event::StoreDown));
                worlds.push(told(done(), Event::StoreDown));
            }
            Step::Send(_) => {
                worlds.push(crash(done()));
                worlds.push(told(self.clone(), Event::Answered(Outcome::Ambiguous)));
                worlds.push(told(done(), Event::Answered(Outcome::Ambiguous)));
                worlds.push(told(self.clone(), Event::Answered(Outcome::NotSent)));
                worlds.push(told(self.clone(), Event::Late));
            }
            Step::Spill(_) => {
                worlds.push(crash(done()));
                worlds.push(told(self.clone(), Event::NotSpilled));
            }
            Step::Forget(_) => worlds.push(crash(done())),
            Step::Wait | Step::Pause => {}
        }
        worlds
    }

    /// Does what the process asked for, and says what it is told.
    fn carry_out(&mut self, host: usize, is_lapsed: bool) -> Event<Pair, Holder> {
        let mut process = self.processes[host].clone().expect("a process");
        let event = match &process.next {
            Step::Look => {
                process.is_fresh = true;
                let seen = *process.seen.get_or_insert(self.book.generation);
                Event::Seen(View {
                    ledger: Some(self.book.clone()),
                    holder: self.holder(host, is_lapsed),
                    spilled: self.spilled[host].clone(),
                    is_usable: self.book.generation > seen,
                    is_behind: false,
                })
            }
            Step::Swap(book) if process.is_fresh => {
                self.processes.iter_mut().flatten().for_each(|other| other.is_fresh = false);
                process.is_fresh = false;
                self.book = book.as_ref().clone();
                Event::Swapped
            }
            Step::Swap(_) => Event::Conflict,
            Step::Send(token) => Event::Answered(match self.provider.spend(*token) {
                Some(new) => Outcome::Yes(Pair(new)),
                None => {
                    assert!(
                        self.provider.class() != RotationClass::ReuseRevokesFamily || !self.was_durable(),
                        "a reuse revoked a token that was safe on a disk: {self:#?}"
                    );
                    Outcome::Invalid
                }
            }),
            Step::Spill(child) => {
                self.spilled[host].push(child.clone());
                Event::Spilled
            }
            Step::Forget(fingerprint) => {
                self.spilled[host].retain(|child| child.fingerprint() != Some(*fingerprint));
                Event::Forgotten
            }
            Step::Wait | Step::Pause => Event::Ready,
        };
        self.processes[host] = Some(process);
        event
    }

    /// Class F after a revocation: whether an unspent token was on a disk when it happened.
    fn was_durable(&self) -> bool {
        let book = self.book.current.iter().chain(&self.book.orphans);
        book.chain(self.spilled.iter().flatten()).any(|child| self.provider.is_unspent(child.tokens.0))
    }

    fn holder(&self, host: usize, is_lapsed: bool) -> HolderSeen {
        let holder = self.book.intent.as_ref().map(|intent| intent.holder);
        let is_alive = holder
            .is_some_and(|(of, start)| self.processes[of].as_ref().is_some_and(|process| process.me == (of, start)));
        let is_here = holder.is_some_and(|(of, _)| of == host);
        // Of a dead holder elsewhere one hears nothing: after a while its lease is over.
        let is_over = is_lapsed || !is_alive;
        HolderSeen {
            is_dead: is_here && !is_alive,
            is_alive: is_here && is_alive,
            unchanged_for: if is_over { LEASE * 2 } else { Duration::ZERO },
            lease: LEASE,
            is_here,
            is_window_over: self.provider.is_window_over,
        }
    }

    fn tell(&mut self, host: usize, event: Event<Pair, Holder>) {
        let process = self.processes[host].as_mut().expect("a process");
        match step_of(process.machine.on(event)) {
            Ok(next) => process.next = next,
            Err(end) => {
                self.processes[host] = None;
                self.ended[host] = Some(end);
            }
        }
    }
}

fn step_of(action: Action<Pair, Holder>) -> Result<Step, End> {
    Ok(match action {
        Action::Look => Step::Look,
        Action::Swap(book, _) => Step::Swap(book),
        Action::Send(spend) => Step::Send(spend.expect("a refresh token").0),
        Action::Spill(child) => Step::Spill(child),
        Action::Forget(fingerprint) => Step::Forget(fingerprint),
        Action::WaitForHolder => Step::Wait,
        Action::Pause => Step::Pause,
        Action::End(end) => return Err(end),
    })
}
