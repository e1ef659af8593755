//! A TCP proxy between device and relay: records every byte, and can cut, slow and delay the network.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::frames::payloads;

/// How the line behaves. All zero: as fast as it goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// One-way delay added to every read.
    pub latency: Duration,
    /// Bytes per second each way; 0 for no limit.
    pub bytes_per_second: u64,
    /// Cuts the connection after so many bytes, both ways added up; 0 for never.
    pub cut_every_bytes: u64,
}

/// What passed over one connection.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// From device to relay.
    pub up: Vec<u8>,
    /// From relay to device.
    pub down: Vec<u8>,
}

/// A running proxy. Dropping it closes the listener's loop at the next connection.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: SocketAddr,
    line: Line,
    is_open: AtomicBool,
    is_recording: bool,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
    connections: AtomicU64,
    recordings: Mutex<Vec<Recording>>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free loopback port and forwards to `target`.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(target: SocketAddr, line: Line, is_recording: bool) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let proxy = Self::behind(listener.local_addr()?, target, line, is_recording);
        let accepting = Arc::clone(&proxy.state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A connection refused by a cut network just ends: the device sees a closed socket.
                drop(accepting.serve(stream));
            }
        });
        Ok(proxy)
    }

    /// Makes a proxy whose connections somebody else accepts at `address` and hands over.
    pub(crate) fn behind(address: SocketAddr, target: SocketAddr, line: Line, is_recording: bool) -> Self {
        let state = Arc::new(State {
            target,
            line,
            is_open: AtomicBool::new(true),
            is_recording,
            up_bytes: AtomicU64::new(0),
            down_bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            recordings: Mutex::default(),
            streams: Mutex::default(),
        });
        Self { address, state }
    }

    /// Takes over a connection of a device.
    ///
    /// # Errors
    /// When the relay is not there.
    pub(crate) fn serve(&self, device: TcpStream) -> Result<()> {
        self.state.serve(device)
    }

    /// Makes a second handle on the same proxy.
    pub(crate) fn share(&self) -> Self {
        Self { address: self.address, state: Arc::clone(&self.state) }
    }

    /// Where devices connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the network: ends what runs, refuses what comes.
    pub fn cut(&self) {
        self.state.is_open.store(false, Ordering::SeqCst);
        self.state.end_all();
    }

    /// Brings the network back.
    pub fn mend(&self) {
        self.state.is_open.store(true, Ordering::SeqCst);
    }

    /// Bytes so far from device to relay and from relay to device.
    pub fn bytes(&self) -> (u64, u64) {
        (self.state.up_bytes.load(Ordering::SeqCst), self.state.down_bytes.load(Ordering::SeqCst))
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Copies all recorded bytes as they passed: connection by connection, first one way, then the other. What clients
    /// send is masked; see [`Proxy::traffic`].
    pub fn recording(&self) -> Vec<u8> {
        self.recordings().into_iter().flat_map(|kept| [kept.up, kept.down]).flatten().collect()
    }

    /// Copies everything recorded twice: as it passed, and with the masks of the websocket frames taken off.
    pub fn traffic(&self) -> Vec<u8> {
        let mut traffic = Vec::new();
        for Recording { up, down } in self.recordings() {
            for way in [up, down] {
                traffic.extend(payloads(&way));
                traffic.extend(way);
            }
        }
        traffic
    }

    /// Copies what was recorded, connection by connection.
    pub fn recordings(&self) -> Vec<Recording> {
        self.state.recordings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    fn serve(self: &Arc<Self>, device: TcpStream) -> Result<()> {
        if !self.is_open.load(Ordering::SeqCst) {
            device.shutdown(Shutdown::Both)?;
            return Ok(());
        }
        let relay = TcpStream::connect(self.target)?;
        device.set_nodelay(true)?;
        relay.set_nodelay(true)?;
        self.connections.fetch_add(1, Ordering::SeqCst);
        let number = {
            let mut recordings = self.recordings.lock().unwrap_or_else(PoisonError::into_inner);
            recordings.push(Recording::default());
            recordings.len() - 1
        };
        let budget = Arc::new(AtomicU64::new(self.line.cut_every_bytes));
        {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.push(device.try_clone()?);
            streams.push(relay.try_clone()?);
        }
        let (up, down) = (Arc::clone(self), Arc::clone(self));
        let (device2, relay2, budget2) = (device.try_clone()?, relay.try_clone()?, Arc::clone(&budget));
        thread::spawn(move || {
            up.pump(device, relay, &up.up_bytes, &budget, |bytes| up.record(number, |kept| &mut kept.up, bytes));
        });
        thread::spawn(move || {
            let record = |bytes: &[u8]| down.record(number, |kept| &mut kept.down, bytes);
            down.pump(relay2, device2, &down.down_bytes, &budget2, record);
        });
        Ok(())
    }

    fn record(&self, number: usize, way: impl Fn(&mut Recording) -> &mut Vec<u8>, bytes: &[u8]) {
        if !self.is_recording {
            return;
        }
        let mut recordings = self.recordings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recording) = recordings.get_mut(number) {
            way(recording).extend_from_slice(bytes);
        }
    }

    fn pump(
        &self,
        mut from: TcpStream,
        mut to: TcpStream,
        counter: &AtomicU64,
        budget: &AtomicU64,
        record: impl Fn(&[u8]),
    ) {
        let mut buffer = vec![0; 16 << 10];
        let started = Instant::now();
        let mut sent = 0_u64;
        while let Ok(count) = from.read(&mut buffer) {
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            if !self.is_open.load(Ordering::SeqCst) {
                break;
            }
            if !self.line.latency.is_zero() {
                thread::sleep(self.line.latency);
            }
            counter.fetch_add(count as u64, Ordering::SeqCst);
            record(bytes);
            if to.write_all(bytes).is_err() {
                break;
            }
            sent += count as u64;
            if self.line.bytes_per_second > 0 {
                let due = Duration::from_secs_f64(sent as f64 / self.line.bytes_per_second as f64);
                thread::sleep(due.saturating_sub(started.elapsed()));
            }
            if self.line.cut_every_bytes > 0 {
                let left = budget
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(count as u64)));
                if left.is_ok_and(|left| left <= count as u64) {
                    break;
                }
            }
        }
        // Either side may be gone already; both directions end together.
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    }

    fn end_all(&self) {
        for stream in self.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut copy = stream.try_clone().unwrap();
                    std::io::copy(&mut stream, &mut copy).ok();
                });
            }
        });
        address
    }

    #[test]
    fn bytes_pass_and_are_recorded_both_ways() {
        let proxy = Proxy::start(echo(), Line::default(), true).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).unwrap();
        let recordings = proxy.recordings();
        assert_eq!((&back, proxy.bytes(), recordings.len()), (b"hello", (5, 5), 1));
        assert_eq!(
            (recordings[0].up.as_slice(), recordings[0].down.as_slice()),
            (b"hello".as_slice(), b"hello".as_slice())
        );
    }

    #[test]
    fn a_cut_ends_connections_and_refuses_new_ones_until_mended() {
        let proxy = Proxy::start(echo(), Line::default(), false).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        proxy.cut();
        assert!(!matches!(stream.read(&mut [0; 5]), Ok(1..)));
        let mut refused = TcpStream::connect(proxy.address()).unwrap();
        assert!(!matches!(refused.read(&mut [0; 5]), Ok(1..)));
        proxy.mend();
        let mut again = TcpStream::connect(proxy.address()).unwrap();
        again.write_all(b"again").unwrap();
        again.read_exact(&mut [0; 5]).unwrap();
    }
}
