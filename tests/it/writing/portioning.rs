//! Rows of very different sizes: a batch is as large as it may be, and nothing is left out.

use brasa_jobs::writes::Gatherer;
use brasa_shared::db::writes::StreamOf;
use brasa_shared::place::Place;
use brasa_shared::streams::Room;
use brasa_tests::World;

use super::{CONFIG, streams};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_all_of_it_in_batches_that_are_not_too_large() {
    let (world, sizes) = (World::of_queues(), [(1_000, 10), (40, 100_000), (3, 3 << 20), (700, 10)]);
    let streams = streams(&world);
    let room = Room { entries: 10_000, drops_oldest: false };
    for (count, size) in sizes {
        let rows: Vec<Vec<u8>> = (0..count).map(|_| vec![b'x'; size]).collect();
        for rows in rows.chunks(100) {
            let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
            streams.add("visits", 0, &rows, room).await.unwrap();
        }
    }
    let config = world.config(CONFIG);
    let (write, stream) = (&config.writes["visits"], StreamOf { name: "visits".to_owned(), part: 0 });
    let (mut gatherer, mut behind, mut found) =
        (Gatherer::new(&streams, write, &stream), Place::default(), Vec::new());
    let mut counts = Vec::new();
    loop {
        let batch = gatherer.next(behind, Place::default()).await.unwrap();
        let Some(last) = batch.last() else { break };
        assert!(last.place > behind);
        behind = last.place;
        let lengths: Vec<usize> = batch.iter().map(|entry| entry.row.as_ref().unwrap().len()).collect();
        assert!(lengths.len() == 1 || lengths.iter().sum::<usize>() <= 1 << 20, "{lengths:?}");
        counts.push(lengths.len());
        found.extend(lengths);
    }
    let wanted: Vec<usize> = sizes.iter().flat_map(|(count, size)| vec![*size; *count]).collect();
    assert_eq!(found, wanted);
    assert_eq!((counts[0], counts.last()), (1_010, Some(&700)), "a batch is more than a portion: {counts:?}");
}
