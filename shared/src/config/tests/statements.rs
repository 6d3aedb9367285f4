//! Statements that would leave something behind on the connection, which the next job gets.

use super::{assert_problems, parse};

#[test]
fn statements_about_the_session_are_refused() {
    let refused = |sql: &str, message: &str, help: &str| {
        let text = format!("[sql.x]\nsql = \"{sql}\"");
        assert_problems(&text, &[(2, "sql.x.sql", message, help)]);
    };
    refused("begin", "`begin` changes the connection", "a transaction of its own");
    refused(
        "select f(), PG_Try_Advisory_Lock(7)",
        "`pg_try_advisory_lock` locks for the connection",
        "`pg_try_advisory_xact_lock`",
    );
}

#[test]
fn a_statement_that_only_speaks_of_locks_is_fine() {
    for sql in
        ["select 'pg_advisory_lock(1)'", "select 1 -- pg_advisory_lock", "select pg_advisory_xact_lock(1)"]
    {
        parse(&format!("[sql.x]\nsql = \"{sql}\"\n")).unwrap();
    }
}
