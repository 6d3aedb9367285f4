use super::*;

/// The first firings after an instant, as UTC.
fn firings(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let crontab = Crontab::parse(cron).unwrap();
    let zone = TimeZone::get(zone).unwrap();
    let found = crontab.upcoming(after.parse().unwrap(), &zone).take(count);
    found.map(|at| at.to_string()).collect()
}

/// The first firings of 2026 in UTC, without the year.
fn of_2026(cron: &str, count: usize) -> Vec<String> {
    let found = firings(cron, "UTC", "2025-12-31T23:59:59.5Z", count);
    found.iter().map(|at| at.trim_start_matches("2026-").to_owned()).collect()
}

fn refusal(cron: &str) -> String {
    Crontab::parse(cron).unwrap_err().to_string()
}

fn alike(one: &str, other: &str) {
    assert_eq!(of_2026(one, 50), of_2026(other, 50), "{one} and {other}");
}

#[test]
fn five_fields_count_minutes_and_six_count_seconds() {
    assert_eq!(of_2026("5 * * * *", 2), ["01-01T00:05:00Z", "01-01T01:05:00Z"]);
    assert_eq!(of_2026("5 * * * * *", 2), ["01-01T00:00:05Z", "01-01T00:01:05Z"]);
    assert_eq!(of_2026("* * * * * *", 2), ["01-01T00:00:00Z", "01-01T00:00:01Z"]);
}

#[test]
fn a_firing_is_strictly_after_the_instant_asked_about() {
    let after = |instant: &str| firings("* * * * *", "UTC", instant, 1);

    assert_eq!(after("2026-01-01T00:00:00Z"), ["2026-01-01T00:01:00Z"]);
    assert_eq!(after("2025-12-31T23:59:59.999Z"), ["2026-01-01T00:00:00Z"]);
    assert_eq!(after("1969-12-31T23:59:59.5Z"), ["1970-01-01T00:00:00Z"]);
}

#[test]
fn steps_lists_ranges_and_names_mean_their_numbers() {
    alike("*/15 * * * *", "0,15,30,45 * * * *");
    alike("10-40/15 * * * *", "10,25,40 * * * *");
    alike("50/3 * * * *", "50,53,56,59 * * * *");
    alike("0 0 * jan,Mar-MAY,Dec *", "0 0 * 1,3,4,5,12 *");
    alike("0 0 * * Mon-wed,SAT", "0 0 * * 1,2,3,6");
    alike("  0\t0  1 *   * ", "0 0 1 * *");
}

#[test]
fn sunday_is_0_and_7_and_ends_a_range_that_began_before_it() {
    alike("0 0 * * 7", "0 0 * * 0");
    alike("0 0 * * 5-7", "0 0 * * 0,5,6");
    alike("0 0 * * FRI-SUN", "0 0 * * 0,5,6");
    alike("0 0 * * SUN-TUE", "0 0 * * 0,1,2");
    alike("0 0 * * 5/1", "0 0 * * 5,6,0");
    assert_eq!(of_2026("0 0 * * SUN", 1), ["01-04T00:00:00Z"]);
}

#[test]
fn macros_stand_for_their_fields() {
    alike("@yearly", "0 0 1 1 *");
    alike("@annually", "0 0 1 1 *");
    alike("@monthly", "0 0 1 * *");
    alike("@weekly", "0 0 * * 0");
    alike("@daily", "0 0 * * *");
    alike("@midnight", "0 0 * * *");
    alike(" @Hourly ", "0 * * * *");
}

#[test]
fn two_restricted_day_fields_match_if_either_does() {
    let days = ["01-02T00:00:00Z", "01-09T00:00:00Z", "01-13T00:00:00Z", "01-16T00:00:00Z"];
    assert_eq!(of_2026("0 0 13 * FRI", 4), days);
}

