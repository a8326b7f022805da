//! Whatever stands in a forwarding header: a client's key comes from it only where a trusted proxy vouches for it; and
//! whatever stands in a RateLimit field, the parser answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tidegate::http::fields::{parse_policies, parse_service_limits};
use tidegate::http::{ClientAddress, parse_address};

static CLIENTS: LazyLock<[ClientAddress; 2]> = LazyLock::new(|| {
    ["x-forwarded-for", "forwarded"].map(|header| {
        let clients = ClientAddress::new().with_trusted(["private", "unix"]).expect("networks");
        clients.with_header(header).expect("a header")
    })
});

fuzz_target!(|input: (&str, Vec<&[u8]>)| {
    let (peer, lines) = input;
    let [plain, forwarded] = &*CLIENTS;
    for (clients, added) in [(plain, "203.0.113.9"), (forwarded, "for=203.0.113.9")] {
        let key = clients.key(peer, lines.iter().copied());
        let address = clients.address(peer, lines.iter().copied());
        // A key is the same for every way to write the address.
        assert_eq!(address.map_or(peer.to_owned(), |address| clients.key_of(address)), key);
        let own = parse_address(peer.as_bytes()).map_or(peer.to_owned(), |address| clients.key_of(address));
        assert_eq!(clients.key(peer, []), own);

        // What a trusted proxy adds in a line of its own is believed, whatever the client sent before it.
        let with_proxy = lines.iter().copied().chain([added.as_bytes()]);
        assert_eq!(clients.key("10.0.0.1", with_proxy.collect::<Vec<_>>()), "203.0.113.9");
        // A peer that is no proxy is the client.
        assert_eq!(clients.key("198.51.100.4", lines.iter().copied()), "198.51.100.4");
    }
    if let Ok(policies) = parse_policies(peer) {
        assert!(policies.iter().all(|policy| policy.window != Some(0)));
    }
    let _ = parse_service_limits(peer);
});
