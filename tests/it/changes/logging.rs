//! What the triggers write down about which statement.

use super::{FLIGHTS, NOTHING, Scene, run, shown};

const ORIGIN: &str = "flights(origin)";

#[tokio::test]
async fn each_different_value_that_a_statement_touches_is_logged_once() {
    let mut scene = Scene::watching(&[ORIGIN]).await;

    let insert = "insert into flights values (1, 'MAD'), (2, 'MAD'), (3, 'LIS'), (4, null)";
    let both = ["table:public.flights(origin) LIS", "table:public.flights(origin) MAD"];
    assert_eq!(scene.logged_by(insert).await, both);
    let update = "update flights set price = 1 where origin = 'MAD'";
    assert_eq!(scene.logged_by(update).await, both[1..]);
    assert_eq!(scene.logged_by("delete from flights where id in (2, 3)").await, both);
}

#[tokio::test]
async fn a_row_that_moves_to_another_value_is_logged_under_both() {
    let mut scene = Scene::watching(&[ORIGIN]).await;
    scene.logged_by("insert into flights values (1, 'MAD'), (2, null)").await;

    let moved = scene.logged_by("update flights set origin = 'LIS' where id = 1").await;
    assert_eq!(moved, ["table:public.flights(origin) LIS", "table:public.flights(origin) MAD"]);
    let appeared = scene.logged_by("update flights set origin = 'OPO' where id = 2").await;
    assert_eq!(appeared, ["table:public.flights(origin) OPO"]);
    let vanished = scene.logged_by("update flights set origin = null where id = 2").await;
    assert_eq!(vanished, ["table:public.flights(origin) OPO"]);
}

#[tokio::test]
async fn a_statement_that_touches_no_row_logs_nothing() {
    let mut scene = Scene::watching(&[ORIGIN, "flights", "flights(origin, day)"]).await;

    let nothing = "insert into flights select 1 where false; update flights set price = 1;
                   delete from flights; insert into flights values (1, null) on conflict do nothing";
    let logged = scene.logged_by(nothing).await;

    // The last one did put a row in, whose columns choose nothing.
    assert_eq!(logged, ["table:public.flights *"]);
    let again = "insert into flights values (1, null) on conflict do nothing";
    assert_eq!(scene.logged_by(again).await, NOTHING);
}

#[tokio::test]
async fn what_depends_on_every_row_gets_one_line_per_statement() {
    let mut scene = Scene::watching(&["flights"]).await;

    let insert = "insert into flights select n, 'MAD' from generate_series(1, 100) n";
    assert_eq!(scene.logged_by(insert).await, ["table:public.flights *"]);
    assert_eq!(scene.logged_by("update flights set price = 2").await, ["table:public.flights *"]);
    assert_eq!(scene.logged_by("delete from flights").await, ["table:public.flights *"]);
}

