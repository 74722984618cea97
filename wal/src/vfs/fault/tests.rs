use super::*;

fn faults_of(script: &Script, calls: &[Call]) -> Vec<bool> {
    let mut counts = Counts::default();
    let due = |call: &Call| {
        counts.count(*call);
        script.due(*call, &counts).is_some()
    };
    calls.iter().map(due).collect()
}

#[test]
fn order_meets_the_nth_call_of_its_kind_and_no_other() {
    use Call::{Change, Look, Read, Sync, SyncDir, Write};
    let calls = [Look, Write, Read, Sync, Change, SyncDir, Sync, Write, Read, SyncDir];
    for (when, at) in [
        (When::Call(1), 0),
        (When::Call(10), 9),
        (When::Change(1), 1),
        (When::Change(3), 4),
        (When::Change(4), 5),
        (When::Write(2), 7),
        (When::Read(1), 2),
        (When::Sync(2), 6),
        (When::DirSync(2), 9),
    ] {
        let mut script = Script::default();
        script.order(when, Fault::CutBefore, false);
        let expected: Vec<bool> = (0..calls.len()).map(|n| n == at).collect();
        assert_eq!(faults_of(&script, &calls), expected, "{when:?}");
    }
}

#[test]
fn order_for_ever_meets_the_nth_call_and_all_later_ones_of_its_kind() {
    let mut script = Script::default();
    script.order(When::Sync(2), Fault::Fail(Failure::Io), true);
    let calls = [Call::Sync, Call::Write, Call::Sync, Call::Write, Call::Sync];
    assert_eq!(faults_of(&script, &calls), [false, false, true, false, true]);
    script.clear();
    assert_eq!(faults_of(&script, &calls), [false; 5]);
}
