//! What the application's own statements pay.

use anyhow::Result;
use brasa_tests::bench::{Bar, Row, middle, ratios};

use super::{Ground, REPEATS};

const TABLES: [&str; 3] = ["bare", "watched", "counted"];

const AGGREGATE: &str = r#"
[aggregates.watched]
source = "watched"
time = "at"
by = ["shop"]
measures = { n = "count(*)", units = "sum(units)", revenue = "sum(total)" }
"#;

/// What people write who count in the same transaction.
const COUNTED: &str = "create table counts (day timestamptz, shop int, n bigint, units bigint, revenue numeric, primary key (day, shop));
    create function count_it() returns trigger language plpgsql as $$ begin
        insert into counts values (date_trunc('day', new.at), new.shop, 1, new.units, new.total)
        on conflict (day, shop) do update set n = counts.n + 1, units = counts.units + excluded.units,
            revenue = counts.revenue + excluded.revenue;
        return null; end $$;
    create trigger count_it after insert on counted for each row execute function count_it()";

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    for table in TABLES {
        ground.sql(&format!(
            "create table {table} (id bigint generated always as identity primary key, at timestamptz not null default now(),
                 shop int not null, units int not null, total numeric not null, note text not null);
             create index on {table} (at)"
        ))?;
    }
    ground.keep(AGGREGATE, "watched")?;
    ground.sql(COUNTED)?;
    let mut rows = Vec::new();
    for (what, count, bar) in [("one row", 1, 1.15), ("100 rows", 100, 1.40)] {
        let statements = if ground.is_quick { 200 } else { 600 };
        let mut took = [vec![], vec![], vec![]];
        for _ in 0..REPEATS {
            for (took, table) in took.iter_mut().zip(TABLES) {
                took.push(statement_us(ground, table, count, statements)?);
            }
            ground.fold("watched", 50_000)?;
        }
        let [bare, watched, counted] = &took;
        let (ratio, words) = ratios(watched, bare);
        rows.push(
            Row::new(format!("p50 of an INSERT of {what} into a table with an aggregate"), "µs")
                .ours(&middle(watched))
                .beside("without", &middle(bare))
                .note(words),
        );
        rows.push(Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtMost(bar)));
        rows.push(
            Row::new(format!("p50 of an INSERT of {what} with a trigger that counts"), "µs")
                .ours(&middle(counted))
                .beside("without", &middle(bare))
                .note(ratios(counted, bare).1),
        );
    }
    Ok(rows)
}

/// The middle of what a statement of so many rows takes, in µs.
fn statement_us(ground: &Ground, table: &str, rows: u32, statements: usize) -> Result<f64> {
    ground.wait(async {
        let mut connection = ground.world.pool.acquire().await?;
        let sql = format!(
            "insert into {table} (shop, units, total, note) select n % 20, n, n / 7.0, 'nothing that counts' from generate_series(1, {rows}) n"
        );
        let mut took = Vec::with_capacity(statements);
        for _ in 0..statements {
            let began = std::time::Instant::now();
            sqlx::query(sqlx::AssertSqlSafe(sql.as_str())).execute(&mut *connection).await?;
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
        Ok(brasa_tests::bench::median(took))
    })
}
