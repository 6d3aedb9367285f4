//! Redis answers otherwise than it should: it is a replica, it loads, it is busy, it has forgotten every script, it
//! hangs up.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use redis::{Client, Cmd, cmd};

use super::crew::Crew;
use super::stage::Stage;
use super::{Plan, Report};

/// Jobs that come in one round.
const JOBS: usize = 20;
/// Open jobs at which no more come.
const BACKLOG: u64 = 60;
/// How long the weather lasts.
const SPELL_MS: std::ops::Range<u64> = 200..1_500;
/// How much longer Redis takes to load each key, in µs, so that it is seen loading.
const LOAD_DELAY_US: u32 = 200;

/// What Redis may be like.
const WEATHER: [Weather; 6] = [
    Weather::Replica,
    Weather::Loading,
    Weather::Busy,
    Weather::Forgetful,
    Weather::HangingUp,
    Weather::Impatient,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Replica,
    Loading,
    Busy,
    Forgetful,
    HangingUp,
    Impatient,
}

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let extra = [("busy-reply-threshold", "50"), ("key-load-delay", &LOAD_DELAY_US.to_string())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = brasa::servers::RedisOptions { extra: extra.into(), ..Default::default() };
    let mut stage = Stage::on("concurrency = 8\nlease = \"5s\"\ncrashes_max = 100", options);
    let mut crew = Crew::start(stage.team(), 2);
    let offset = plan.dice.random_range(0..WEATHER.len());
    for round in 0..plan.rounds as usize {
        stage.open_at_most(BACKLOG).await;
        let jobs = stage.notes(|| plan.dice.random_range(0..60), JOBS);
        stage.enqueue(&jobs[..JOBS / 2]).await;
        let spell = Duration::from_millis(plan.dice.random_range(SPELL_MS));
        weather(&mut stage, WEATHER[(offset + round) % WEATHER.len()], spell).await;
        stage.enqueue(&jobs[JOBS / 2..]).await;
    }
    let last = Instant::now();
    stage.drained(&mut report, last).await;
    crew.fallen().into_iter().for_each(|fallen| report.demand(false, fallen));
    stage.judge(&mut report).await;
    crew.dismiss().await;
    let counts = stage.queue.counts().await.expect("counts");
    report.demand(counts.dead == 0, format!("{} good jobs are in the dead letter", counts.dead));
    report.note(format!("in turn: {WEATHER:?}"));
    report
}

async fn weather(stage: &mut Stage, weather: Weather, spell: Duration) {
    let say = async |command: &Cmd| say(stage.redis.url(), command).await;
    match weather {
        Weather::Replica => {
            // Nothing listens there, so it keeps its data and waits.
            say(cmd("REPLICAOF").arg("127.0.0.1").arg(1)).await;
            tokio::time::sleep(spell).await;
            say(cmd("REPLICAOF").arg("NO").arg("ONE")).await;
        }
        Weather::Loading => {
            stage.kill_redis().await;
            stage.redis.restart().expect("Redis starts again");
        }
        Weather::Busy => {
            let url = stage.redis.url().to_owned();
            let held = tokio::spawn(async move {
                let client = Client::open(url).expect("an address");
                let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
                let forever = cmd("EVAL").arg("while true do end").arg(0).to_owned();
                forever.query_async::<redis::Value>(&mut connection).await
            });
            tokio::time::sleep(spell).await;
            say(cmd("SCRIPT").arg("KILL")).await;
            drop(held.await.expect("a foreign script ends"));
        }
        Weather::Forgetful => say(cmd("SCRIPT").arg("FLUSH")).await,
        Weather::HangingUp => {
            for kind in ["normal", "pubsub"] {
                say(cmd("CLIENT").arg("KILL").arg("TYPE").arg(kind)).await;
            }
        }
        Weather::Impatient => {
            say(cmd("CONFIG").arg("SET").arg("timeout").arg(1)).await;
            tokio::time::sleep(spell).await;
            say(cmd("CONFIG").arg("SET").arg("timeout").arg(0)).await;
        }
    }
}

/// Says something over a connection of its own, which waits for nothing and tries nothing again.
async fn say(url: &str, command: &Cmd) {
    let client = Client::open(url).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    // A script that has ended by itself, say, is no reason to give up.
    drop(command.query_async::<redis::Value>(&mut connection).await);
}
