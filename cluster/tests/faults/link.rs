//! A way to the store that can be cut: bytes wait in it until it is mended.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

pub(crate) struct Link {
    port: u16,
    is_cut: Arc<AtomicBool>,
    target: Arc<AtomicU16>,
}

impl Link {
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (port, is_cut) = (listener.local_addr().expect("a port").port(), Arc::new(AtomicBool::new(false)));
        let (shared, target) = (is_cut.clone(), Arc::new(AtomicU16::new(target)));
        let to = target.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Relaxed: seen soon enough.
                let Ok(far) = TcpStream::connect(("127.0.0.1", to.load(Ordering::Relaxed))) else { continue };
                for stream in [&near, &far] {
                    stream.set_nodelay(true).expect("a socket");
                }
                let (near2, far2) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
                pump(near, far, shared.clone());
                pump(far2, near2, shared.clone());
            }
        });
        Self { port, is_cut, target }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Connections that are made from now on lead there.
    pub(crate) fn lead_to(&self, target: u16) {
        // Relaxed: seen soon enough.
        self.target.store(target, Ordering::Relaxed);
    }

    pub(crate) fn cut(&self, is_cut: bool) {
        // Relaxed: seen soon enough.
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, is_cut: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 16_384];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            while is_cut.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}
