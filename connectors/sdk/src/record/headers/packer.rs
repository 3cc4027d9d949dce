//! `Packer`: the headers of one record after the other, into pieces of memory that many share.

use std::sync::Arc;

use bytes::BytesMut;

use super::{Entry, HeaderName, Headers, Kind};

/// Packs the headers of records that carry the same names: one allocation for many of them.
#[derive(Debug)]
pub struct Packer {
    names: Arc<[HeaderName]>,
    memory: BytesMut,
}

/// The headers of one record under way, in the order of the names. Dropping it gives them up.
#[derive(Debug)]
pub struct Packing<'p> {
    packer: &'p mut Packer,
    place: usize,
    size: usize,
}

impl Packer {
    /// For records with these names, or some of them, in pieces of at least so many bytes.
    pub fn new(names: Arc<[HeaderName]>, piece: usize) -> Self {
        Self { names, memory: BytesMut::with_capacity(piece) }
    }

    /// The names, in the order of their values.
    pub fn names(&self) -> &[HeaderName] {
        &self.names
    }

    /// Begins the next record's.
    pub fn begin(&mut self) -> Packing<'_> {
        self.memory.clear();
        self.memory.resize(self.names.len() * Entry::BYTES, 0);
        Packing { packer: self, place: 0, size: 0 }
    }
}

impl Packing<'_> {
    /// The value of the next name is what `write` appends; where it says `false`, the record has no such header. Returns
    /// what it says.
    ///
    /// # Panics
    /// When there is no next name.
    pub fn put(&mut self, write: impl FnOnce(&mut BytesMut) -> bool) -> bool {
        let before = self.packer.memory.len();
        let is_there = write(&mut self.packer.memory);
        if is_there {
            let value = self.packer.memory.len() - before;
            self.size += self.packer.names[self.place].as_str().len() + value;
            self.enter(Kind::Value);
        } else {
            self.packer.memory.truncate(before);
            self.enter(Kind::Absent);
        }
        is_there
    }

    /// The value of the next name.
    ///
    /// # Panics
    /// When there is no next name.
    pub fn copy(&mut self, value: &[u8]) {
        self.put(|memory| {
            memory.extend_from_slice(value);
            true
        });
    }

    /// The header of the next name is null.
    ///
    /// # Panics
    /// When there is no next name.
    pub fn null(&mut self) {
        self.size += self.packer.names[self.place].as_str().len();
        self.enter(Kind::Null);
    }

    /// The value that was put for this name; empty where there is none.
    pub fn written(&self, name: &str) -> &[u8] {
        let put = &self.packer.names[..self.place];
        let Some(place) = put.iter().position(|known| known.as_str() == name) else { return &[] };
        let (table, values) = self.packer.memory.split_at(self.values());
        &values[Entry::value(table, place)]
    }

    /// How many names have their value: the place of the next one.
    pub fn place(&self) -> usize {
        self.place
    }

    /// The headers; of the names that are left the record has none.
    pub fn end(mut self) -> Headers {
        while self.place < self.packer.names.len() {
            self.enter(Kind::Absent);
        }
        let Self { packer, size, .. } = self;
        Headers { names: Some(packer.names.clone()), packed: packer.memory.split().freeze(), size }
    }

    fn enter(&mut self, kind: Kind) {
        let end = self.packer.memory.len() - self.values();
        Entry { end, kind }.write(&mut self.packer.memory, self.place);
        self.place += 1;
    }

    fn values(&self) -> usize {
        self.packer.names.len() * Entry::BYTES
    }
}
