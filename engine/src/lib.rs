//! An embedded storage engine for data that must not be lost and must have one writer at a time.
