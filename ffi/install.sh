#!/bin/sh
# Builds libtidegate and installs it: ffi/install.sh PREFIX
#   PREFIX/include/tidegate.h, tidegate.hpp     PREFIX/lib/libtidegate.{so*,a}
#   PREFIX/lib/pkgconfig/tidegate.pc            PREFIX/lib/cmake/tidegate/
#   PREFIX/share/doc/tidegate/                  licences, notices of third parties, bill of materials
# Environment: DESTDIR (staging, as in make install), LIBDIR (below PREFIX; default lib), PROFILE (release or dev).
# Needs cargo and nothing else.
set -eu
[ $# -eq 1 ] || { sed -n '2,7s/^# //p' "$0" >&2; exit 2; }
case $1 in /*) prefix=$1 ;; *) prefix=$PWD/$1 ;; esac
libdir=${LIBDIR:-lib}
case $libdir in /* | *..*) echo "install.sh: LIBDIR is a folder below PREFIX, such as lib64 or lib/x86_64-linux-gnu" >&2; exit 2 ;; esac
profile=${PROFILE:-release}
cd "$(dirname "$0")/.."

# The linker flags that a user of the static library needs are the compiler's to tell.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
RUSTFLAGS=$(xtask/release-flags)
export RUSTFLAGS
cargo rustc --profile "$profile" -p tidegate-ffi --lib -- --print native-static-libs 2>"$log" || { cat "$log" >&2; exit 1; }
private_libs=$(sed -n 's/^note: native-static-libs: //p' "$log" | tail -n 1)

metadata=$(cargo metadata --format-version 1 --no-deps)
target=$(printf %s "$metadata" | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
url=$(sed -n 's/^repository = "\(.*\)"/\1/p' Cargo.toml)
version=$(cargo pkgid -p tidegate-ffi | sed 's/.*[#@]//')
case $version in 0.*) abi=$(echo "$version" | cut -d. -f1-2) ;; *) abi=${version%%.*} ;; esac
[ "$profile" = dev ] && built=$target/debug || built=$target/$profile

# From the library folder, and from any folder in it, up to the prefix.
up=$(echo "$libdir" | sed 's|[^/][^/]*|..|g')
lib=${DESTDIR:-}$prefix/$libdir
include=${DESTDIR:-}$prefix/include
doc=${DESTDIR:-}$prefix/share/doc/tidegate
mkdir -p "$lib/pkgconfig" "$lib/cmake/tidegate" "$include" "$doc"

if [ "$(uname)" = Darwin ]; then
    shared=libtidegate.$version.dylib soname=libtidegate.$abi.dylib link=libtidegate.dylib
else
    shared=libtidegate.so.$version soname=libtidegate.so.$abi link=libtidegate.so
fi
install -m 755 "$built/$link" "$lib/$shared"
[ "$shared" = "$soname" ] || ln -sf "$shared" "$lib/$soname"
ln -sf "$soname" "$lib/$link"
install -m 644 "$built/libtidegate.a" "$lib/libtidegate.a"
install -m 644 include/tidegate.h include/tidegate.hpp "$include/"
install -m 644 LICENSE-MIT LICENSE-APACHE ffi/packaging/THIRD-PARTY-NOTICES.txt ffi/packaging/sbom.cdx.json "$doc/"

fill() {
    sed -e "s|@VERSION@|$version|g" -e "s|@ABI@|$abi|g" -e "s|@URL@|$url|g" -e "s|@PRIVATE_LIBS@|$private_libs|g" \
        -e "s|@UP@|$2|g" -e "s|@LIBDIR@|$libdir|g" -e "s|@SHARED@|$shared|g" -e "s|@SONAME@|$soname|g" "ffi/packaging/$1.in"
}
fill tidegate.pc "../$up" >"$lib/pkgconfig/tidegate.pc"
fill tidegateConfig.cmake "$up" >"$lib/cmake/tidegate/tidegateConfig.cmake"
fill tidegateConfigVersion.cmake "$up" >"$lib/cmake/tidegate/tidegateConfigVersion.cmake"
echo "installed tidegate $version in ${DESTDIR:-}$prefix"
