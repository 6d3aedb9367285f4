//! Indexes of every kind that people have, on tables that are made, worn out and looked at.
//!
//! The first list is that by which the model was made. The second was written down before it was, and is what it was
//! never fitted to.

use sqlx::{AssertSqlSafe, PgConnection};

/// An index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What it is called, in lists and in the database.
    pub name: &'static str,
    /// Whether it is unique.
    pub is_unique: bool,
    /// What comes behind the table: columns, options, predicate.
    pub rest: &'static str,
}

/// Indexes of a table.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    /// The table.
    pub table: &'static str,
    /// Its columns; `$ROWS` rows are made.
    columns: &'static str,
    /// What is made before it, and behind it.
    around: (&'static [&'static str], &'static [&'static str]),
    /// The column that an update changes, and how: so that every index gets another entry.
    update: &'static str,
    /// Its indexes.
    pub shapes: &'static [Shape],
}

/// Before version 15, a session has told what it counted when it is asked again.
const FLUSH: &str = "do $$ begin if to_regproc('pg_stat_force_next_flush') is not null then
    perform pg_stat_force_next_flush(); end if; end $$";

const fn plain(name: &'static str, rest: &'static str) -> Shape {
    Shape { name, is_unique: false, rest }
}

const fn unique(name: &'static str, rest: &'static str) -> Shape {
    Shape { name, is_unique: true, rest }
}

/// Those that the model was made by.
pub const SEEN: Fixture = Fixture {
    table: "seen",
    columns: "n::bigint as id, (random() * 2000000000)::int as number, gen_random_uuid() as key,
        (random() * random() * 8)::int as status,
        (array['new', 'queued', 'running', 'done', 'failed and buried'])[1 + floor(random() * random() * 5)::int] as state,
        case when random() < 0.2 then (random() * 50000)::int end as maybe,
        md5(random()::text) || md5(random()::text) || left(md5(n::text), (random() * 30)::int) as wide,
        floor(power(random(), 3) * 20000)::int as customer, floor(random() * 200)::int as tenant,
        (random() * 100000)::numeric(12, 2) as price, random() as ratio,
        repeat('n', (random() * 20)::int) || left(md5(n::text), 3 + (random() * 25)::int) as name,
        now() - n * interval '13 seconds' as made_at",
    around: (&[], &[]),
    update: "number = number + 1",
    shapes: &[
        plain("int", "(number)"),
        plain("uuid", "(key)"),
        plain("few numbers", "(status)"),
        plain("few texts", "(state)"),
        plain("80 % NULL", "(maybe)"),
        plain("wide text", "(wide)"),
        plain("skewed reference", "(customer)"),
        plain("tenant", "(tenant)"),
        plain("tenant and status", "(tenant, status)"),
        plain("partial, few numbers", "(customer) where status = 3"),
        plain("partial, not NULL", "(maybe) where maybe is not null"),
        plain("expression", "(lower(name))"),
        plain("with another column", "(number) include (tenant)"),
        plain("descending", "(made_at desc)"),
        plain("numeric", "(price)"),
        plain("float", "(ratio)"),
        plain("text of any length", "(name)"),
        plain("fillfactor 70", "(number) with (fillfactor = 70)"),
        plain("no deduplication", "(tenant) with (deduplicate_items = off)"),
        unique("unique pair", "(tenant, id)"),
        unique("primary key", "(id)"),
    ],
};

