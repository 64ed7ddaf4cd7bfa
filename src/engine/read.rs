//! One slice from the API into its queue: page after page, or some at once where the total tells how many there are.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::error::Error;
use super::queue::{PageQueue, QueuedPage};
use super::resume::kept::{Keeping, PageMark, ResumedSlice};
use crate::clock::Clock;
use crate::limits::QUEUE_WAKE_AGE;
use crate::model::incremental::{CursorValue, FeedOrder};
use crate::model::plan::Stream;
use crate::paging::Paginator;
use crate::paging::walk::{PageToken, Step, TotalProof, Walk, WalkEnd, Wants};
use crate::source::{Answer, Endpoint, Page, PageReading, PageTrace};
use crate::telemetry::Event;

/// Reads slices of one stream.
pub(super) struct SliceReader<'a> {
    pub ctx: &'a Context,
    pub stream: &'a Stream,
    pub halt: &'a CancellationToken,
    pub keeping: Keeping,
}

impl SliceReader<'_> {
    /// Reads a slice to its end, behind the pages that an unfinished run left.
    pub(super) async fn read(
        &self,
        endpoint: &Endpoint,
        floor: Option<CursorValue>,
        proof: TotalProof,
        queue: &PageQueue,
        resumed: Option<ResumedSlice>,
    ) -> Result<WalkEnd, Error> {
        let mut walk = self.walk(endpoint, floor, proof);
        let wants = wants(self.stream);
        let reading = reading_of(self.stream, &wants);
        let mut before: Option<PageTrace> = None;
        let mut ahead = Ahead::new();
        let began = Clock.boot_time();
        let mut bytes = 0;
        let mut asked_before = None;
        let mut patience = pin!(tokio::time::sleep(QUEUE_WAKE_AGE));
        if let Some(resumed) = resumed {
            bytes = resumed.bytes;
            let wrong = |source| Error::Walk { stream: self.stream.name.clone(), source };
            match walk_again(&mut walk, &resumed).map_err(wrong)? {
                Step::End(end) => return Ok(end),
                Step::More(_) => before = resumed.marks.last().and_then(|mark| mark.trace.open()),
            }
            asked_before = resumed.next;
        }
        loop {
            self.check_stopped()?;
            self.check_budget(walk.pages(), bytes, Clock.boot_time().saturating_sub(began))?;
            let number = walk.pages() + 1;
            let asked_before = asked_before.take();
            // A page may wait for hours in a pause: what ends the run meanwhile is not kept waiting.
            let asked = {
                let answer = pin!(async {
                    if let Some(answer) = asked_before {
                        return Ok(answer);
                    }
                    match ahead.next(walk.current()).await {
                        Some(answer) => answer,
                        None => {
                            let asked_at = before.as_ref().map(|before| &before.url);
                            self.ctx.source.read_page(endpoint, walk.current(), asked_at, &reading).await
                        }
                    }
                });
                tokio::select! {
                    biased;
                    () = self.halt.cancelled() => return Err(Error::Stopped),
                    answer = waking(queue, patience.as_mut(), answer) => answer,
                }
            };
            let answer = asked.map_err(|source| page_error(&self.stream.name, number, source))?;
            let wrong = |source| Error::Walk { stream: self.stream.name.clone(), source };
            let page = match answer {
                Answer::Page(page) => *page,
                Answer::Empty if number == 1 => return Ok(walk.accept_nothing()),
                Answer::End if number > 1 => match walk.accept_end().map_err(wrong)? {
                    Step::End(end) => return Ok(end),
                    Step::More(_) => unreachable!("an end has no next page"),
                },
                Answer::Empty | Answer::End => {
                    return Err(Error::RuleOutOfPlace { stream: self.stream.name.clone(), page: number });
                }
            };
            page.compare(before.as_ref()).map_err(|source| page_error(&self.stream.name, number, source))?;
            let step = walk.accept(&page.facts).map_err(wrong)?;
            self.ctx.telemetry.tell(Event::PageRead {
                stream: self.stream.name.clone(),
                records: page.facts.records,
                bytes: page.bytes(),
            });
            bytes += page.bytes();
            let trace = page.trace().clone();
            self.queue_page(number, page, queue).await?;
            match step {
                Step::More(_) => {
                    let requests = self.ctx.job.source.limits.in_flight as usize;
                    ahead.ask(&walk, requests, |token| self.ctx.source.read_page_owned(endpoint, token, reading));
                    before = Some(trace);
                }
                Step::End(end) => return Ok(end),
            }
        }
    }

    /// A walk of a slice, before its first page. `floor` is where its records are known from.
    fn walk(&self, endpoint: &Endpoint, floor: Option<CursorValue>, proof: TotalProof) -> Walk {
        let proof = match (endpoint.total_proof(), proof) {
            (TotalProof::Waived, _) => TotalProof::Waived,
            (_, proof) => proof,
        };
        let mut walk = Walk::new(self.stream.paginator.clone(), proof);
        if let (Some(incremental), Some(floor)) = (&self.stream.incremental, floor)
            && incremental.order == FeedOrder::NewestFirst
        {
            walk.stop_at_known(incremental.kind.clone(), floor);
        }
        walk
    }

    /// Whether the source goes on behind the pages that an unfinished run left of a slice: it still takes the token of
    /// the next page, which is kept for the walk, and where pages are counted the first one is what it was.
    pub(super) async fn goes_on(
        &self,
        endpoint: &Endpoint,
        floor: Option<CursorValue>,
        resumed: &mut ResumedSlice,
    ) -> Result<bool, Error> {
        let mut walk = self.walk(endpoint, floor, TotalProof::Required);
        let first = walk.current().clone();
        let Ok(Step::More(token)) = walk_again(&mut walk, resumed) else { return Ok(false) };
        let (Some(first_mark), Some(last_mark)) = (resumed.marks.first(), resumed.marks.last()) else {
            return Ok(false);
        };
        let Some(before) = last_mark.trace.open() else { return Ok(false) };
        let wants = wants(self.stream);
        let reading = reading_of(self.stream, &wants);
        if matches!(self.stream.paginator, Paginator::Offset { .. } | Paginator::Page { .. }) {
            let answer = self.ctx.source.read_page(endpoint, &first, None, &reading).await;
            let is_same = |page: &Page| {
                (page.facts.fingerprint, page.facts.total) == (first_mark.facts.fingerprint, first_mark.facts.total)
            };
            match answer {
                Ok(Answer::Page(page)) if is_same(&page) => {}
                Err(error) if !error.is_of_answer() => return Err(page_error(&self.stream.name, 1, error)),
                Ok(_) | Err(_) => return Ok(false),
            }
        }
        match self.ctx.source.read_page(endpoint, &token, Some(&before.url), &reading).await {
            Ok(answer) => {
                resumed.next = Some(answer);
                Ok(true)
            }
            Err(error) if error.is_of_answer() => Ok(false),
            Err(error) => Err(page_error(&self.stream.name, walk.pages() + 1, error)),
        }
    }

    /// Hands a page over, in pieces where it is large.
    async fn queue_page(&self, number: u64, page: Page, queue: &PageQueue) -> Result<(), Error> {
        let wrong = |source| page_error(&self.stream.name, number, source);
        let mark = || Box::new(PageMark { facts: page.facts.clone(), trace: page.trace().to_keep() });
        let mut mark = self.keeping.is_on().then(mark);
        let mut pieces = page.pieces().map_err(wrong)?;
        let mut piece = pieces.next_piece().map_err(wrong)?;
        while let Some(records) = piece {
            piece = pieces.next_piece().map_err(wrong)?;
            let mark = if piece.is_none() { mark.take() } else { None };
            let is_taken = queue
                .push(QueuedPage { number, records, mark }, self.halt)
                .await
                .map_err(|source| Error::Spool { stream: self.stream.name.clone(), source })?;
            if !is_taken {
                return self.check_stopped().and(Err(Error::Stopped));
            }
        }
        Ok(())
    }

    fn check_budget(&self, pages: u64, bytes: u64, time: Duration) -> Result<(), Error> {
        let budget = &self.stream.budget;
        let over = |name, reached: String| Err(Error::Budget { stream: self.stream.name.clone(), name, reached });
        if pages >= budget.pages {
            return over("pages", format!("{pages} pages"));
        }
        if bytes > budget.bytes {
            return over("mib", format!("{} MiB of records", bytes / (1024 * 1024)));
        }
        if time > budget.time {
            return over("time", format!("{} s", time.as_secs()));
        }
        Ok(())
    }

    fn check_stopped(&self) -> Result<(), Error> {
        if self.ctx.cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        if self.halt.is_cancelled() {
            return Err(Error::Stopped);
        }
        Ok(())
    }
}

