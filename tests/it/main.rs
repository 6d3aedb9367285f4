//! The integration suite: one binary, a world per test, real servers.
//!
//! Run it through `make test`, which starts the servers. A module is a subject, a test's name says what is
//! true of it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails, and says where; clippy's allowance for tests does not reach their helpers"
)]

mod aggregating;
mod alerting;
mod alerts;
mod api;
mod bad_input;
mod batches;
mod bloat;
mod browsing;
mod budgets;
mod cache_cli;
mod caching;
mod cancelling;
mod changes;
mod claiming;
mod cli;
mod crashes;
mod crontab_oracle;
mod damaged;
mod dashboard;
mod dashboards;
mod deadlines;
mod deploying;
mod doctor;
mod doors;
mod draining;
mod encrypting;
mod enqueuing;
mod explaining;
mod expressions;
mod faults;
mod faults_suite;
mod flows;
mod guarding;
mod handing_over;
mod history;
mod holding;
mod http;
mod inbox;
mod kinds;
mod languages;
mod leases;
mod limits;
mod manual;
mod memory;
mod migrations;
mod misused;
mod modelled;
mod notes;
mod observing;
mod outages;
mod outbox;
mod overview;
mod owning;
mod pausing;
mod priorities;
mod pruning;
mod rates;
mod reading;
mod ready;
mod rebuilding;
mod replacing;
mod retention;
mod retries;
mod reviewing;
mod running;
mod schedule_changes;
mod schedule_pausing;
mod scheduling;
mod searching;
mod securing;
mod serving;
mod settling;
mod sharing;
mod suspects;
mod testing;
mod ticking;
mod tidy;
mod together;
mod traces;
mod uniqueness;
mod vitals;
mod waiting_for_ends;
mod writing;
