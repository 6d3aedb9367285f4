//! Every metric, one line each: its help text, its name, its labels. Nothing else in the workspace can
//! emit one. Labels are closed sets (kinds, queues, verdicts), never ids.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, the upper bounds of what histograms tell apart; from a read of the cache to a job that takes an hour.
pub const SECONDS: &[f64] = &[
    0.000_25, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
    3_600.0,
];

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often something was how large.
    Histogram,
}

impl Kind {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What is known of a metric before it has a value.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// As it is asked for.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in a sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($prefix:literal: $($(#[doc = $help:literal])+ $kind:ident $name:ident [$($label:ident),*];)*) => {
        $(
            $(#[doc = $help])+
            pub fn $name($($label: &str),*) -> metrics!(@type $kind) {
                metrics!(@make $kind, concat!($prefix, stringify!($name)) $(, stringify!($label) => $label.to_owned())*)
            }
        )*

        /// All that are declared here.
        pub(super) const DECLARED: &[$crate::telemetry::metrics::Declared] = &[
            $($crate::telemetry::metrics::Declared {
                name: concat!($prefix, stringify!($name)),
                kind: metrics!(@kind $kind),
                labels: &[$(stringify!($label)),*],
                help: concat!($($help),+).trim_ascii(),
            },)*
        ];
    };
    (@type counter) => { ::metrics::Counter };
    (@type gauge) => { ::metrics::Gauge };
    (@type histogram) => { ::metrics::Histogram };
    (@kind counter) => { $crate::telemetry::metrics::Kind::Counter };
    (@kind gauge) => { $crate::telemetry::metrics::Kind::Gauge };
    (@kind histogram) => { $crate::telemetry::metrics::Kind::Histogram };
    (@make counter, $($rest:tt)*) => { ::metrics::counter!($($rest)*) };
    (@make gauge, $($rest:tt)*) => { ::metrics::gauge!($($rest)*) };
    (@make histogram, $($rest:tt)*) => { ::metrics::histogram!($($rest)*) };
}

