use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use savehold_wal::socket::connect;

use super::*;

fn said(refusal: Refusal) -> String {
    format!("{refusal:?}")
}

/// A desk in a directory of its own that answers a line with its length, and panics where it is told to.
fn desk(dir: &Path) -> Desk {
    let answer = |line: &[u8], tell: &mut Tell<'_>| match line {
        b"panic" => panic!("as told"),
        b"count" => {
            (0_u64..).find(|n| tell(n.to_string()).is_break() || *n == 2).unwrap_or_default().to_string()
        }
        b"large" => "x".repeat(SMALL_BYTES + 1),
        line => line.len().to_string(),
    };
    Desk::open(&Env::os(), dir, "CONTROL", said, Box::new(answer)).unwrap()
}

type Client = BufReader<UnixStream>;

fn ask(client: &mut Client, line: &[u8]) -> String {
    client.get_mut().write_all(line).unwrap();
    hear(client)
}

/// The next answer; nothing where the desk has closed the connection.
fn hear(client: &mut Client) -> String {
    let mut heard = String::new();
    let _ = client.read_line(&mut heard);
    heard.trim_end().to_owned()
}

fn client(dir: &Path) -> Client {
    BufReader::new(connect(dir, "CONTROL").unwrap())
}

#[test]
fn lines_are_answered_in_order_however_they_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let desk = desk(dir.path());
    let mut here = client(dir.path());
    assert_eq!(ask(&mut here, b"abc\n"), "3");
    assert_eq!(ask(&mut here, b"\nab\nx"), "0");
    assert_eq!(hear(&mut here), "2");
    assert_eq!(ask(&mut here, b"yz\n"), "3");
    desk.stop();
    assert_eq!(hear(&mut here), "", "it ends with the desk");
    assert!(connect(dir.path(), "CONTROL").is_err());
    desk.stop();
}

#[test]
fn lines_are_told_before_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let _desk = desk(dir.path());
    let mut here = client(dir.path());
    assert_eq!(ask(&mut here, b"count\n"), "0");
    assert_eq!([hear(&mut here), hear(&mut here), hear(&mut here)], ["1", "2", "2"]);
    assert_eq!(ask(&mut here, b"on\n"), "2");
}

/// Nobody listens any more, and whoever tells is told so: else it would tell for ever.
#[test]
fn who_tells_learns_that_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let (gone, goes) = mpsc::channel();
    let answer = move |_: &[u8], tell: &mut Tell<'_>| {
        while tell("x".repeat(1000)).is_continue() {}
        gone.send(()).unwrap();
        String::new()
    };
    let desk = Desk::open(&Env::os(), dir.path(), "CONTROL", said, Box::new(answer)).unwrap();
    client(dir.path()).get_mut().write_all(b"a\n").unwrap();
    goes.recv().unwrap();
    let mut other = client(dir.path());
    other.get_mut().write_all(b"a\n").unwrap();
    assert_eq!(hear(&mut other).len(), 1000);
    desk.stop(); // it ends what is told, too
    goes.recv().unwrap();
}

#[test]
fn a_name_left_behind_by_a_kill_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    drop(Listener::bind(dir.path(), "CONTROL").unwrap()); // the name stays
    let _desk = desk(dir.path());
    assert_eq!(ask(&mut client(dir.path()), b"abc\n"), "3");
}

#[test]
fn a_panic_ends_one_answer_and_a_half_line_its_own_connection() {
    let dir = tempfile::tempdir().unwrap();
    let _desk = desk(dir.path());
    let mut here = client(dir.path());
    assert_eq!(ask(&mut here, b"panic\n"), "Panicked");
    assert_eq!(ask(&mut here, b"on\n"), "2");
    let mut other = client(dir.path());
    other.get_mut().write_all(b"half a li").unwrap();
    drop(other);
    assert_eq!(ask(&mut here, b"on\n"), "2");
}

#[test]
fn one_client_too_many_is_told_to_come_again_and_finds_room_later() {
    let dir = tempfile::tempdir().unwrap();
    let _desk = desk(dir.path());
    let mut all: Vec<Client> = (0..CLIENTS_MAX).map(|_| client(dir.path())).collect();
    for one in &mut all {
        assert_eq!(ask(one, b"a\n"), "1");
    }
    assert_eq!(hear(&mut client(dir.path())), "Crowded");
    assert_eq!(ask(&mut all[0], b"on\n"), "2");
    all.clear();
    while ask_if(&mut client(dir.path())) != "1" {}
}

/// As [`ask`], of a desk that may refuse before it reads.
fn ask_if(client: &mut Client) -> String {
    let _ = client.get_mut().write_all(b"a\n");
    hear(client)
}

#[test]
fn one_large_answer_at_a_time_is_on_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let _desk = desk(dir.path());
    let (mut slow, mut other) = (client(dir.path()), client(dir.path()));
    slow.get_mut().write_all(b"large\n").unwrap();
    let mut first = [0];
    slow.read_exact(&mut first).unwrap(); // it is being written, and does not fit into the pipe
    assert_eq!(ask(&mut other, b"large\n"), "Large");
    assert_eq!(ask(&mut other, b"small\n"), "5");
    assert_eq!(hear(&mut slow).len(), SMALL_BYTES);
    while ask(&mut other, b"large\n") == "Large" {}
}

#[test]
fn stopping_waits_for_an_answer_under_way_and_leaves_no_thread() {
    let dir = tempfile::tempdir().unwrap();
    let (begun, begins) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let goes = Mutex::new(goes);
    let ended = Arc::new(AtomicUsize::new(0));
    let counting = ended.clone();
    let answer = move |_: &[u8], _: &mut Tell<'_>| {
        begun.send(()).unwrap();
        let _ = goes.lock().recv();
        counting.fetch_add(1, Ordering::SeqCst);
        String::new()
    };
    let desk = Desk::open(&Env::os(), dir.path(), "CONTROL", said, Box::new(answer)).unwrap();
    let shared = Arc::downgrade(&desk.shared);
    client(dir.path()).get_mut().write_all(b"a\n").unwrap();
    begins.recv().unwrap();
    std::thread::scope(|scope| {
        let stops = scope.spawn(|| desk.stop());
        drop(go);
        stops.join().unwrap();
    });
    assert_eq!(ended.load(Ordering::SeqCst), 1, "the answer under way came to its end first");
    drop(desk);
    assert!(shared.upgrade().is_none(), "no thread has it any more");
}
