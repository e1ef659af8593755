//! What is known of a document's chunks as a whole: version vector, heads, the cites of each author.

use vereda_base::Link;
use vereda_protocol::Header;

use super::tables::{Author, DeviceCites, DocumentRow};

impl DocumentRow {
    /// Finds the incarnation that made a chunk.
    pub(super) fn author(&self, header: &Header) -> Option<&Author> {
        self.authors.iter().find(|author| (author.device, author.incarnation) == (header.device, header.incarnation))
    }

    pub(super) fn author_mut(&mut self, header: &Header) -> Option<&mut Author> {
        let of = |author: &&mut Author| (author.device, author.incarnation) == (header.device, header.incarnation);
        self.authors.iter_mut().find(of)
    }

    pub(super) fn cites_of(&self, header: &Header) -> &[vereda_policy::Cite] {
        self.cited.iter().find(|cited| cited.device == header.device).map_or(&[], |cited| &cited.cites)
    }

    /// Takes a chunk in as the document's newest.
    pub(super) fn append(&mut self, header: &Header, link: Link) {
        let position = self.count;
        self.count += 1;
        self.take_in(header, link, position);
        self.note_cites(header);
    }

    /// Takes in a chunk that lies at a position.
    pub(super) fn take_in(&mut self, header: &Header, link: Link, position: u64) {
        self.heads.retain(|head| !header.deps.contains(head));
        if let Err(place) = self.heads.binary_search(&link) {
            self.heads.insert(place, link);
        }
        match self.author_mut(header) {
            Some(author) => {
                author.next_seq = header.seq.saturating_add(1);
                author.last = Some(link);
                author.position = position;
            }
            None => self.authors.push(Author {
                device: header.device,
                incarnation: header.incarnation,
                next_seq: header.seq.saturating_add(1),
                last: Some(link),
                position,
                forked: false,
                closed: false,
            }),
        }
    }

    /// Notes which heads an author cites.
    pub(super) fn note_cites(&mut self, header: &Header) {
        let index = match self.cited.iter().position(|cited| cited.device == header.device) {
            Some(index) => index,
            None => {
                self.cited.push(DeviceCites { device: header.device, cites: Vec::new() });
                self.cited.len() - 1
            }
        };
        let Some(known) = self.cited.get_mut(index) else {
            return;
        };
        for cite in &header.cites {
            match known.cites.iter_mut().find(|known| known.chain == cite.chain) {
                Some(known) => known.head = cite.head,
                None => known.cites.push(*cite),
            }
        }
    }

    /// Begins the row anew, with nothing standing: what its authors cited, and who forked, stays known.
    pub(super) fn emptied(&self) -> Self {
        let authors =
            self.authors.iter().map(|author| Author { next_seq: 0, last: None, position: 0, ..author.clone() });
        Self {
            count: self.count,
            heads: Vec::new(),
            authors: authors.collect(),
            cited: self.cited.clone(),
            skipped: self.skipped.clone(),
        }
    }
}
