//! A few rounds of each case of `make faults`, which brings about many more of them.

use brasa_tests::faults::{a_few_rounds_of, find};

#[test]
fn workers_that_are_killed_lose_no_job() {
    a_few_rounds_of("kill");
}

#[test]
fn jobs_that_take_their_process_down_harm_nobody_else() {
    a_few_rounds_of("poison");
}

#[test]
fn workers_that_stood_still_have_no_say_and_live_on() {
    a_few_rounds_of("stop");
}

#[test]
fn jobs_that_are_handed_over_outlive_whoever_they_are_handed_to() {
    a_few_rounds_of("hand");
}

#[test]
fn workers_that_are_asked_to_end_burn_no_attempt() {
    a_few_rounds_of("drain");
}

#[test]
fn jobs_and_workers_outlive_a_redis_that_is_killed() {
    a_few_rounds_of("restart");
}

#[test]
fn a_bad_network_loses_no_job_and_doubles_none() {
    a_few_rounds_of("proxy");
}

#[test]
fn what_came_through_the_outbox_outlives_a_redis_that_forgets() {
    a_few_rounds_of("cut");
}

#[test]
fn rows_of_the_outbox_outlive_workers_that_are_killed_while_they_relay() {
    a_few_rounds_of("outbox");
}

#[test]
fn a_full_redis_loses_no_lease_and_takes_again_once_there_is_room() {
    a_few_rounds_of("memory");
}

#[test]
fn whatever_redis_answers_is_waited_out() {
    a_few_rounds_of("weather");
}

#[test]
fn thousands_of_jobs_that_become_due_at_once_hold_nobody_up() {
    a_few_rounds_of("due");
}

#[test]
fn a_worker_may_die_at_any_write() {
    a_few_rounds_of("writes");
}

#[test]
fn what_an_old_build_does_not_know_waits_for_a_new_one() {
    a_few_rounds_of("skew");
}

#[test]
fn handlers_that_block_every_thread_lose_no_lease() {
    a_few_rounds_of("block");
}

#[test]
fn random_operations_leave_the_queue_as_its_model_says() {
    a_few_rounds_of("model");
}

#[test]
fn a_case_that_nobody_knows_is_answered_with_those_that_there_are() {
    let unknown = find("nope").unwrap_err();

    assert!(unknown.contains("no case `nope`") && unknown.contains("\n  kill "), "{unknown}");
}

#[test]
fn no_value_stays_stale_whatever_writers_a_replica_and_redis_do() {
    a_few_rounds_of("fresh");
}

#[test]
fn warmers_that_are_killed_leave_no_stale_value_and_no_lease_beyond_its_time() {
    a_few_rounds_of("warmer");
}

#[test]
fn workers_that_are_killed_in_a_storm_of_changes_leave_every_aggregate_exact() {
    a_few_rounds_of("storm");
}

#[test]
fn rows_that_are_handed_over_are_written_once_whoever_is_killed() {
    a_few_rounds_of("flush");
}

#[test]
fn rebuilds_that_are_interrupted_leave_nothing_invalid_and_take_nothing_else_away() {
    a_few_rounds_of("rebuild");
}

#[test]
fn a_change_of_a_table_does_not_wait_for_a_rebuild() {
    a_few_rounds_of("yield");
}

#[test]
fn whoever_builds_an_index_beside_us_never_loses_it() {
    a_few_rounds_of("neighbour");
}

#[test]
fn upserts_never_fail_because_their_index_is_rebuilt() {
    a_few_rounds_of("upsert");
}
