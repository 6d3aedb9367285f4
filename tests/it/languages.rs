//! Readers in other languages: the snippets of the manual, as people copy them, on real servers.
//!
//! A reader is a process of its own, which obeys a line at a time (`languages/reader.*`). Where an interpreter or its
//! packages are not to be had, its tests pass, and say so on standard error.

mod cases;
pub(crate) mod installed;
mod reader;
mod writes;

use installed::Language;

macro_rules! tests {
    ($language:ident: $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            super::cases::$case(super::Language::$language).await;
        }
    )*};
}

macro_rules! readers {
    ($($module:ident: $language:ident $(and $more:ident)*;)*) => {$(
        mod $module {
            tests! { $language:
                a_value_that_is_there_is_read_and_counted
                what_is_missing_is_asked_for_and_brought_while_the_reader_waits
                what_is_known_not_to_be_there_ends_the_waiting
                what_is_no_longer_fresh_is_served_and_said_to_be_stale
                fifty_readers_at_once_cost_one_load
                many_are_read_at_once
                keys_are_made_as_workers_make_them
                what_a_transaction_invalidated_is_missing_once_the_cache_is_told
                the_application_loads_by_itself_where_nobody_brings_a_value
                the_application_loads_by_itself_while_redis_is_away
                a_script_that_redis_forgot_is_sent_again
                $($more)*
            }
        }
    )*};
}

readers! {
    python: Python and packed_values_are_read_with_their_dictionary;
    python_with_asyncio: Asyncio and packed_values_are_read_with_their_dictionary;
    node: Node and packed_values_are_read_with_their_dictionary;
    node_with_redis_4: NodeWithRedis4;
    ruby: Ruby;
}
