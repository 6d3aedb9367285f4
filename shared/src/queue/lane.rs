//! Where a job stands in line: the class of what it is, and how it is told from its neighbours.
//!
//! A lane's name is its class, `~` where jobs have share keys, and `:n` for a priority above 0; or the class
//! and `!` for jobs that are suspected of taking workers down. See `lua/parts/lane.lua`.

use crate::queue::envelope::Envelope;

/// The highest priority.
pub const PRIORITY_MAX: u8 = 9;
/// A job that was lost with this many holders is run apart from others from then on.
pub const SUSPECT_FROM: u64 = 2;

/// The lane of a job.
pub(crate) fn lane_of(job: &Envelope) -> String {
    let mut name = job.class();
    if job.share.is_some() {
        name.push('~');
    }
    if job.priority > 0 {
        name.push(':');
        name.push(char::from(b'0' + job.priority.min(PRIORITY_MAX)));
    }
    name
}

/// The lane of a job that was lost with so many holders.
pub(crate) fn lane_after(job: &Envelope, lost: u64) -> (String, &str) {
    if lost >= SUSPECT_FROM { (format!("{}!", job.class()), "") } else { (lane_of(job), share_of(job)) }
}

/// The share key as scripts take it.
pub(crate) fn share_of(job: &Envelope) -> &str {
    job.share.as_deref().unwrap_or_default()
}

/// The class of the jobs of a lane.
pub fn class_of(lane: &str) -> &str {
    lane.split([':', '~', '!']).next().unwrap_or(lane)
}

/// Whether the jobs of a lane are suspected of taking workers down.
pub fn is_suspect(lane: &str) -> bool {
    lane.ends_with('!')
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lane_is_told_by_class_share_and_priority() {
        let mut job = Envelope::new("mail.send", &json!({}), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(lane_of(&job), "mail.send");
        (job.kv, job.priority) = (2, 5);
        assert_eq!(lane_of(&job), "mail.send@2:5");
        job.share = Some("acme".to_owned());
        assert_eq!(lane_of(&job), "mail.send@2~:5");
        assert_eq!(class_of("mail.send@2~:5"), "mail.send@2");
        assert_eq!(lane_after(&job, 2).0, "mail.send@2!");
        assert!(is_suspect("mail.send@2!"));
    }
}