metrics! { "brasa_":
    /// Jobs that this worker claimed.
    counter jobs_claimed_total [queue];
    /// Jobs that left this worker, by verdict: done, retried, snoozed, dead, cancelled, expired, returned (handed back when the
    /// worker ended) or lost.
    counter jobs_finished_total [kind, verdict];
    /// Time from a claim to its verdict, in seconds.
    histogram job_duration_seconds [kind];
    /// Time from when a job could start to when it did, in seconds; first attempts.
    histogram job_wait_seconds [queue];
    /// Jobs that run in this process.
    gauge jobs_running [];
    /// Jobs of a queue in a state: waiting (the inbox and what a limit keeps back, too), delayed, running, done or dead.
    gauge queue_jobs [queue, state];
    /// Jobs of a queue that a worker could take now: those that wait, but for those that a limit keeps back; none while the
    /// queue is paused.
    gauge queue_ready_jobs [queue];
    /// Age of the oldest waiting job of a queue, in seconds.
    gauge queue_oldest_seconds [queue];
    /// Jobs taken back from workers that did not renew their lease.
    counter jobs_reclaimed_total [queue];
    /// Jobs put into the dead letter because their worker died too often.
    counter jobs_quarantined_total [queue];
    /// Jobs put into the dead letter because the seal of their arguments did not open, or was missing.
    counter jobs_unopened_total [queue];
    /// Leases that this worker lost while a job was running.
    counter leases_lost_total [];
    /// Faults of Redis that a loop of this process met and outlived, by where: claim, settle, renew, housekeep, inbox, outbox,
    /// schedule, cache, boards or alerts.
    counter redis_faults_total [at];
    /// Ticks judged by this scheduler, by verdict: fired, overlap, late or paused.
    counter ticks_total [schedule, verdict];
    /// For how long somebody has paused a schedule while everything runs, in seconds; 0 while nobody has. Told by the
    /// scheduler that leads.
    gauge schedule_paused_seconds [schedule];
    /// 1 while this scheduler leads.
    gauge scheduler_leading [];
    /// Cache keys written by warming.
    counter warm_keys_total [warmer];
    /// Bytes of values written by warming.
    counter warm_bytes_total [warmer];
    /// Time that one batch of a warmer's loader took in the database, in seconds.
    histogram warm_load_seconds [warmer];
    /// Values that were loaded, by what Redis said: filled, none, capped, released, lease, epoch or behind.
    counter cache_fills_total [warmer, verdict];
    /// Values that a warmer has, by state: warm (kept so), once (until they end) or none (known not to be there).
    gauge cache_entries [warmer, state];
    /// Values that readers asked for and nobody has taken yet.
    gauge cache_asked [warmer];
    /// For how long the value that is due first has been due, in seconds.
    gauge cache_refresh_lag_seconds [warmer];
    /// Reads that found something, as readers have counted them, of all processes.
    counter cache_hits_total [warmer];
    /// Reads that found nothing, by why: cold, expired, evicted, invalidated or refused; of all processes.
    counter cache_misses_total [warmer, why];
    /// Calls of a loader that failed.
    counter cache_load_failures_total [warmer];
    /// What readers asked for with a key that its parameters do not make.
    counter cache_asks_refused_total [warmer];
    /// Values that were taken away because something changed what they are made of.
    counter cache_invalidated_total [warmer];
    /// Changes of tables that were told to the cache.
    counter cache_changes_total [];
    /// Time from when a change was written down, before its commit, to when the cache knew, in seconds.
    histogram cache_invalidation_lag_seconds [];
    /// How many loaders may run at once; below 1, which share of its time one may.
    gauge cache_budget_window [];
    /// How often the budget was halved, by the last reason: slow, failed, `pool_wait`, `replica_lag` or others.
    counter cache_budget_halvings_total [why];
    /// Reads of cached values, by what they found: fresh, stale or none; or why there was nothing: cold, expired,
    /// evicted, invalidated or refused.
    counter cache_reads_total [warmer, state];
    /// Those of them that were served from this process.
    counter cache_l1_reads_total [warmer];
    /// Time that reading cached values took where Redis was asked, in seconds.
    histogram cache_read_seconds [warmer];
    /// Rows of the log of what changed that were moved into an aggregate.
    counter aggregate_rows_total [aggregate];
    /// Rows that came for buckets of an aggregate that stay as they are.
    counter aggregate_late_total [aggregate];
    /// Time that moving changes into an aggregate took, in seconds.
    histogram aggregate_fold_seconds [aggregate];
    /// For how long the oldest change has been waiting to be moved into an aggregate, in seconds.
    gauge aggregate_lag_seconds [aggregate];
    /// Keys of an aggregate that were published.
    counter aggregate_published_total [aggregate];
    /// Groups of an aggregate that were not what the source says when they were compared last.
    gauge aggregate_wrong_groups [aggregate];
    /// Rows that had expired and were deleted.
    counter pruned_rows_total [prune];
    /// Rows that were handed over and are written.
    counter write_rows_total [write];
    /// Rows that were handed over and could not be written.
    counter write_dead_total [write];
    /// Rows that came again, of producers that number them, and were not written again.
    counter write_doubled_total [write];
    /// Time that writing a batch of rows took, in seconds.
    histogram write_flush_seconds [write];
    /// Calls of endpoints, by how they ended: 2xx, 3xx, 4xx, 5xx, or without an answer: timeout, unreachable or refused.
    counter http_calls_total [endpoint, status];
    /// Time that calls of endpoints took, in seconds.
    histogram http_call_seconds [endpoint];
    /// Reads that waited for a value, by whether it came in time: served or late.
    counter cache_waits_total [warmer, verdict];
    /// Reads that went past the cache, by verdict: loaded, shared, crowded or failed.
    counter cache_direct_total [warmer, verdict];
    /// Values that are kept in this process.
    gauge cache_l1_entries [];
    /// Tables by what came of an ANALYZE: analyzed or skipped.
    counter tables_analyzed_total [verdict];
    /// Tables by what came of a VACUUM: vacuumed or skipped.
    counter tables_vacuumed_total [verdict];
    /// Indexes by what came of a rebuild: done, `put_off`, failed, or left, where something of it could not be taken away yet.
    counter indexes_rebuilt_total [verdict];
    /// Bytes that rebuilds of indexes gave back.
    counter reindex_regained_bytes_total [];
    /// Rows of the outbox in a state: waiting or refused.
    gauge outbox_rows [state];
    /// Recommendations about the database that are open, by severity: critical, warning or info.
    gauge care_recommendations [severity];
    /// Rows of the outbox that this worker pushed into Redis.
    counter outbox_relayed_total [];
    /// Time from when a row was put into the outbox to when it was in Redis, in seconds.
    histogram outbox_relay_lag_seconds [];
    /// Rows of the outbox that this worker looked after, by verdict: ended, or lost and pushed again.
    counter outbox_reconciled_total [verdict];
    /// Ends of jobs that are written down in the history.
    counter history_rows_total [queue];
    /// Ends of jobs that are not in the history, by why: dropped (Postgres was away for too long), refused or untimely.
    counter history_lost_total [queue, why];
    /// Requests to the dashboard and the API, by class (page or api) and status.
    counter web_requests_total [class, status];
    /// Time from the head of a request to that of its answer, in seconds, by class (page or api).
    histogram web_request_seconds [class];
    /// Messages about what is wrong that were sent, by verdict: sent, or failed after all attempts.
    counter alerts_sent_total [verdict];
    /// What is wrong now, of what `[alerts]` watches over; told by the scheduler that leads.
    gauge alerts_firing [];
    /// Spans of traces, by what became of them: sent, or dropped, because too many waited or the collector did not take them.
    counter trace_spans_total [verdict];
    /// 1, with the version of this build.
    gauge build_info [version];
    /// Which share of its time the machine's processors were busy since the last look, from 0 to 1.
    gauge host_cpu_share [];
    /// Which share of the memory is in use, of the machine or of the container's limit, whichever is more; from 0 to 1.
    gauge host_memory_share [];
    /// Which share of a file system is in use, by whose: own (the working directory), and redis and postgres where they
    /// are on this machine and say where their data is; from 0 to 1.
    gauge host_disk_share [of];
    /// Connections to Postgres of a pool of this process, by state: `in_use`, idle, or max, which is how many there may be.
    gauge database_pool_connections [pool, state];
    /// For how long whoever wants a connection of a pool has to wait now, in seconds; 0 where one is free, 1 where it is
    /// longer.
    gauge database_pool_wait_seconds [pool];
    /// 1 while Redis answers this process.
    gauge redis_up [];
    /// Bytes that Redis uses.
    gauge redis_memory_bytes [];
    /// Bytes that Redis may use; 0 where it has no limit of its own.
    gauge redis_memory_max_bytes [];
    /// Connections that Redis has.
    gauge redis_clients [];
    /// Keys that Redis evicted to make room.
    counter redis_evicted_keys_total [];
    /// Connections that Redis did not take, because it has as many as it may.
    counter redis_rejected_connections_total [];
}

/// What every program of Prometheus' world tells about itself, by the names that it has there.
pub mod process {
    metrics! { "process_":
        /// Time of processors that this process has used, in whole seconds.
        counter cpu_seconds_total [];
        /// Bytes of memory that this process holds.
        gauge resident_memory_bytes [];
        /// Files and connections that this process has open.
        gauge open_fds [];
        /// How many it may have open.
        gauge max_fds [];
        /// When this process began, in seconds since 1970.
        gauge start_time_seconds [];
        /// Threads of this process.
        gauge threads [];
    }
}

/// All metrics that there can be.
pub fn declared() -> impl Iterator<Item = &'static Declared> {
    DECLARED.iter().chain(process::DECLARED)
}

/// Tells the recorder what each means.
fn describe() {
    for metric in declared() {
        match metric.kind {
            Kind::Counter => ::metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => ::metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => ::metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

/// Starts to record metrics in this process and returns what renders them.
///
/// # Errors
/// A recorder is there already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?;
    let handle = builder.install_recorder()?;
    describe();
    Ok(handle)
}

/// Folds what was recorded, so that histograms do not grow while nobody scrapes. Runs for ever.
pub async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        handle.run_upkeep();
    }
}
