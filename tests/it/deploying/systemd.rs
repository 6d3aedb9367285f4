//! deploy/systemd: the units.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use brasa::servers::Scratch;
use brasa_shared::config::Config;

use super::{PROCESSES, text, time_to_end, verb};

fn unit(process: &str) -> String {
    text(&format!("deploy/systemd/brasa-{process}.service"))
}

/// What a unit sets a name to, as often as it does.
fn values(unit: &str, name: &str) -> Vec<String> {
    unit.lines().filter_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned())).collect()
}

#[test]
fn units_start_verbs_that_there_are_and_give_them_the_time_to_end() {
    // Where nothing else is written, as in the file that the units are installed with.
    let config = Config::parse("", "brasa.toml".as_ref(), &|_| None).unwrap();
    let mut places = BTreeSet::new();
    for process in PROCESSES {
        let unit = unit(process);
        let started = values(&unit, "ExecStart").remove(0);
        let words: Vec<&str> = started.split(' ').collect();
        assert_eq!((words[0], verb(&words[1..])), ("/usr/local/bin/brasa", process));
        let given = values(&unit, "TimeoutStopSec").remove(0).parse().unwrap();
        let needed = time_to_end(process, &config);
        assert!(Duration::from_secs(given) > needed, "{process}: {given} s, and not {needed:?}");
        let environment = values(&unit, "Environment");
        places.extend(environment.iter().filter(|line| line.starts_with("BRASA_LISTEN=127.0.0.1:")).cloned());
        assert!(environment.contains(&"BRASA_CONFIG=/etc/brasa/brasa.toml".to_owned()), "{process}");
        assert_eq!(values(&unit, "RestartPreventExitStatus"), ["2"], "{process}");
    }
    assert_eq!(places.len(), PROCESSES.len(), "on one machine each needs a port of its own: {places:?}");
}

#[test]
fn the_table_of_the_manual_is_that_of_the_units() {
    let manual = text("deploy/systemd/README.md");
    for process in PROCESSES {
        let unit = unit(process);
        let row = manual.lines().find(|line| line.starts_with(&format!("| `brasa-{process}`"))).unwrap();
        let memory = values(&unit, "MemoryMax").remove(0).replace('M', " MiB");
        let time = format!("{} s", values(&unit, "TimeoutStopSec").remove(0));
        let environment = values(&unit, "Environment");
        let place = environment.iter().find_map(|line| line.strip_prefix("BRASA_LISTEN=")).unwrap();
        for told in [memory.as_str(), &time, place] {
            assert!(row.contains(told), "{told}: {row}");
        }
    }
}

/// Where there is no systemd, this says so on standard error.
#[test]
fn systemd_is_content_with_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        let note = "SKIPPED: nobody looked at the units, for there is no systemd-analyze\n";
        return std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    let scratch = Scratch::new().unwrap();
    for process in PROCESSES {
        // It wants to see the program that a unit starts.
        let unit = unit(process).replace("/usr/local/bin/brasa", "/bin/sh");
        let file = scratch.path().join(format!("brasa-{process}.service"));
        fs::write(&file, unit).unwrap();
        let run = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        let own: Vec<&str> = said.lines().filter(|line| line.contains("brasa")).collect();
        assert!(run.status.success() && own.is_empty(), "{said}");
    }
}
