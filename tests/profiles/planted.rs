//! Faults planted in profiles, each of which a named test of this suite notices.

use std::panic::{AssertUnwindSafe, catch_unwind};

use savehold::Result;
use savehold::planted::{Fault, plant};

use crate::{incidents, playing, scenarios};

/// Whether a test that holds of a sound store fails of one with the fault.
fn notices(fault: Fault, test: impl Fn() -> Result<()>) -> bool {
    plant(Some(fault));
    let ran = catch_unwind(AssertUnwindSafe(&test));
    plant(None);
    assert!(test().is_ok(), "the test holds without {fault:?}");
    !matches!(ran, Ok(Ok(())))
}

#[test]
fn a_template_over_an_unreadable_document_is_noticed() {
    let test = scenarios::s07_a_document_that_cannot_be_read_refuses_the_session_and_stays;
    assert!(notices(Fault::TemplateOver, test));
}

#[test]
fn an_autosave_that_skips_a_changed_profile_is_noticed() {
    let test = playing::an_update_is_seen_at_once_and_in_the_log_within_the_autosave_time;
    assert!(notices(Fault::SkipChanged, test));
}

#[test]
fn mail_that_is_acknowledged_apart_from_its_effect_is_noticed() {
    let test = scenarios::s10_mail_to_a_key_never_loaded_has_its_effect_once_with_a_crash_at_every_step;
    assert!(notices(Fault::MailApart, || {
        test();
        Ok(())
    }));
}

#[test]
fn a_session_that_ends_without_its_last_save_is_noticed() {
    let test = scenarios::s13_the_owners_last_edit_in_a_handoff_is_stored;
    assert!(notices(Fault::ReleaseUnsaved, test));
}

#[test]
fn a_transaction_that_leaves_out_what_was_not_saved_is_noticed() {
    assert!(notices(Fault::EditSaved, || {
        incidents::split_rewind_house_and_purse_do_not_go_back_apart();
        Ok(())
    }));
}

#[test]
fn a_save_that_drops_what_the_type_does_not_know_is_noticed() {
    let test =
        scenarios::s14_an_old_build_writes_what_a_newer_compatible_one_wrote_and_the_new_field_survives;
    assert!(notices(Fault::ForgetUnknown, test));
}
