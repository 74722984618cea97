use std::cell::Cell;

use super::*;

fn fails(text: &'static str) -> io::Result<u32> {
    Err(io::Error::new(io::ErrorKind::StorageFull, text))
}

#[test]
fn open_latch_passes_answers_through() {
    let latch = Latch::new();
    assert_eq!(latch.guard(|| Ok(7)).unwrap(), 7);
    assert!(latch.failure().is_none());
    latch.check().unwrap();
}

#[test]
fn first_failure_refuses_the_rest_with_the_same_error_and_runs_nothing() {
    let latch = Latch::new();
    assert_eq!(latch.guard(|| fails("first")).unwrap_err().to_string(), "first");
    let ran = Cell::new(false);
    let again = latch.clone().guard(|| {
        ran.set(true);
        fails("second")
    });
    let again = again.unwrap_err();
    assert!(!ran.get());
    assert_eq!((again.kind(), again.to_string()), (io::ErrorKind::StorageFull, "first".to_owned()));
    assert_eq!(latch.failure().unwrap().to_string(), "first");
}

#[test]
fn number_of_the_system_survives_copying() {
    let latch = Latch::new();
    let number = rustix::io::Errno::IO.raw_os_error();
    latch.guard(|| Err::<(), _>(io::Error::from_raw_os_error(number))).unwrap_err();
    assert_eq!(latch.guard(|| Ok(())).unwrap_err().raw_os_error(), Some(number));
}

#[test]
fn failure_elsewhere_while_a_call_is_under_way_fails_that_call_too() {
    let latch = Latch::new();
    let outcome = latch.guard(|| {
        latch.guard(|| fails("elsewhere")).unwrap_err();
        Ok(())
    });
    assert_eq!(outcome.unwrap_err().to_string(), "elsewhere");
}

#[test]
fn latch_shut_by_hand_keeps_the_earlier_reason() {
    let latch = Latch::new();
    assert_eq!(latch.shut(io::Error::other("one")).to_string(), "one");
    assert_eq!(latch.shut(io::Error::other("two")).to_string(), "one");
}
