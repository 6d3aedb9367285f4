//! Is it the server that takes writes, and of a kind that is spoken to?

use brasa_shared::finding::Finding;

use super::facts::Facts;

/// Replicas, nodes of a cluster and Sentinels cannot hold the queues.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let info = &facts.info;
    if info.text("redis_mode") == "sentinel" {
        let why = "a Sentinel holds no data, and this version does not ask it where the primary is";
        let help = "give the address of the primary in REDIS_URL";
        return vec![Finding::problem("role", "this is a Redis Sentinel", why, help)];
    }
    if info.text("redis_mode") == "cluster" || info.text("cluster_enabled") == "1" {
        let why = "keys of queues live on several nodes there, and this version does not follow them";
        let help = "give the address of a server of its own, started with cluster-enabled no";
        return vec![Finding::problem("role", "this is a node of a Redis Cluster", why, help)];
    }
    if info.text("role") == "slave" {
        let primary = format!("{}:{}", info.text("master_host"), info.text("master_port"));
        let found =
            format!("this is a replica of {primary}, its link is {}", info.text("master_link_status"));
        let why = "a replica takes no writes: nothing is enqueued, claimed or finished there";
        let help = format!("give the address of the primary ({primary}) in REDIS_URL");
        return vec![Finding::problem("role", found, why, help)];
    }
    vec![Finding::fine("role", "primary, standalone")]
}

/// What a failover would lose.
pub(super) fn replicas(facts: &Facts) -> Vec<Finding> {
    let info = &facts.info;
    let connected = info.number("connected_slaves").unwrap_or(0);
    let wanted: Option<u64> = facts.setting("min-replicas-to-write").parse().ok();
    // Told by INFO only where a number is asked for.
    let good = info.number("min_slaves_good_slaves");
    let finding = match (wanted, good) {
        (Some(wanted @ 1..), Some(good)) if good < wanted => {
            let found =
                format!("{good} of the {wanted} replica(s) are in step that min-replicas-to-write asks for");
            let why = "Redis refuses every write until they are back";
            let help = format!("bring the replicas back, or CONFIG SET min-replicas-to-write {good}");
            Finding::problem("replicas", found, why, help)
        }
        (Some(wanted @ 1..), _) => Finding::fine(
            "replicas",
            format!(
                "class `replicated`: {connected}, and writes are refused with fewer than {wanted} in step"
            ),
        ),
        _ if connected == 0 => Finding::fine("replicas", "none: this server is the only copy"),
        (Some(0), _) => Finding::note(
            "replicas",
            format!("class `replicated`: {connected}, and writes wait for none of them"),
            "a failover loses what the replica that takes over did not have yet, without a bound",
            "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10 bound it to seconds",
        ),
        _ => Finding::fine("replicas", format!("class `replicated`: {connected}")),
    };
    if facts.info.text("role") == "master" { vec![finding] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use brasa_shared::finding::Level;
    use brasa_shared::telemetry::vitals::Info;

    fn facts(info: &str, wanted: &str) -> Facts {
        let settings = BTreeMap::from([("min-replicas-to-write".to_owned(), wanted.to_owned())]);
        Facts { info: Info::parse(info), settings: std::result::Result::Ok(settings), ..Facts::default() }
    }

    #[test]
    fn clusters_and_sentinels_are_a_problem() {
        for info in ["redis_mode:cluster\r\nrole:master", "redis_mode:sentinel", "cluster_enabled:1"] {
            assert_eq!(check(&facts(info, "0"))[0].level, Level::Problem, "{info}");
        }
    }

    #[test]
    fn replicas_are_worth_as_much_as_writes_wait_for_them() {
        let info = "role:master\r\nconnected_slaves:2\r\n";
        assert_eq!(replicas(&facts(info, "0"))[0].level, Level::Note);
        let in_step = format!("{info}min_slaves_good_slaves:2\r\n");
        assert_eq!(replicas(&facts(&in_step, "1"))[0].level, Level::Ok);
        let lost = format!("{info}min_slaves_good_slaves:0\r\n");
        assert_eq!(replicas(&facts(&lost, "1"))[0].level, Level::Problem);
    }
}