#[test]
fn a_day_field_that_begins_with_a_star_has_to_match_too() {
    let odd_mondays = ["01-05T00:00:00Z", "01-19T00:00:00Z", "02-09T00:00:00Z"];
    assert_eq!(of_2026("0 0 */2 * 1", 3), odd_mondays);
    assert_eq!(of_2026("0 0 13 * */5", 2), ["02-13T00:00:00Z", "03-13T00:00:00Z"]);
}

#[test]
fn a_leap_day_is_waited_for_and_the_end_of_the_calendar_is_an_end() {
    assert_eq!(firings("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
    assert_eq!(firings("0 0 29 2 */7", "UTC", "2026-01-01T00:00:00Z", 1), ["2032-02-29T00:00:00Z"]);
    assert!(firings("@yearly", "UTC", "2100-06-01T00:00:00Z", 1).is_empty());
    assert!(firings("* * * * *", "Asia/Tokyo", "9999-12-30T00:00:00Z", 1).is_empty());
}

#[test]
fn a_fixed_time_in_a_gap_fires_at_its_end_and_once() {
    let end_of_gap = "2026-03-08T07:00:00Z";
    let first = |cron, count| firings(cron, "America/New_York", "2026-03-08T05:00:00Z", count);

    assert_eq!(first("30 2 * * *", 2), [end_of_gap, "2026-03-09T06:30:00Z"]);
    assert_eq!(first("0,20,40 2 * * *", 2), [end_of_gap, "2026-03-09T06:00:00Z"]);
    assert_eq!(first("0 2,3 * * *", 2), [end_of_gap, "2026-03-09T06:00:00Z"]);
}

#[test]
fn a_fixed_time_that_comes_twice_fires_at_its_first_pass() {
    let first = |cron, after| firings(cron, "America/New_York", after, 1);

    assert_eq!(first("30 1 * * *", "2026-11-01T00:00:00Z"), ["2026-11-01T05:30:00Z"]);
    assert_eq!(first("30 1 * * *", "2026-11-01T05:30:00Z"), ["2026-11-02T06:30:00Z"]);
    assert_eq!(first("30 1 * * *", "2026-11-01T06:10:00Z"), ["2026-11-02T06:30:00Z"]);
    assert_eq!(first("0,30 1,2 * * *", "2026-11-01T06:10:00Z"), ["2026-11-01T07:00:00Z"]);
}

#[test]
fn what_follows_the_clock_makes_nothing_up_and_counts_both_passes() {
    let spring = "2026-03-08T06:40:00Z";
    let autumn = "2026-11-01T05:20:00Z";
    let new_york = |cron, after, count| firings(cron, "America/New_York", after, count);

    assert_eq!(new_york("*/30 2 * * *", spring, 1), ["2026-03-09T06:00:00Z"]);
    assert_eq!(new_york("30 * * * *", spring, 1), ["2026-03-08T07:30:00Z"]);
    assert_eq!(new_york("30 * * * *", autumn, 2), ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"]);
    assert_eq!(new_york("0 */30 1 * * *", autumn, 2), ["2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z"]);
}

#[test]
fn half_an_hour_is_a_clock_change_too() {
    let lord_howe = |cron, after, count| firings(cron, "Australia/Lord_Howe", after, count);

    let spring = "2026-10-03T12:00:00Z";
    assert_eq!(lord_howe("15 2 * * *", spring, 1), ["2026-10-03T15:30:00Z"]);
    let autumn = "2026-04-04T14:00:00Z";
    assert_eq!(lord_howe("45 1 * * *", autumn, 2), ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]);
    assert_eq!(lord_howe("45 * * * *", autumn, 2), ["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"]);
}

#[test]
fn a_day_that_a_zone_skips_fires_at_the_first_instant_after_it() {
    let samoa = |cron, count| firings(cron, "Pacific/Apia", "2011-12-29T10:00:00Z", count);

    // Friday 30 December 2011 did not take place.
    assert_eq!(
        samoa("0 6 * * *", 3),
        ["2011-12-29T16:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T16:00:00Z"]
    );
    assert_eq!(samoa("0 6 30 12 *", 1), ["2011-12-30T10:00:00Z"]);
    assert_eq!(samoa("*/30 6 30 12 *", 1), ["2012-12-29T16:00:00Z"]);
}

#[test]
fn midnight_can_be_missing_or_come_twice() {
    let sao_paulo = |after, count| firings("@daily", "America/Sao_Paulo", after, count);

    assert_eq!(sao_paulo("2018-11-03T12:00:00Z", 2), ["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]);
    assert_eq!(sao_paulo("2018-02-17T12:00:00Z", 1), ["2018-02-18T03:00:00Z"]);
}

#[test]
fn ramadan_and_a_polar_summer_change_clocks_like_any_other() {
    // A year that is over: no law can move its clock changes.
    assert_eq!(
        firings("30 2 * * *", "Africa/Casablanca", "2025-04-05T12:00:00Z", 1),
        ["2025-04-06T02:00:00Z"],
    );
    assert_eq!(
        firings("30 2 * * *", "Antarctica/Troll", "2025-03-30T00:00:00Z", 1),
        ["2025-03-30T01:00:00Z"]
    );
}

#[test]
fn every_clock_moves_forward_through_a_century_of_changes() {
    for zone in ["Europe/Dublin", "America/Nuuk", "Africa/Monrovia", "Asia/Manila", "Africa/Casablanca"] {
        let zone = TimeZone::get(zone).unwrap();
        for cron in ["30 1 * * 0", "*/40 */5 * * 0"] {
            let crontab = Crontab::parse(cron).unwrap();
            let found: Vec<Timestamp> = crontab.upcoming(Timestamp::UNIX_EPOCH, &zone).take(3_000).collect();
            assert!(found.is_sorted_by(|one, next| one < next), "{cron}");
        }
    }
}

#[test]
fn the_text_stays_as_it_was_written() {
    let crontab: Crontab = "0  4 * * Mon".parse().unwrap();

    assert_eq!(crontab.text(), "0  4 * * Mon");
    assert_eq!(crontab.to_string(), crontab.text());
    assert_eq!(crontab, Crontab::parse("0  4 * * Mon").unwrap());
    assert_ne!(crontab, Crontab::parse("0 4 * * 1").unwrap());
}

#[test]
fn a_number_out_of_range_is_refused_with_the_range() {
    assert_eq!(refusal("75 * * * *"), "minute field: `75` is above 59");
    assert_eq!(refusal("0 24 * * *"), "hour field: `24` is above 23");
    assert_eq!(refusal("0 0 0 * *"), "day-of-month field: `0` is below 1");
    assert_eq!(refusal("0 0 1 13 *"), "month field: `13` is above 12");
    assert_eq!(refusal("0 0 * * 1-8"), "day-of-week field: `8` is above 7");
    assert_eq!(refusal("99999 0 0 * * *"), "second field: `99999` is above 59");
}

#[test]
fn a_word_that_is_no_number_is_refused_with_what_it_could_be() {
    assert_eq!(refusal("x * * * *"), "minute field: `x` is not a number from 0 to 59");
    assert_eq!(refusal("+5 * * * *"), "minute field: `+5` is not a number from 0 to 59");
    assert_eq!(refusal("*-5 * * * *"), "minute field: `*` is not a number from 0 to 59");
    assert_eq!(
        refusal("0 0 * * monday"),
        "day-of-week field: `monday` is not a number from 0 to 7 or a name; did you mean `MON`?",
    );
    assert!(refusal("0 0 * * Wendesday").ends_with("did you mean `WED`?"));
    assert!(refusal("0 0 * FBE *").ends_with("did you mean `FEB`?"));
    assert!(refusal("0 0 * * xyz").ends_with("the names are SUN, MON, TUE, WED, THU, FRI, SAT"));
}

#[test]
fn a_missing_number_is_refused() {
    assert_eq!(refusal("1,,2 * * * *"), "minute field: `1,,2` lacks a number");
    assert_eq!(refusal("-5 * * * *"), "minute field: `-5` lacks a number");
    assert_eq!(refusal("5- * * * *"), "minute field: `5-` lacks a number");
    assert_eq!(refusal("*/ * * * *"), "minute field: `*/` needs a number after the `/`");
}

#[test]
fn a_step_that_goes_nowhere_is_refused() {
    assert_eq!(refusal("*/0 * * * *"), "minute field: `*/0` never moves on; a step is at least 1");
    assert!(refusal("*/90 * * * *").contains("starts anew after 60"));
    alike("0 */24 * * *", "@daily");
}

#[test]
fn a_range_that_wraps_around_is_refused_with_the_list_that_says_the_same() {
    assert_eq!(refusal("0 22-2 * * *"), "hour field: the range `22-2` runs backwards; write `22-23,0-2`");
    assert!(refusal("0 22-2/2 * * *").ends_with("write `22,0,2`"));
    assert!(refusal("0 0 * * 7-3/2 ").ends_with("write `0,2`"));
    assert!(refusal("0 0 * * SAT-MON").ends_with("write `SAT,SUN-MON`"));
    assert!(refusal("0 0 * * 6-0").ends_with("write `6,0`"));
    assert!(refusal("0 0 * * 7-2").ends_with("write `0-2`"));
    assert!(refusal("0 0 * NOV-FEB *").ends_with("write `NOV-DEC,JAN-FEB`"));
    assert!(refusal("0 0 25-5 * *").ends_with("write `25-31,1-5`"));
}

#[test]
fn quartz_is_refused_by_name() {
    assert_eq!(refusal("0 0 ? * 1"), "day-of-month field: `?` is Quartz, not crontab; write `*`");
    for cron in ["0 0 L * *", "0 0 L-3 * *", "0 0 15W * *", "0 0 LW * *"] {
        assert!(refusal(cron).contains("is Quartz, not crontab"), "{cron}: {}", refusal(cron));
    }
    for cron in ["0 0 * * L", "0 0 * * 5L", "0 0 * * FRIL", "0 0 * * 5#3", "0 0 * * FRI#3"] {
        assert!(refusal(cron).contains("is Quartz, not crontab"), "{cron}: {}", refusal(cron));
    }
    assert!(refusal("0 0 0 1 1 * 2026").contains("no year field"));
}

#[test]
fn the_wrong_number_of_fields_is_refused_with_the_right_one() {
    assert!(refusal(" ").starts_with("the expression is empty"));
    assert!(refusal("0").starts_with("found 1 field; there are five"));
    assert!(refusal("0 0 * *").starts_with("found 4 fields; there are five"));
    assert!(refusal("0 0 0 1 1 * * *").starts_with("found 8 fields; there are five"));
}

#[test]
fn a_date_that_never_comes_is_refused_unless_a_weekday_may_take_its_place() {
    assert_eq!(
        refusal("0 0 30 2 *"),
        "day-of-month field: month `2` has no day `30`, so this would never fire",
    );
    assert!(refusal("0 0 31 4,6 *").contains("month `4,6` has no day `31`"));
    assert!(refusal("0 0 30 2 */2").contains("never fire"));
    assert_eq!(of_2026("0 0 30 2 1", 1), ["02-02T00:00:00Z"]);
    assert_eq!(of_2026("0 0 31 4,5 *", 1), ["05-31T00:00:00Z"]);
}

#[test]
fn unknown_macros_are_refused_with_the_nearest_known_one() {
    assert_eq!(refusal("@dayly"), "there is no macro `@dayly`; did you mean `@daily`?");
    assert!(refusal("@x").starts_with("there is no macro `@x`; the macros are @yearly, @annually"));
    assert!(refusal("@reboot").starts_with("`@reboot` has no meaning"));
}
