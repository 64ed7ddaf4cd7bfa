//! What Prometheus reads. Labels are names of jobs and closed sets of words.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus::core::Collector;
use prometheus::proto::MetricType;
use prometheus::{Encoder, GaugeVec, Opts, Registry, TEXT_FORMAT, TextEncoder};

use super::Site;
use super::view::{Problem, TheSite};
use crate::clock::Clock;
use crate::daemon::board::Seat;
use crate::engine::issuer_of;
use crate::store::Store;

/// One family: its name, what it means, whether it only grows, and its value for a job; `None` = there is none.
type Family = (&'static str, &'static str, Kind, fn(&Seat, f64) -> Option<f64>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}

const FAMILIES: [Family; 17] = [
    (
        "haul_job_last_success_timestamp_seconds",
        "When the last run that succeeded was over.",
        Kind::Gauge,
        |seat, _| seat.last_success.map(|at| at.timestamp_millis() as f64 / 1000.0),
    ),
    (
        "haul_job_last_success_age_seconds",
        "Time since the last run that succeeded was over.",
        Kind::Gauge,
        |seat, now| seat.last_success.map(|at| now - at.timestamp_millis() as f64 / 1000.0),
    ),
    ("haul_job_last_run_rows", "Rows of all tables of the last run.", Kind::Gauge, |seat, _| {
        let run = seat.last_run()?.run.as_ref()?;
        Some(run.tables.values().map(|table| table.rows).sum::<u64>() as f64)
    }),
    ("haul_job_last_run_duration_seconds", "How long the last run took.", Kind::Gauge, |seat, _| {
        Some(seat.last_run()?.run.as_ref()?.seconds)
    }),
    ("haul_job_failing", "Whether the last run failed (1) or not (0).", Kind::Gauge, |seat, _| {
        Some(f64::from(u8::from(seat.health() == crate::daemon::board::Health::Failing)))
    }),
    (
        "haul_job_refresh_failing",
        "Whether the last refresh in Power BI went wrong (1) or not (0).",
        Kind::Gauge,
        |seat, _| {
            let mut runs = seat.entries.iter().filter_map(|entry| entry.run.as_ref());
            let refreshes = &runs.find(|run| !run.powerbi.is_empty())?.powerbi;
            Some(f64::from(u8::from(refreshes.iter().any(|refresh| refresh.outcome.is_trouble()))))
        },
    ),
    ("haul_job_paused", "Whether the job is paused (1) or not (0).", Kind::Gauge, |seat, _| {
        Some(f64::from(u8::from(seat.paused.is_some())))
    }),
    ("haul_job_running", "Whether a run is going on in this process (1) or not (0).", Kind::Gauge, |seat, _| {
        Some(f64::from(u8::from(seat.going.is_some())))
    }),
    ("haul_job_next_run_timestamp_seconds", "When the next run begins.", Kind::Gauge, |seat, _| {
        seat.next.map(|(_, starts_at)| starts_at.timestamp() as f64)
    }),
    ("haul_records_total", "Records read from sources by this process.", Kind::Counter, |seat, _| {
        Some(seat.totals.records as f64)
    }),
    ("haul_pages_total", "Pages read from sources by this process.", Kind::Counter, |seat, _| {
        Some(seat.totals.pages as f64)
    }),
    ("haul_answer_bytes_total", "Bytes of pages after decompression.", Kind::Counter, |seat, _| {
        Some(seat.totals.bytes as f64)
    }),
    ("haul_http_attempts_total", "Requests sent to sources, every attempt counted.", Kind::Counter, |seat, _| {
        Some(seat.totals.attempts as f64)
    }),
    ("haul_http_retries_total", "Attempts that were repeated.", Kind::Counter, |seat, _| {
        Some(seat.totals.retries as f64)
    }),
    (
        "haul_quota_wait_seconds_total",
        "Time in which nothing was sent because of a quota.",
        Kind::Counter,
        |seat, _| Some(seat.totals.paused_seconds as f64),
    ),
    ("haul_token_refreshes_total", "Tokens bought from authorization servers.", Kind::Counter, |seat, _| {
        Some(seat.totals.refreshes as f64)
    }),
    ("haul_run_duration_seconds_total", "Time spent in runs.", Kind::Counter, |seat, _| Some(seat.totals.run_seconds)),
];

pub(super) async fn page(State(site): TheSite) -> Result<Response, Problem> {
    let text = gather(&site).await.map_err(|error| Problem::failed(&error))?;
    Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}