/// Waits for an answer. Where it takes long, the pages that came before it are worth waking the writer for: what became
/// rows is kept, and what waits here is lost with the process. `patience` is one timer for all pages: to be set to a later
/// time is one write in memory. The answer is pinned by the caller: moved in here it would take its room twice.
async fn waking<T>(queue: &PageQueue, mut patience: Pin<&mut Sleep>, mut answer: impl Future<Output = T> + Unpin) -> T {
    patience.as_mut().reset(Instant::now() + QUEUE_WAKE_AGE);
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        () = patience => queue.wake(),
    }
    answer.await
}

/// How the answers of a stream are read.
pub(super) fn reading_of<'a>(stream: &'a Stream, wants: &'a Wants) -> PageReading<'a> {
    PageReading { at: &stream.records, wants, rules: &stream.rules, format: &stream.format, packing: stream.packing }
}

/// Takes a walk through pages that were read before, and says what comes behind them.
fn walk_again(walk: &mut Walk, resumed: &ResumedSlice) -> Result<Step, crate::paging::walk::Error> {
    let mut step = Step::More(walk.current().clone());
    for mark in &resumed.marks {
        step = walk.accept(&mark.facts)?;
    }
    match (step, resumed.end) {
        // A rule of the job ended it, which no page shows.
        (Step::More(_), Some(_)) if resumed.marks.is_empty() => Ok(Step::End(walk.accept_nothing())),
        (Step::More(_), Some(_)) => walk.accept_end(),
        (step, _) => Ok(step),
    }
}

