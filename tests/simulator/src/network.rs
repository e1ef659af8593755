//! Connections: frames in order within one, in any order between several; any frame may be the last.

use std::collections::{BTreeMap, VecDeque};

use vereda_sync::relay::SessionId;

use crate::proxy::Proxy;

/// Names a connection, in the order in which devices asked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What travels.
#[derive(Debug)]
pub enum Parcel {
    /// A binary frame.
    Frame(Vec<u8>),
    /// The sender closed.
    End,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// Whose device asked for it.
    pub who: usize,
    /// Which of the relay's histories it leads to.
    pub branch: u8,
    /// The session at the relay, while there is one.
    pub session: Option<SessionId>,
    /// On the way to the relay.
    pub up: VecDeque<Parcel>,
    /// On the way to the device.
    pub down: VecDeque<Parcel>,
    /// When the last parcel up arrives.
    pub up_due: u64,
    /// When the last parcel down arrives.
    pub down_due: u64,
    /// Nothing new gets through.
    pub is_broken: bool,
    /// The device let go of it.
    pub is_abandoned: bool,
    /// Changes frames, for mutations.
    pub proxy: Proxy,
}

/// All connections, those that an end still believes in included.
#[derive(Debug, Default)]
pub struct Network {
    connections: BTreeMap<ConnectionId, Connection>,
    next: u64,
}

impl Network {
    /// Begins a connection.
    pub fn begin(&mut self, who: usize, branch: u8, proxy: Proxy) -> ConnectionId {
        self.next += 1;
        let id = ConnectionId(self.next);
        let connection = Connection {
            who,
            branch,
            session: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_due: 0,
            down_due: 0,
            is_broken: false,
            is_abandoned: false,
            proxy,
        };
        self.connections.insert(id, connection);
        id
    }

    /// Finds a connection.
    pub fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// Finds the connection of a session.
    pub fn of_session(&self, session: SessionId) -> Option<ConnectionId> {
        self.connections.iter().find(|(_, connection)| connection.session == Some(session)).map(|(id, _)| *id)
    }

    /// Lists all connections.
    pub fn ids(&self) -> Vec<ConnectionId> {
        self.connections.keys().copied().collect()
    }

    /// Lists the connections that work.
    pub fn working(&self) -> Vec<ConnectionId> {
        let works = |connection: &Connection| !connection.is_broken && !connection.is_abandoned;
        self.connections.iter().filter(|(_, connection)| works(connection)).map(|(id, _)| *id).collect()
    }

    /// Says whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.connections.values().all(|connection| {
            let is_up_idle = connection.session.is_none() || connection.up.is_empty();
            is_up_idle && (connection.is_abandoned || connection.down.is_empty())
        })
    }

    /// Forgets a connection that neither end knows any more.
    pub fn forget_ended(&mut self) {
        self.connections.retain(|_, connection| !connection.is_abandoned || connection.session.is_some());
    }
}