#[tokio::test]
async fn several_columns_are_logged_in_their_order_and_only_where_all_have_a_value() {
    let mut scene = Scene::watching(&["flights(origin, day)"]).await;

    let insert = r#"insert into flights values (1, 'MAD', '2026-01-02'), (2, 'MAD', null),
                    (3, 'a,"{}\ b', '2026-01-02'), (4, null, '2026-01-02')"#;
    let logged = scene.logged_by(insert).await;

    let dep = "table:public.flights(origin,day)";
    assert_eq!(logged, [format!("{dep} MAD|2026-01-02"), format!(r#"{dep} a,"{{}}\ b|2026-01-02"#)]);
    let one = scene.logged_by("delete from flights where id = 3").await;
    assert_eq!(one, [format!(r#"{dep} a,"{{}}\ b|2026-01-02"#)]);
}

#[tokio::test]
async fn every_list_of_columns_of_a_table_has_lines_of_its_own() {
    let mut scene = Scene::watching(&[ORIGIN, "flights(day)", "flights(origin)", "flights(id, day)"]).await;

    let logged = scene.logged_by("insert into flights values (1, 'MAD', '2026-01-02')").await;

    assert_eq!(
        logged,
        [
            "table:public.flights(day) 2026-01-02",
            "table:public.flights(id,day) 1|2026-01-02",
            "table:public.flights(origin) MAD"
        ]
    );
}

#[tokio::test]
async fn a_table_that_is_truncated_is_logged_as_every_row() {
    let mut scene = Scene::watching(&[ORIGIN, "flights"]).await;

    let logged = scene.logged_by("truncate flights").await;

    assert_eq!(logged, ["table:public.flights *", "table:public.flights(origin) *"]);
}

#[tokio::test]
async fn more_than_a_thousand_values_in_a_statement_are_logged_as_every_row() {
    let mut scene = Scene::watching(&["flights(id)", ORIGIN]).await;

    let insert = "insert into flights select n, 'MAD' from generate_series(1, 1000) n";
    assert_eq!(scene.logged_by(insert).await.len(), 1_001);
    scene.logged_by("truncate flights").await;
    let more = "insert into flights select n, 'MAD' from generate_series(1, 1001) n";
    assert_eq!(
        scene.logged_by(more).await,
        ["table:public.flights(id) *", "table:public.flights(origin) MAD"]
    );
    // Old and new ones count together.
    let update = "update flights set id = id + 5000 where id <= 501";
    assert_eq!(
        scene.logged_by(update).await,
        ["table:public.flights(id) *", "table:public.flights(origin) MAD"]
    );
}

#[tokio::test]
async fn copies_upserts_merges_and_cascades_are_logged_too() {
    let mut scene = Scene::watching(&[ORIGIN]).await;
    let line = |origin: &str| format!("table:public.flights(origin) {origin}");

    let mut copy = scene.app.copy_in_raw("copy flights (id, origin) from stdin").await.unwrap();
    copy.send(&b"1\tMAD\n2\tLIS\n"[..]).await.unwrap();
    copy.finish().await.unwrap();
    assert_eq!(scene.logged().await, [line("LIS"), line("MAD")]);

    let upsert = "insert into flights values (1, 'OPO'), (3, 'FAO')
                  on conflict (id) do update set origin = excluded.origin";
    assert_eq!(scene.logged_by(upsert).await, [line("FAO"), line("MAD"), line("OPO")]);

    let merge =
        "merge into flights f using (values (3, 'BCN'), (4, 'VLC')) as new (id, origin) on f.id = new.id
                 when matched then update set origin = new.origin
                 when not matched then insert (id, origin) values (new.id, new.origin)";
    let version = scene.text("select current_setting('server_version_num')").await;
    if version.as_str() >= "150000" {
        assert_eq!(scene.logged_by(merge).await, [line("BCN"), line("FAO"), line("VLC")]);
    }

    let inside = "with gone as (delete from flights where id = 2 returning id)
                  insert into flights select id + 100, 'SVQ' from gone";
    assert_eq!(scene.logged_by(inside).await, [line("LIS"), line("SVQ")]);

    scene
        .run(
            "create table airports (code text primary key); insert into airports select origin from flights;
               alter table flights add foreign key (origin) references airports on delete cascade",
        )
        .await;
    assert_eq!(scene.logged_by("delete from airports where code = 'SVQ'").await, [line("SVQ")]);
}

#[tokio::test]
async fn what_is_rolled_back_logs_nothing() {
    let mut scene = Scene::watching(&[ORIGIN]).await;

    let savepoint = "begin; insert into flights values (1, 'MAD'); savepoint a;
                     insert into flights values (2, 'LIS'); rollback to a; commit";
    assert_eq!(scene.logged_by(savepoint).await, ["table:public.flights(origin) MAD"]);
    let whole = "begin; insert into flights values (3, 'OPO'); rollback";
    assert_eq!(scene.logged_by(whole).await, NOTHING);
    let failing = "insert into flights values (4, 'FAO'), (1, 'FAO')";
    run(&mut scene.app, failing).await.unwrap_err();
    assert_eq!(scene.logged().await, NOTHING);
}

#[tokio::test]
async fn the_transaction_in_the_log_is_the_one_that_commits_even_below_a_savepoint() {
    let mut scene = Scene::watching(&[ORIGIN]).await;

    scene.run("begin; insert into flights values (1, 'MAD'); savepoint a").await;
    scene.run("insert into flights values (2, 'LIS')").await;
    let xid = scene.text("select pg_current_xact_id()::text").await;
    scene.run("commit").await;

    let logged = scene.take_all().await;
    let xids: Vec<_> = logged.iter().map(|change| change.xid.to_string()).collect();
    assert_eq!(xids, [xid.clone(), xid]);
    assert!(logged[0].age < super::LONG, "{logged:?}");
}

#[tokio::test]
async fn the_text_of_a_value_does_not_depend_on_the_session_that_writes_it() {
    let table = "create table odd (d date, t timestamptz, i interval, f float8, b bytea, r tstzrange)";
    let mut scene = Scene::with(table).await;
    let all = "odd(d, t, i, f, b, r)";
    scene.install(&[all]).await.unwrap();
    scene.take_all().await;

    scene.run("set datestyle = 'German'; set timezone = 'Asia/Tokyo'; set intervalstyle = 'iso_8601';
               set extra_float_digits = -10; set bytea_output = 'escape'; set standard_conforming_strings = off").await;
    scene.run("insert into odd values ('2.1.2026', '2026-01-02 09:00+09', '1 day 2 hours', 0.1::float8 + 0.2, 'a', null)").await;
    scene.run("update odd set r = tstzrange('2026-01-02 09:00+09', null)").await;

    assert_eq!(
        scene.logged().await,
        [
            "table:public.odd(d,t,i,f,b,r) 2026-01-02|2026-01-02 00:00:00+00|1 day 02:00:00|0.30000000000000004|\\x61|\
          [\"2026-01-02 00:00:00+00\",)"
        ]
    );
}

#[tokio::test]
async fn two_values_that_a_collation_takes_for_the_same_are_two() {
    let table = "create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                 create table words (word text collate loose)";
    let mut scene = Scene::with(table).await;
    scene.install(&["words(word)"]).await.unwrap();
    scene.take_all().await;

    let logged = scene.logged_by("insert into words values ('a'), ('A')").await;

    assert_eq!(logged, ["table:public.words(word) A", "table:public.words(word) a"]);
}

#[tokio::test]
async fn names_may_be_as_odd_as_postgres_lets_them() {
    let table = r#"create schema "My Schema";
        create table "My Schema"."It's $brasa$ \ "" , ()" ("keys1" int, "tg_op" int, "changed" int, "a""'$brasa$" int,
            "one" int, "new_rows" int, key int, dep int)"#;
    let mut scene = Scene::with(table).await;
    let name = r#""My Schema"."It's $brasa$ \ "" , ()""#;
    let all = format!(r#"{name}(keys1, tg_op, changed, "a""'$brasa$", one, new_rows, key, dep)"#);
    scene.install(&[&all, name, &format!("{name}(keys1)")]).await.unwrap();
    scene.take_all().await;

    let statements = format!(
        "set standard_conforming_strings = off;
         insert into {name} values (1, 2, 3, 4, 5, 6, 7, 8); update {name} set key = 9; delete from {name}"
    );
    let logged = scene.logged_by(&statements).await;

    let dep = format!("table:{name}");
    let columns = r#"(keys1,tg_op,changed,"a""'$brasa$",one,new_rows,key,dep)"#;
    let mut expected = vec![format!("{dep} *"); 3];
    expected.extend(
        ["1|2|3|4|5|6|7|8", "1|2|3|4|5|6|7|8", "1|2|3|4|5|6|9|8", "1|2|3|4|5|6|9|8"]
            .map(|keys| format!("{dep}{columns} {keys}")),
    );
    expected.extend(vec![format!("{dep}(keys1) 1"); 3]);
    expected.sort();
    assert_eq!(logged, expected);
    assert!(scene.status(&[&all, name, &format!("{name}(keys1)")]).await.is_good());
}

#[tokio::test]
async fn a_column_that_is_renamed_or_dropped_makes_no_statement_fail_and_hides_no_change() {
    let mut scene = Scene::watching(&[ORIGIN, "flights(day)"]).await;
    scene.logged_by("insert into flights values (1, 'MAD', '2026-01-02')").await;
    let every = ["table:public.flights(day) *", "table:public.flights(origin) *"];

    scene.run("alter table flights rename origin to departure").await;
    assert_eq!(scene.logged_by("update flights set price = 1").await, every);
    scene.run("alter table flights drop departure").await;
    assert_eq!(scene.logged_by("insert into flights values (2, '2026-01-02')").await, every);
    assert_eq!(scene.logged_by("update flights set price = 1 where false").await, NOTHING);
    assert_eq!(scene.logged_by("delete from flights").await, every);
}

#[tokio::test]
async fn a_type_that_changes_makes_no_statement_fail() {
    let mut scene = Scene::watching(&["flights(id)"]).await;

    scene.run("alter table flights alter id type bigint").await;

    let logged = scene.logged_by("insert into flights values (5000000000)").await;
    assert_eq!(logged, ["table:public.flights(id) 5000000000"]);
}

#[tokio::test]
async fn triggers_of_the_application_that_write_on_are_logged_as_well() {
    let cascade = "create table audit (what text);
        create function note() returns trigger language plpgsql as
            'begin insert into audit values (new.origin); return new; end';
        create trigger note after insert on flights for each row execute function note()";
    let mut scene = Scene::with(&format!("{FLIGHTS}; {cascade}")).await;
    scene.install(&[ORIGIN, "audit(what)"]).await.unwrap();
    scene.take_all().await;

    scene.run("insert into flights values (1, 'MAD')").await;

    let logged: Vec<_> = scene.take_all().await.iter().map(shown).collect();
    assert!(logged.contains(&"table:public.audit(what) MAD".to_owned()), "{logged:?}");
    assert_eq!(logged.len(), 2);
}
