//! What runs here, and how the servers are.

use super::{Dashboard, has};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_doctor_finds_is_shown_with_what_to_do_about_it() {
    let dashboard = Dashboard::open("select 1", "").await;
    let sent = dashboard.world.enqueue("sql.run", serde_json::json!({ "name": "nothing" })).await;
    assert!(!sent.is_empty());
    let told = dashboard.brasa.run(["doctor", "--json"]).await.json_anyway();

    let page = dashboard.page("viewer", "/about").await;

    let mut shown = 0;
    for server in told["servers"].as_array().unwrap() {
        let (_, part) =
            page.split_once(&format!("id=\"server-{}\"", server["server"].as_str().unwrap())).unwrap();
        let (part, _) = part.split_once("</section>").unwrap();
        // Whether jobs can be written down concerns those who run them.
        let findings = server["findings"].as_array().unwrap().iter();
        for finding in findings.filter(|finding| finding["check"] != "history") {
            has(part, &[finding["check"].as_str().unwrap()]);
            shown += 1;
        }
    }
    assert!(shown > 15, "{shown} findings: {told}");
    // Nobody works, and a job waits.
    has(
        &page,
        &[
            "none was seen within the last minute, and there are 1 open job(s)",
            "they wait until there is one",
        ],
    );
    for (name, count) in [("Problems", &told["problems"]), ("Warnings", &told["warnings"])] {
        has(&page, &[&format!("<div class=\"name\">{name}</div><div class=\"value\">{count}</div>")]);
    }
    has(&page, &["Fills the cache"]);
    assert!(!page.contains("data-live"), "it shows one moment");
}
