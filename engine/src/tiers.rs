//! Pure: which tables are merged next.
//!
//! Tables double: the newest ones are merged once there are four of them, together with each older neighbour that is no
//! larger than all of them. So a version is written again about once each time the index doubles, and there are few
//! tables however large it is.

/// Tables of about the same size that are left alone.
const LEFT_ALONE: usize = 3;

/// How many of the newest tables are to be merged; `None`: nothing is to be done. `versions` are those of each table, newest
/// first.
pub(crate) fn due(versions: &[u64]) -> Option<usize> {
    let mut begin = 0;
    while begin < versions.len() {
        // a run of neighbours, from `begin` on, of which none is much larger than all before it together
        let (mut sum, mut end) = (versions[begin], begin + 1);
        while end < versions.len() && versions[end] <= sum.max(1) {
            sum += versions[end];
            end += 1;
        }
        if end - begin > LEFT_ALONE {
            return Some(end);
        }
        begin += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_of_a_size_are_merged_with_what_is_no_larger() {
        for (versions, expected) in [
            (&[][..], None),
            (&[5], None),
            (&[1, 1, 1], None),
            (&[1, 1, 1, 1], Some(4)),
            (&[1, 1, 1, 1, 4, 8, 100], Some(6)),
            (&[1, 1, 1, 100, 100, 100, 100], Some(7)),
            (&[1, 9, 80, 700], None),
        ] {
            assert_eq!(due(versions), expected, "{versions:?}");
        }
    }

    #[test]
    fn tables_stay_few_and_each_version_is_written_few_times() {
        let (mut tables, mut written): (Vec<u64>, u64) = (Vec::new(), 0);
        for n in 1..=10_000 {
            tables.insert(0, 100);
            while let Some(count) = due(&tables) {
                let merged = tables.drain(..count).sum();
                written += merged;
                tables.insert(0, merged);
            }
            assert!(tables.len() <= 20, "{} tables after {n}", tables.len());
        }
        assert!(written <= 15 * 10_000 * 100, "each version is written {} times", written / 1_000_000);
    }
}
