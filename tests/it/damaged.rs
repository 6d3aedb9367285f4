//! Envelopes with random damage: whatever came, it is a job of a fine name or refused, and never a panic.

use brasa_jobs::Envelope;
use brasa_shared::name::check_name;
use brasa_tests::process::is_long;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// How many are damaged; `BRASA_LONG=1` damages a hundred times as many.
const ROUNDS: u32 = 100_000;

/// What comes whole, over the wire and out of Redis.
const WHOLE: [&str; 5] = [
    r#"{"id":"order-1","kind":"sql.run"}"#,
    r#"{"v":1,"id":"01M8Q1SPWDMP5KFQXCTHZ2EG66","kind":"http.post","args":{"name":"hook","body":{"n":[1,2.5,null,"é"]}},"at":1796071004729}"#,
    r#"{"id":"a","kind":"cache.warm","kv":3,"args":{},"priority":9,"due":1796071004729,"attempts":5,"unique":"k","unique_for":5000}"#,
    r#"{"id":"a.b-c","kind":"test.echo","args":{"deep":[[[[{"x":"\u0000\\\"\ud83d\ude00"}]]]]},"share":"s","expires":5,"trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#,
    r#"sql.run{"name":"nap","seconds":250}"#,
];

/// What is put in: all that has a meaning to JSON, to keys, to UTF-8 or to terminals.
const SPLINTERS: [&[u8]; 28] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\0",
    b"\n",
    b"\x1b[2J",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"../",
    b"*",
    b"{}",
    b"\"kind\":\"db.reindex\"",
    b"\"id\":\"b\"",
    b"\"v\":99",
    b"sql.run",
    b" ",
];

fn damage(wire: &mut Vec<u8>, dice: &mut StdRng) {
    let at = dice.random_range(0..=wire.len());
    let end = (at + dice.random_range(0..12_usize)).min(wire.len());
    let piece = match dice.random_range(0..5) {
        0 => Vec::new(),
        1 => wire[at..end].to_vec(),
        2 => vec![dice.random()],
        _ => SPLINTERS[dice.random_range(0..SPLINTERS.len())].to_vec(),
    };
    let end = if dice.random() { end } else { at };
    wire.splice(at..end, piece);
}

#[test]
fn a_damaged_envelope_is_a_job_of_a_fine_name_or_refused() {
    // The same damage on every run.
    let mut dice = StdRng::seed_from_u64(16);
    let (mut read, mut refused) = (0_u32, 0_u32);
    for _ in 0..ROUNDS * if is_long() { 100 } else { 1 } {
        let mut wire = WHOLE[dice.random_range(0..WHOLE.len())].as_bytes().to_vec();
        for _ in 0..=dice.random_range(0..5) {
            damage(&mut wire, &mut dice);
        }
        let shown = String::from_utf8_lossy(&wire).into_owned();
        for envelope in [Envelope::from_wire(&wire), Envelope::from_record("kept-1", &wire)] {
            match envelope {
                Ok(job) => {
                    read += 1;
                    assert!(check_name(&job.kind).is_ok(), "{}: {shown}", job.kind);
                    let again = Envelope::from_wire(&job.to_wire().unwrap()).unwrap();
                    let is_same = again.args.get() == job.args.get();
                    assert!(is_same && (again.id, again.kind) == (job.id, job.kind), "{shown}");
                }
                Err(error) => {
                    refused += 1;
                    let said = error.to_string();
                    assert!(
                        !said.is_empty() && !said.replace("\n  help: ", "").chars().any(char::is_control),
                        "{said:?}: {shown}"
                    );
                }
            }
        }
    }
    assert!(read > ROUNDS / 100 && refused > ROUNDS / 2, "{read} were read, {refused} refused");
}