async fn gather(site: &Site) -> Result<Vec<u8>, prometheus::Error> {
    let now = Clock.now();
    let seats = site.web.board.seats();
    let registry = Registry::new();
    let mut counters: Vec<&'static str> = Vec::new();
    let gauge = |name: &str, help: &str, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
    for (name, help, kind, value) in FAMILIES {
        let family = gauge(name, help, &["job"])?;
        for seat in &seats {
            if let Some(value) = value(seat, now.timestamp_millis() as f64 / 1000.0) {
                family.with_label_values(&[&seat.job.name]).set(value);
            }
        }
        if kind == Kind::Counter {
            counters.push(name);
        }
        register(&registry, family)?;
    }
    let slots = gauge("haul_slots_total", "Slots and runs by outcome.", &["job", "outcome"])?;
    for seat in &seats {
        for (outcome, count) in &seat.totals.outcomes {
            slots.with_label_values(&[seat.job.name.as_str(), outcome]).set(*count as f64);
        }
    }
    counters.push("haul_slots_total");
    register(&registry, slots)?;
    let build = gauge("haul_build_info", "Version of haul.", &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    register(&registry, build)?;
    let jobs = gauge("haul_jobs", "Jobs that are kept.", &[])?;
    jobs.with_label_values::<&str>(&[]).set(seats.len() as f64);
    register(&registry, jobs)?;
    let broken = gauge("haul_broken_job_files", "Files of the folder that are no jobs.", &[])?;
    broken.with_label_values::<&str>(&[]).set(site.web.board.broken().len() as f64);
    register(&registry, broken)?;
    let started = gauge("haul_start_timestamp_seconds", "When the daemon began.", &[])?;
    started.with_label_values::<&str>(&[]).set(site.web.board.started_at.timestamp() as f64);
    register(&registry, started)?;
    expiries(site, &seats, &registry).await?;
    let mut families = registry.gather();
    for family in &mut families {
        // The sums are kept on the board; the library's own counters cannot be set.
        if counters.contains(&family.name()) {
            let metrics = family.take_metric().into_iter().map(|mut metric| {
                let mut counter = prometheus::proto::Counter::default();
                counter.set_value(metric.get_gauge().get_value());
                metric.set_counter(counter);
                metric
            });
            let metrics = metrics.collect();
            family.set_metric(metrics);
            family.set_field_type(MetricType::COUNTER);
        }
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(text)
}

fn register(registry: &Registry, family: impl Collector + 'static) -> Result<(), prometheus::Error> {
    registry.register(Box::new(family))
}

/// When credentials and shares end. What is not known has no sample.
async fn expiries(site: &Site, seats: &[Seat], registry: &Registry) -> Result<(), prometheus::Error> {
    let family = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &["job"]);
    let refresh = family(
        "haul_credential_refresh_token_expiry_timestamp_seconds",
        "When the refresh token is void unless it is used before.",
    )?;
    let access = family("haul_credential_access_token_expiry_timestamp_seconds", "When the access token expires.")?;
    let login = family("haul_credential_login_needed", "Whether a person must log in (1) or not (0).")?;
    let share = family(
        "haul_share_expiry_timestamp_seconds",
        "When the first share of the container ends, or the SAS with which haul writes.",
    )?;
    let vault = site.vault().await.ok();
    let stores: Vec<Option<&Store>> = seats.iter().map(|seat| seat.store.as_deref().ok()).collect();
    let ends = site.shares.first_ends(&stores).await;
    for ((seat, store), end) in seats.iter().zip(stores).zip(ends) {
        let label = [seat.job.name.as_str()];
        let own = store.and_then(Store::share_until);
        if let Some(until) = own.into_iter().chain(end).min() {
            share.with_label_values(&label).set(until.timestamp() as f64);
        }
        let (Some(vault), Ok(Some(issuer))) = (vault, issuer_of(&seat.job)) else { continue };
        let Ok(summary) = vault.summary(&issuer).await else { continue };
        let is_needed = match &summary {
            Some(summary) => summary.state == crate::auth::CredentialState::Reauth,
            None => issuer.needs_login(),
        };
        login.with_label_values(&label).set(f64::from(u8::from(is_needed)));
        let Some(summary) = summary else { continue };
        if let Some(at) = summary.refresh_token_void_at {
            refresh.with_label_values(&label).set(at.timestamp() as f64);
        }
        if let Some(at) = summary.expires_at {
            access.with_label_values(&label).set(at.timestamp() as f64);
        }
    }
    for family in [refresh, access, login, share] {
        register(registry, family)?;
    }
    Ok(())
}
