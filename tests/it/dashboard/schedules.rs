//! The page of schedules: who has paused one, and pausing and resuming there.

use super::{Dashboard, has, part};

const CONFIG: &str = "[schedules.nightly]\njob = \"db.analyze\"\ncron = \"0 3 * * *\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_paused_for_a_while_and_resumed_by_those_who_may() {
    let dashboard = Dashboard::open("select 1", CONFIG).await;
    let fleet = dashboard.world.fleet();
    let (pause, resume) = ("/schedules/nightly/pause", "/schedules/nightly/resume");
    for path in [pause, resume] {
        assert_eq!(dashboard.ask("viewer", "POST", path, "").await.status, 403);
    }
    let page = dashboard.page("viewer", "/schedules").await;
    assert!(!part(&page, "schedule-nightly").contains("<button"), "{page}");

    let answer = dashboard.ask("operator", "POST", pause, "reason=a+holiday&for=4h").await;
    assert_eq!((answer.status, answer.location.as_str()), (303, "/schedules"));
    let told = fleet.paused_schedules().await.unwrap().remove("nightly").unwrap();
    let lasting_ms = told.until.unwrap() - told.at;
    assert!(told.by == "operator" && (lasting_ms - 4 * 3_600_000).abs() <= 5_000, "{told:?}");
    let page = dashboard.page("operator", "/schedules").await;
    let shown = part(&page, "schedule-nightly");
    has(shown, &["Paused by operator", "a holiday", "ends in", resume, "its ticks stay out"]);

    assert_eq!(dashboard.ask("operator", "POST", "/schedules/nightly/run", "").await.status, 303);
    assert_eq!(dashboard.ask("operator", "POST", resume, "").await.status, 303);
    assert!(fleet.paused_schedules().await.unwrap().is_empty());
    let page = dashboard.page("operator", "/schedules").await;
    has(part(&page, "schedule-nightly"), &[pause, "until resumed"]);
    for wrong in ["for=soon", "for=0s"] {
        assert_eq!(dashboard.ask("operator", "POST", pause, wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(dashboard.ask("operator", "POST", "/schedules/absent/pause", "").await.status, 404);
    let acts = ["schedule.pause", "schedule.run", "schedule.resume"];
    dashboard.has_noted(&acts.map(|act| ("operator", act, "nightly"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_name_that_the_configuration_has_not_is_shown_and_can_be_forgotten() {
    let dashboard = Dashboard::open("select 1", CONFIG).await;
    let fleet = dashboard.world.fleet();
    let _pause = fleet.pause_schedule("renamed", "ana", "<b>why</b>", None).await.unwrap();
    let page = dashboard.page("operator", "/schedules").await;
    has(part(&page, "schedule-renamed"), &["in no configuration", "Paused by ana", "&lt;b&gt;", "Forget it"]);
    assert_eq!(dashboard.ask("operator", "POST", "/schedules/renamed/resume", "").await.status, 303);
    assert!(!dashboard.page("operator", "/schedules").await.contains("schedule-renamed"));
}
