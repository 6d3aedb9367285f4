//! Waiting to the microsecond, for jobs that are to take a time and no longer. The timer of the runtime counts whole
//! milliseconds and rounds up, which of a job of 10 ms makes one of 11.2.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

type Nap = (Instant, oneshot::Sender<()>);

static NAPS: OnceLock<Mutex<Sender<Nap>>> = OnceLock::new();

/// Waits that long, and hardly longer.
pub(super) async fn nap(length: Duration) {
    let until = Instant::now() + length;
    let (wake, woken) = oneshot::channel();
    let naps = NAPS.get_or_init(|| {
        let (send, naps) = channel();
        thread::spawn(move || wake_all(&naps));
        Mutex::new(send)
    });
    naps.lock().expect("no panic in here").send((until, wake)).expect("its thread never ends");
    woken.await.expect("whoever naps is woken");
}

/// Wakes each when its time has come.
fn wake_all(begun: &Receiver<Nap>) {
    let (mut order, mut naps, mut count) = (BinaryHeap::new(), BTreeMap::new(), 0_u64);
    loop {
        let rest = order.peek().map(|Reverse((until, _)): &Reverse<(Instant, u64)>| {
            until.saturating_duration_since(Instant::now())
        });
        match begun.recv_timeout(rest.unwrap_or(Duration::from_secs(1))) {
            Ok((until, wake)) => {
                count += 1;
                order.push(Reverse((until, count)));
                naps.insert(count, wake);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(Reverse((until, nap))) = order.peek().copied() {
            if until > Instant::now() {
                break;
            }
            order.pop();
            // Whoever was stopped meanwhile does not wait any more.
            let _is_gone = naps.remove(&nap).is_none_or(|wake: oneshot::Sender<()>| wake.send(()).is_err());
        }
    }
}
