//! Every decoder of the store's formats, on any bytes: none panics, and what is decoded comes back as it was.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use savehold::entry::Entry;
use savehold::format::Format;
use savehold::record::{Effect, Head, HeadWriter};
use savehold::value::{Value, codec, json};

fuzz_target!(|data: &[u8]| {
    head(data);
    entry(data);
    document(Format::Raw, data);
    document(Format::MessagePack, data);
    text(data);
});

/// A head that decodes is written again, byte by byte.
fn head(data: &[u8]) {
    let Ok(head) = Head::decode(data) else { return };
    let mut again = Vec::new();
    let Ok(mut writer) = HeadWriter::begin(&mut again, &head.author) else { return };
    for entry in head.entries() {
        let Ok(entry) = entry else { return };
        let written = match entry.effect {
            Effect::Put(part) => writer.put(entry.collection, entry.key, part),
            Effect::Remove => writer.remove(entry.collection, entry.key),
        };
        written.expect("the same limits when writing and when reading");
    }
    assert_eq!(again, data);
}

fn entry(data: &[u8]) {
    let Ok(entry) = Entry::decode(Bytes::copy_from_slice(data)) else { return };
    let mut again = Vec::new();
    entry.encode(&mut again).expect("the same limits when writing and when reading");
    assert_eq!(again, data);
    document(entry.head.format, &entry.value);
}

/// A document that decodes is encoded and decoded to itself, and so is its text.
fn document(format: Format, data: &[u8]) {
    let Ok(value) = codec::decode::<Value>(format, data) else { return };
    come_back(&value);
}

fn text(data: &[u8]) {
    let Ok(value) = json::from_slice(data) else { return };
    come_back(&value);
}

fn come_back(value: &Value) {
    let mut bytes = Vec::new();
    if let Ok(format) = codec::encode(value, &mut bytes) {
        assert_same(value, &codec::decode(format, &bytes).expect("it was just encoded"));
    }
    if let Ok(text) = json::to_string(value) {
        assert_same(value, &json::from_str(&text).expect("it was just written"));
    }
}

/// Equal, where a NaN equals itself: compared by what they are written as.
fn assert_same(a: &Value, b: &Value) {
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
}