/// Those that it was not.
pub const UNSEEN: Fixture = Fixture {
    table: "unseen",
    columns: "n::bigint as id, random() < 0.1 as is_open, (random() * 1e12)::bigint as big,
        chr(65 + floor(random() * 26)::int)::char(1) as letter, chr(97 + floor(random() * 4)::int)::\"char\" as tiny,
        gen_random_uuid() as key, floor(random() * 300)::smallint as small,
        'city of ' || left(md5(floor(random() * 400)::text), 3 + floor(random() * 400)::int % 12) as city,
        left(md5(floor(random() * 20000)::text), 6 + floor(random() * 9)::int) || ' street' as street,
        case when random() > 0.3 then floor(random() * 40)::int end as a,
        case when random() > 0.6 then left(md5(floor(random() * 900)::text), 9) end as b,
        floor(random() * 12)::int as c,
        floor(exp(random() * ln(40000)))::int as project, floor(exp(random() * ln(800)))::int as shop,
        floor(exp(random() * ln(300)))::int as shelf, floor(random() * 9000)::int as store,
        floor(exp(random() * ln(60000)))::int as author,
        timestamptz '2026-01-01' + floor(random() * $ROWS / 2) * interval '1 second' as seen_at,
        md5(random()::text) as words, (array['red', 'green', 'blue', 'black', 'white'])[1 + floor(random() * 5)::int]::hue
            as hue,
        ('10.' || floor(random() * 4)::int || '.' || floor(random() * 250)::int || '.' || floor(random() * 250)::int)::inet
            as address,
        (left(md5(floor(random() * 150000)::text), 7) || '@example.com')::citext as mail,
        (select string_agg(md5(random()::text || g), '') from generate_series(1, case when n % 40 = 0 then 70 else 20 end) g)
            as long,
        jsonb_build_object('kind', (array['click', 'view', 'buy'])[1 + floor(random() * 3)::int],
            'ref', left(md5(floor(random() * 30000)::text), 12)) as event,
        date '2020-01-01' + floor(random() * 2000)::int as day, floor(random() * 5000)::int as customer,
        sha256(n::text::bytea) as token",
    around: (
        &["create extension citext", "create type hue as enum ('red', 'green', 'blue', 'black', 'white')",
            "create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"],
        &["alter table unseen add org int", "update unseen set org = project % 700",
            "alter table unseen add region int", "update unseen set region = store % 60",
            "create statistics unseen_org (ndistinct) on org, project from unseen",
            "alter table unseen alter long set storage external", "vacuum full unseen"],
    ),
    update: "big = big + 1",
    shapes: &[
        plain("two texts", "(city, street)"),
        plain("three with NULLs", "(a, b, c)"),
        plain("skewed pair, counted", "(org, project)"),
        plain("skewed pair, not counted", "(shop, shelf)"),
        plain("region of a store, not counted", "(region, store)"),
        plain("steeply skewed reference", "(author)"),
        plain("boolean and bigint", "(is_open, big)"),
        plain("two kinds of char", "(tiny, letter)"),
        plain("uuid and smallint", "(key, small)"),
        plain("smallint and uuid", "(small, key)"),
        plain("time of an event", "(seen_at)"),
        plain("text by another language", "(words collate \"en-x-icu\")"),
        plain("text that is equal in any case", "(city collate loose)"),
        plain("enumeration", "(hue)"),
        plain("address", "(address)"),
        plain("citext", "(mail)"),
        plain("long text", "(left(long, 1500))"),
        plain("text out of JSON", "((event ->> 'ref'))"),
        plain("day and reference", "(day, customer)"),
        unique("token", "(token)"),
    ],
};

impl Shape {
    /// The statement that makes it, under a name, on a table.
    pub fn create(&self, name: &str, table: &str) -> String {
        let unique = if self.is_unique { "unique " } else { "" };
        format!("create {unique}index \"{name}\" on {table} {}", self.rest)
    }
}

impl Fixture {
    /// Makes the table with so many rows, and the indexes that are wanted of it.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn make(&self, on: &mut PgConnection, rows: u32, wanted: &[Shape]) -> Result<(), sqlx::Error> {
        run(on, "set statement_timeout = 0").await?;
        for sql in self.around.0 {
            run(on, sql).await?;
        }
        run(on, "select setseed(0.42)").await?;
        let columns = self.columns.replace("$ROWS", &rows.to_string());
        let table = self.table;
        run(
            on,
            &format!(
                "create table {table} with (autovacuum_enabled = off) as
            select {columns} from generate_series(1, {rows}) n"
            ),
        )
        .await?;
        for sql in self.around.1 {
            run(on, sql).await?;
        }
        for shape in wanted {
            run(on, &shape.create(shape.name, table)).await?;
        }
        self.tidy(on).await
    }

    /// Wears it out: three of ten rows are changed, half of them go, one of ten comes.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn churn(&self, on: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (table, update) = (self.table, self.update);
        let names: Vec<String> = sqlx::query_scalar(
            "select quote_ident(attname) from pg_attribute
             where attrelid = to_regclass($1) and attnum > 0 and attname <> 'id' order by attnum",
        )
        .bind(table)
        .fetch_all(&mut *on)
        .await?;
        let names = names.join(", ");
        run(on, &format!("create temp table newer as select row_number() over () + (select max(id) from {table}) as id,
            {names} from {table} where random() < 0.1")).await?;
        run(on, &format!("update {table} set {update} where random() < 0.3")).await?;
        run(on, &format!("delete from {table} where random() < 0.5")).await?;
        // Keys that are to be unique come anew.
        let key = if table == "unseen" {
            ("token", "sha256(id::text::bytea)")
        } else {
            ("key", "gen_random_uuid()")
        };
        let values = names
            .split(", ")
            .map(|name| if name == key.0 { key.1 } else { name })
            .collect::<Vec<_>>()
            .join(", ");
        run(on, &format!("insert into {table} (id, {names}) select id, {values} from newer")).await?;
        run(on, "drop table newer").await?;
        self.tidy(on).await
    }

    async fn tidy(&self, on: &mut PgConnection) -> Result<(), sqlx::Error> {
        // What was counted so far is told before ANALYZE is, and not as changes since.
        run(on, FLUSH).await?;
        run(on, &format!("vacuum {}", self.table)).await?;
        run(on, &format!("analyze {}", self.table)).await
    }

    /// How large an index would be in truth: it is made again beside the other.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn twin(&self, on: &mut PgConnection, shape: &Shape) -> Result<u64, sqlx::Error> {
        run(on, &shape.create("twin", self.table)).await?;
        let size: i64 = sqlx::query_scalar("select pg_relation_size('twin')").fetch_one(&mut *on).await?;
        run(on, "drop index twin").await?;
        Ok(size.unsigned_abs())
    }
}

async fn run(on: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(on).await.map(drop)
}
