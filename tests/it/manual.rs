//! The manual does what it says: every command of every page is run, in the page's order, against the built binary and
//! servers of its own.
//!
//! A page is read as a person reads it (`page.rs`), its commands are typed into one shell (`terminal.rs`), and what the
//! page shows of their output is compared with it (`shown.rs`). What stands there before the page begins is its scene:
//! `scenes/PAGE.sh`, a script with remarks for the test (`scene.rs`). What cannot be run is in `left_out.rs`, with the
//! reason.

mod left_out;
mod page;
mod parsed;
mod performed;
mod scene;
mod shell;
mod shown;
mod stage;
mod terminal;

macro_rules! pages {
    ($($name:ident: $path:literal;)*) => {
        /// The pages that a test below performs.
        const PERFORMED: &[&str] = &[$($path),*];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                performed::perform($path).await;
            }
        )*
    };
}

pages! {
    commands_do_what_the_page_says: "docs/cli.md";
    the_first_page_does_what_it_says: "README.md";
    aggregates_do_what_the_page_says: "docs/aggregates.md";
    alerting_does_what_the_page_says: "docs/alerting.md";
    alerts_are_looked_into_as_the_page_says: "docs/alerts.md";
    the_api_does_what_the_page_says: "docs/api.md";
    the_cache_does_what_the_page_says: "docs/cache.md";
    the_configuration_is_what_the_page_says: "docs/configuration.md";
    the_dashboard_does_what_the_page_says: "docs/dashboard.md";
    the_database_is_cared_for_as_the_page_says: "docs/database.md";
    jobs_are_sealed_as_the_page_says: "docs/encryption.md";
    history_does_what_the_page_says: "docs/history.md";
    jobs_do_what_the_page_says: "docs/jobs.md";
    metrics_are_told_as_the_page_says: "docs/metrics.md";
    others_are_left_as_the_page_says: "docs/migrating.md";
    operations_are_what_the_page_says: "docs/operations.md";
    the_outbox_does_what_the_page_says: "docs/outbox.md";
    production_is_what_the_page_says: "docs/production.md";
    one_starts_with_express_as_the_page_says: "docs/quickstart-express.md";
    one_starts_with_fastapi_as_the_page_says: "docs/quickstart-fastapi.md";
    one_starts_with_rails_as_the_page_says: "docs/quickstart-rails.md";
    schedules_do_what_the_page_says: "docs/schedules.md";
    the_wire_is_what_the_page_says: "docs/wire-format.md";
    writes_do_what_the_page_says: "docs/writes.md";
}
