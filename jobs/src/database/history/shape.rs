//! What the figures of statements say about how they are used.

use super::facts::StatementUse;

/// Slower than this in the mean, and called so often at least, a statement is slow.
const SLOW_MS: f64 = 100.0;
const SLOW_CALLS: i64 = 20;
/// Nor may it take more than this share of the time of all.
const SLOW_SHARE: f64 = 0.10;
/// Less often, nothing is chatty.
const CHATTY_CALLS: i64 = 1_000;
/// So many times as often as whatever else.
const CHATTY_FACTOR: i64 = 20;
/// How close the rows of one statement must come to the calls of another to be what calls it.
const PARENT_NEAR: f64 = 0.2;
/// So many blocks for each call are a spill that matters: one in ten calls wrote some, at least.
const SPILL_PER_CALL: f64 = 0.1;

/// What stands out about a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// A call takes 100 ms and more (with 20 calls and more), or all of them a tenth of the time of all statements.
    Slow,
    /// It became slower than is usual for it.
    Regressed,
    /// It fetches one row of one table by a key (`where` with `=`, at most one row a call), at least 1,000 times, and
    /// either 20 times as often as any statement on another table, or once for each row that another one returned,
    /// which ran 20 times less often: the shape of N+1.
    Chatty,
    /// It writes temporary files: in one of ten calls, at least.
    Spills,
}

impl Flag {
    /// As it is written in tables and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Regressed => "regressed",
            Self::Chatty => "chatty",
            Self::Spills => "spills",
        }
    }
}

/// What stands out about each statement, in their order.
pub fn flags(statements: &[StatementUse]) -> Vec<Vec<Flag>> {
    let tables: Vec<Option<String>> = statements.iter().map(|statement| table(&statement.text)).collect();
    let judge = |(place, one): (usize, &StatementUse)| {
        let is_slow = one.mean_ms >= SLOW_MS && one.calls >= SLOW_CALLS || one.share >= SLOW_SHARE;
        #[expect(clippy::cast_precision_loss, reason = "a share needs no exact figures")]
        let spills = one.temp > 0 && one.temp as f64 >= SPILL_PER_CALL * one.calls as f64;
        let found = [
            (is_slow, Flag::Slow),
            (one.is_regressed, Flag::Regressed),
            (is_chatty(statements, &tables, place), Flag::Chatty),
            (spills, Flag::Spills),
        ];
        found.into_iter().filter_map(|(holds, flag)| holds.then_some(flag)).collect()
    };
    statements.iter().enumerate().map(judge).collect()
}

fn is_chatty(statements: &[StatementUse], tables: &[Option<String>], place: usize) -> bool {
    let one = &statements[place];
    let Some(table) = &tables[place] else { return false };
    if one.calls < CHATTY_CALLS || one.rows > one.calls || !is_by_key(&one.text) {
        return false;
    }
    let others = statements.iter().zip(tables);
    let others: Vec<&StatementUse> =
        others.filter_map(|(other, on)| (on.as_ref()? != table).then_some(other)).collect();
    let is_rare = |other: &StatementUse| other.calls.saturating_mul(CHATTY_FACTOR) <= one.calls;
    // Where there is nothing else, there is nothing that it is out of proportion to.
    let stands_alone = !others.is_empty() && others.iter().all(|other| is_rare(other));
    #[expect(clippy::cast_precision_loss, reason = "what is near needs no exact figures")]
    let is_near = |rows: i64| (rows as f64 - one.calls as f64).abs() <= PARENT_NEAR * one.calls as f64;
    stands_alone || others.iter().any(|other| other.calls > 0 && is_rare(other) && is_near(other.rows))
}

/// The table that a statement is about: the first that it names; none of one that is no query.
fn table(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let mut words = lower.split([' ', '(', ',', ')']).filter(|word| !word.is_empty());
    let lead = match words.next()? {
        "update" => return words.next().map(ToOwned::to_owned),
        "insert" => "into",
        "select" | "delete" | "with" => "from",
        _ => return None,
    };
    words.by_ref().find(|word| *word == lead)?;
    words.find(|word| *word != "only").map(ToOwned::to_owned)
}

/// Whether it selects from one table by what is equal to something.
fn is_by_key(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((before, condition)) = lower.split_once(" where ") else { return false };
    let is_alone = !before.contains(" join ") && before.matches(" from ").count() == 1;
    let condition = condition.split(" limit ").next().unwrap_or(condition);
    let asks_once = condition.contains('=') || condition.contains(" in (");
    before.starts_with("select ")
        && is_alone
        && asks_once
        && !condition.contains(" or ")
        && !condition.contains(['<', '>'])
        && !condition.contains(" from ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str, calls: i64, rows: i64) -> StatementUse {
        StatementUse {
            fingerprint: text.to_owned(),
            text: text.to_owned(),
            seconds: 60.0,
            calls,
            total_ms: 1.0,
            mean_ms: 0.1,
            deviation_ms: 0.0,
            share: 0.01,
            rows,
            hit: 0,
            read: 0,
            temp: 0,
            usual_ms: None,
            is_regressed: false,
            is_ours: false,
        }
    }

    const CHILD: &str = "select * from customers where id = $1";

    #[test]
    fn one_query_for_each_row_of_another_is_chatty() {
        let parent = statement("select * from orders limit $1", 100, 5_000);
        let busy = statement("update carts set n = $1", 4_000, 4_000);
        let chatty = |all: &[StatementUse]| {
            flags(all).iter().map(|flags| flags.contains(&Flag::Chatty)).collect::<Vec<_>>()
        };
        assert_eq!(
            chatty(&[parent.clone(), statement(CHILD, 5_000, 5_000), busy.clone()]),
            [false, true, false]
        );
        assert_eq!(chatty(&[parent.clone(), statement(CHILD, 9_000, 9_000), busy.clone()]), [false; 3]);
        assert_eq!(
            chatty(&[parent.clone(), statement(CHILD, 9_000, 9_000)]),
            [false, true],
            "20 times any other"
        );
        assert_eq!(chatty(&[statement(CHILD, 9_000, 9_000)]), [false], "beside nothing, nothing stands out");
        assert_eq!(chatty(&[parent.clone(), statement(CHILD, 900, 900)]), [false; 2], "too few");
        assert_eq!(chatty(&[parent.clone(), statement(CHILD, 5_000, 50_000)]), [false; 2], "many rows each");
        let list = "select * from customers where id > $1";
        assert_eq!(chatty(&[parent, statement(list, 5_000, 5_000)]), [false; 2], "not by a key");
    }

    #[test]
    fn slow_ones_and_those_that_spill_stand_out() {
        let base = statement("select 1", 20, 20);
        let slow = |change: fn(&mut StatementUse)| {
            let mut one = base.clone();
            change(&mut one);
            flags(&[one]).remove(0)
        };
        assert_eq!(slow(|_| {}), []);
        assert_eq!(slow(|one| one.mean_ms = 100.0), [Flag::Slow]);
        assert_eq!(slow(|one| (one.mean_ms, one.calls) = (100.0, 19)), []);
        assert_eq!(slow(|one| (one.share, one.is_regressed) = (0.1, true)), [Flag::Slow, Flag::Regressed]);
        assert_eq!(slow(|one| one.temp = 2), [Flag::Spills]);
        assert_eq!(slow(|one| one.temp = 1), []);
    }
}