/// What answers of a stream are looked into for.
pub(super) fn wants(stream: &Stream) -> Wants {
    let mut wants = stream.paginator.wants();
    if let Some(incremental) = &stream.incremental
        && incremental.order == FeedOrder::NewestFirst
    {
        wants.last_value = Some(incremental.field.clone());
    }
    wants
}

/// Pages that were asked for before their turn. What the walk then wants counts: a guess that was wrong is thrown away,
/// and from then on pages are asked for in turn.
struct Ahead<F: Future> {
    /// Absent = nobody has guessed yet.
    planned: Option<VecDeque<PageToken>>,
    tokens: VecDeque<PageToken>,
    answers: FuturesOrdered<F>,
}

impl<F: Future<Output = Result<Answer, crate::source::Error>>> Ahead<F> {
    fn new() -> Self {
        Ahead { planned: None, tokens: VecDeque::new(), answers: FuturesOrdered::new() }
    }

    /// The answer for this page if it was asked for.
    async fn next(&mut self, wanted: &PageToken) -> Option<F::Output> {
        if self.tokens.pop_front().as_ref() == Some(wanted) {
            return self.answers.next().await;
        }
        if self.planned.as_ref().is_some_and(|planned| !planned.is_empty() || !self.answers.is_empty()) {
            self.planned = Some(VecDeque::new());
            self.tokens.clear();
            self.answers = FuturesOrdered::new();
        }
        None
    }

    /// Keeps as many requests on their way as there may be.
    fn ask(&mut self, walk: &Walk, requests_max: usize, mut ask: impl FnMut(PageToken) -> F) {
        let planned = self.planned.get_or_insert_with(|| {
            let ahead = walk.tokens_ahead();
            if ahead.is_empty() {
                VecDeque::new()
            } else {
                std::iter::once(walk.current().clone()).chain(ahead).collect()
            }
        });
        while self.tokens.len() < requests_max {
            let Some(token) = planned.pop_front() else { break };
            self.answers.push_back(ask(token.clone()));
            self.tokens.push_back(token);
        }
    }
}

pub(super) fn page_error(stream: &str, page: u64, source: crate::source::Error) -> Error {
    match source {
        crate::source::Error::Http(crate::http::Error::Interrupted)
        | crate::source::Error::GaveUp { source: crate::http::Error::Interrupted, .. } => Error::Interrupted,
        source => Error::Page { stream: stream.to_owned(), page, source },
    }
}
