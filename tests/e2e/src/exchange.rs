//! One address for several devices, told apart by what their address says after `?device=`: each has a line of its own
//! that is recorded and cut by itself. A relay can take the address over afterwards: devices notice no difference.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::{
    process::ask_again_soon,
    proxy::{Line, Proxy},
};

/// How long the first line of a connection may take.
const FIRST_LINE: Duration = Duration::from_secs(5);

/// The listener that several lines stand behind.
pub struct Exchange {
    address: SocketAddr,
    is_closing: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl Exchange {
    /// Listens on a loopback port (0 takes a free one) and forwards to `target` over one line a device, in the order of
    /// `devices`. Connections of others are refused.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start(port: u16, target: SocketAddr, devices: &[&str]) -> Result<(Self, Vec<Proxy>)> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let address = listener.local_addr()?;
        let lines: Vec<Proxy> = devices.iter().map(|_| Proxy::behind(address, target, Line::default(), true)).collect();
        let named: Vec<(String, Proxy)> =
            devices.iter().zip(&lines).map(|(device, line)| (format!("device={device} "), line.share())).collect();
        let named = Arc::new(named);
        let is_closing = Arc::new(AtomicBool::new(false));
        let closing = Arc::clone(&is_closing);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if closing.load(Ordering::SeqCst) {
                    return;
                }
                let named = Arc::clone(&named);
                // A connection that is refused just ends: the device sees a closed socket.
                thread::spawn(move || drop(connect(&named, stream)));
            }
        });
        Ok((Self { address, is_closing, accepting }, lines))
    }

    /// Where devices connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, so that another may take the address over.
    ///
    /// # Errors
    /// When the listener cannot be woken or has died.
    pub fn close(self) -> Result<()> {
        self.is_closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address)?);
        self.accepting.join().map_err(|_| anyhow!("the exchange ended by a panic"))
    }
}

fn connect(named: &[(String, Proxy)], stream: TcpStream) -> Result<()> {
    let first = first_line(&stream)?;
    let line = named.iter().find(|(label, _)| first.contains(label.as_str()));
    let (_, line) = line.ok_or_else(|| anyhow!("a connection that names no device"))?;
    line.serve(stream)
}

/// Reads the request line without taking it off the stream.
fn first_line(stream: &TcpStream) -> Result<String> {
    stream.set_read_timeout(Some(FIRST_LINE))?;
    let started = Instant::now();
    let mut buffer = [0; 2 << 10];
    let line = loop {
        let count = stream.peek(&mut buffer)?;
        let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
        if let Some((line, _)) = text.split_once("\r\n") {
            break line.to_owned();
        }
        anyhow::ensure!(count > 0 && started.elapsed() < FIRST_LINE, "a connection without a request");
        ask_again_soon();
    };
    stream.set_read_timeout(None)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn devices_at_one_address_have_lines_of_their_own_and_the_address_can_be_taken_over() {
        let relay = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = relay.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in relay.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut copy = stream.try_clone().unwrap();
                    std::io::copy(&mut stream, &mut copy).ok();
                });
            }
        });
        let (exchange, lines) = Exchange::start(0, target, &["a", "ab"]).unwrap();
        let speak = |device: &str| {
            let mut stream = TcpStream::connect(exchange.address()).unwrap();
            let request = format!("GET /sync?device={device} HTTP/1.1\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut back = vec![0; request.len()];
            stream.read_exact(&mut back).ok().map(|()| back.len() as u64)
        };
        let sent = speak("ab").unwrap();
        assert_eq!((lines[0].bytes(), lines[1].bytes()), ((0, 0), (sent, sent)));
        lines[1].cut();
        assert_eq!((speak("ab"), speak("c")), (None, None));
        assert!(speak("a").is_some());
        let address = exchange.address();
        exchange.close().unwrap();
        TcpListener::bind(address).unwrap();
    }
}
