//! The suite sees loss: each fault planted in the log is found within a bounded number of images.

use savehold_wal::planted::{Planted, plant};
use support::history::Finding;

use crate::exhaustive::{crash_in_last_step, workloads};
use crate::faults::{SCRIPTS, counts, run as run_faults, troubles};
use crate::images::{Depth, Tally};
use crate::random;

/// Takes the fault out again, whatever happens.
struct Out;

impl Drop for Out {
    fn drop(&mut self) {
        plant(None);
    }
}

/// Where a fault shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// After power cuts and kills.
    Crash,
    /// After failing calls.
    Failure,
}

/// Runs the suite's cases, the short ones first, until one finds something.
fn hunt(shows: Shows) -> Result<(), Finding> {
    if shows == Shows::Failure {
        return failures();
    }
    let mut tally = Tally::default();
    for length in 1..=2 {
        let depth = Depth { levels: 1, stride: 3, deeper: 1, random: 2 };
        for steps in workloads(length) {
            crash_in_last_step(&steps, &mut tally, depth)?;
        }
    }
    for seed in 0..40 {
        random::run(seed)?;
    }
    Ok(())
}

fn failures() -> Result<(), Finding> {
    for script in SCRIPTS {
        for (life, counts) in counts(script).into_iter().enumerate() {
            troubles(counts).step_by(5).try_for_each(|trouble| run_faults(script, life, trouble))?;
        }
    }
    Ok(())
}

fn caught(fault: Planted, shows: Shows) {
    let _out = Out;
    plant(Some(fault));
    let found = std::panic::catch_unwind(|| hunt(shows));
    plant(None);
    match found {
        Ok(Ok(())) => panic!("{fault:?} was not noticed"),
        Ok(Err(finding)) => println!("{fault:?}: {finding}"),
        Err(_) => panic!("{fault:?} made something panic, which is no finding"),
    }
}

macro_rules! caught {
    ($($name:ident: $fault:ident, $shows:ident;)*) => {
        $(#[test]
        fn $name() {
            caught(Planted::$fault, Shows::$shows);
        })*
    };
}

caught! {
    a_skipped_file_sync_is_noticed: SkipFileSync, Crash;
    a_skipped_sync_of_the_segment_before_is_noticed: SkipPredecessorSync, Crash;
    a_skipped_header_sync_is_noticed: SkipHeaderSync, Crash;
    a_skipped_directory_sync_behind_a_prepared_segment_is_noticed: SkipPrepareDirSync, Crash;
    a_skipped_directory_sync_behind_manifest_is_noticed: SkipManifestDirSync, Crash;
    a_skipped_sync_of_a_rest_segment_is_noticed: SkipRestSync, Crash;
    an_ignored_sync_error_is_noticed: IgnoreSyncError, Failure;
    an_early_acknowledgement_is_noticed: AcknowledgeEarly, Crash;
    a_group_that_claims_too_much_is_noticed: ClaimTooMuch, Crash;
    appending_behind_a_torn_tail_is_noticed: AppendBehindTorn, Crash;
    a_rest_segment_not_written_is_noticed: SkipRest, Crash;
    trust_in_the_cache_is_noticed: TrustCache, Failure;
    a_segment_named_too_late_is_noticed: NameLate, Crash;
    places_handed_out_twice_are_noticed: ReusePlaces, Crash;
    a_stale_clean_end_is_noticed: KeepCleanEnd, Crash;
    sources_removed_before_manifest_forgets_them_are_noticed: RemoveSourcesEarly, Crash;
}
