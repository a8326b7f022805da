//! Gives the shared library its soname (macOS: install name).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let part = |name: &str| std::env::var(name).unwrap_or_default();
    let (major, minor) = (part("CARGO_PKG_VERSION_MAJOR"), part("CARGO_PKG_VERSION_MINOR"));
    // Cargo's rule of compatibility: below 1.0 the minor version breaks. install.sh follows the same rule.
    let abi = if major == "0" { format!("{major}.{minor}") } else { major };
    match os.as_str() {
        "macos" | "ios" => println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libtidegate.{abi}.dylib"),
        "windows" => {}
        _ => println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtidegate.so.{abi}"),
    }
}
