# The C part of tests/c/run.
language C

strict="-Wall -Wextra -Wpedantic -Werror"
sanitize="-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

# The header, alone and included twice, and as what cbindgen makes of the sources today.
for standard in c99 c11 c17; do
    expect "header as $standard" gcc -std=$standard $strict -x c -fsyntax-only include/tidegate.h
    printf '#include <tidegate.h>\n#include <tidegate.h>\nint main(void) { return 0; }\n' >"$out/twice.c"
    expect "header twice as $standard" gcc -std=$standard $strict -Iinclude -fsyntax-only "$out/twice.c"
done
expect "header is the generated one" cargo test --quiet -p tidegate-ffi --lib

# Exports: the functions of the header, all of them and nothing else.
sed 's|/\*.*\*/||' include/tidegate.h | grep -v '^ \*' | grep -oE '\btg_[a-z_]+\(' | tr -d '(' | sort -u >"$out/declared"
exported() { nm -D --defined-only "$1" | awk '{ print $NF }' | sort -u; }
for profile in dev release; do
    exported "$out/$profile/lib/libtidegate.so" >"$out/exported"
    expect "exports of the $profile library" diff "$out/declared" "$out/exported"
done
# The static library hides all but those and what Rust's runtime must show.
readelf -sW "$out/release/lib/libtidegate.a" 2>/dev/null | awk '($5 == "GLOBAL" || $5 == "WEAK") && $6 == "DEFAULT" && $7 != "UND" { print $8 }' |
    grep -v '^_R\|^rust_eh_personality$' | sort -u >"$out/exported"
expect "default-visibility symbols of the static library" diff "$out/declared" "$out/exported"
soname=$(readelf -d "$out/release/lib/libtidegate.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
expect "soname resolves" test -e "$out/release/lib/$soname"

compile() { # PREFIX SOURCE BINARY FLAGS...
    local prefix=$1 source=$2 binary=$3
    shift 3
    gcc -std=c11 $strict "$@" -I"$prefix/include" "$source" -o "$binary" -L"$prefix/lib" -Wl,-rpath,"$prefix/lib" -ltidegate -lpthread -lm
}

# Behaviour, under the address and undefined-behaviour sanitizers (with leak check), and under valgrind.
for source in tests/c/test_*.c; do
    name=$(basename "$source" .c)
    prefix=$out/dev
    [ "$name" != test_panic ] || prefix=$out/probe
    if compile "$prefix" "$source" "$out/$name-asan" $sanitize 2>"$out/gcc.log"; then
        program "$name, ASan and UBSan" "$out/$name-asan"
    else
        not_ok "$name compiles with sanitizers" "$out/gcc.log"
    fi
    if compile "$prefix" "$source" "$out/$name" -g -O1 2>"$out/gcc.log"; then
        program "$name, valgrind" valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible \
            --suppressions=tests/c/valgrind.supp --fair-sched=yes "$out/$name"
    else
        not_ok "$name compiles" "$out/gcc.log"
    fi
done

# Files of the system that are missing; valgrind needs them.
if compile "$out/dev" tests/c/files_of_the_system.c "$out/files" -Itests/c $sanitize 2>"$out/gcc.log"; then
    program "files of the system" "$out/files"
else
    not_ok "files of the system compile" "$out/gcc.log"
fi

# The sanitizers are really in these binaries, and see what they must see.
has_symbol() { nm "$1" | grep "$2" >/dev/null; }
expect "ASan is in the binary" has_symbol "$out/test_bucket-asan" __asan_init
expect "UBSan is in the binary" has_symbol "$out/test_bucket-asan" __ubsan_handle
expect "violation compiles" compile "$out/dev" tests/c/violation.c "$out/violation" $sanitize
expect "violation, none" "$out/violation"
expect_failure "violation, use after free" heap-use-after-free "$out/violation" use-after-free
expect_failure "violation, overflow" heap-buffer-overflow "$out/violation" overflow
expect_failure "violation, undefined" "signed integer overflow" "$out/violation" undefined
expect_failure "violation, leak" "detected memory leaks" "$out/violation" leak

# What every setting refuses, from core's descriptions.
python3 tests/c/settings_to_c.py tests/settings.json >"$out/settings.c" || not_ok "settings become C"
if compile "$out/dev" "$out/settings.c" "$out/settings" -Itests/c $sanitize -O0 2>"$out/gcc.log"; then
    program settings "$out/settings"
else
    not_ok "settings compile" "$out/gcc.log"
fi

# The shared test vectors.
python3 tests/c/vectors_to_c.py tests/vectors >"$out/vectors.c" || not_ok "vectors become C"
if compile "$out/dev" "$out/vectors.c" "$out/vectors" -Itests/c $sanitize -O0 2>"$out/gcc.log"; then
    program vectors "$out/vectors"
else
    not_ok "vectors compile" "$out/gcc.log"
fi

# Policy files.
python3 tests/c/policies_to_c.py tests/policies >"$out/policies.c" || not_ok "policies become C"
if compile "$out/dev" "$out/policies.c" "$out/policies" -Itests/c -Wno-overlength-strings $sanitize -O0 2>"$out/gcc.log"; then
    program policies "$out/policies"
else
    not_ok "policies compile" "$out/gcc.log"
fi

# What the pages show compiles.
for page in docs/*.md; do
    grep -q '^```c$' "$page" || continue
    name=$(basename "$page" .md)
    { printf '#include <stdio.h>\n#include <string.h>\n#include <tidegate.h>\n'; awk '/^```$/ {on = 0} on; /^```c$/ {on = 1}' "$page"; } >"$out/page-$name.c"
    expect "docs/$name.md compiles" gcc -std=c11 -Wall -Wextra -Werror -Wno-unused-function -Iinclude -fsyntax-only "$out/page-$name.c"
done

# A consumer through pkg-config and through CMake, shared and static; one version everywhere.
version=$(cargo pkgid -p tidegate-ffi | sed 's/.*[#@]//')
export PKG_CONFIG_PATH=$out/release/lib/pkgconfig
same() { [ "$1" = "$2" ] || { echo "\"$1\", not \"$2\""; return 1; }; }
expect "pkg-config version" same "$(pkg-config --modversion tidegate)" "$version"
cat >"$out/consumer.c" <<'C'
#include <tidegate.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    config.rate = "1/h";
    if (tg_bucket_new(&config, &bucket) != TG_OK || tg_bucket_try_acquire(bucket, 1) != TG_OK) return 1;
    tg_bucket_free(bucket);
    printf("%s\n", tg_version());
    return strcmp(tg_version(), TG_VERSION) != 0;
}
C
shared_consumer() {
    gcc $(pkg-config --cflags tidegate) "$out/consumer.c" -o "$out/consumer-shared" $(pkg-config --libs tidegate) &&
        same "$(LD_LIBRARY_PATH=$out/release/lib "$out/consumer-shared")" "$version"
}
static_consumer() {
    gcc $(pkg-config --cflags tidegate) "$out/consumer.c" -o "$out/consumer-static" \
        $(pkg-config --static --libs tidegate | sed 's/-ltidegate/-l:libtidegate.a/') &&
        ! ldd "$out/consumer-static" | grep libtidegate && same "$("$out/consumer-static")" "$version"
}
moved_consumer() { # the installation may be moved as a whole
    cp -r "$out/release" "$out/moved" &&
        PKG_CONFIG_PATH=$out/moved/lib/pkgconfig sh -c "pkg-config --cflags --libs tidegate" | grep "$out/moved" >/dev/null &&
        PKG_CONFIG_PATH=$out/moved/lib/pkgconfig sh -c "gcc \$(pkg-config --cflags tidegate) '$out/consumer.c' -o '$out/consumer-moved' \$(pkg-config --libs tidegate)"
}
expect "pkg-config consumer, shared" shared_consumer
expect "pkg-config consumer, static" static_consumer
expect "pkg-config consumer, moved" moved_consumer

cmake_project() { # ASKED_VERSION
    mkdir -p "$out/cmake" && cp "$out/consumer.c" "$out/cmake/" && cat >"$out/cmake/CMakeLists.txt" <<C
cmake_minimum_required(VERSION 3.16)
project(consumer C)
find_package(tidegate $1 REQUIRED)
add_executable(shared consumer.c)
target_link_libraries(shared PRIVATE tidegate::tidegate)
add_executable(static consumer.c)
target_link_libraries(static PRIVATE tidegate::static)
message(STATUS "tidegate_VERSION=\${tidegate_VERSION}")
C
    rm -rf "$out/cmake/build"
    cmake -S "$out/cmake" -B "$out/cmake/build" -DCMAKE_PREFIX_PATH="$out/release"
}
cmake_consumer() {
    cmake_project "$version" | tee "$out/cmake.log" && cmake --build "$out/cmake/build" &&
        grep -q "tidegate_VERSION=$version" "$out/cmake.log" &&
        same "$("$out/cmake/build/shared")" "$version" && same "$("$out/cmake/build/static")" "$version" &&
        ldd "$out/cmake/build/shared" | grep libtidegate >/dev/null && ! ldd "$out/cmake/build/static" | grep libtidegate
}
expect "CMake consumer" cmake_consumer
expect_failure "CMake refuses a newer version" "compatible with requested version" cmake_project 99.0

# The examples, as a user builds them; what they share lies in a folder of this run.
mkdir -m 700 "$out/arenas"
for source in ffi/examples/*.c; do
    name=$(basename "$source" .c)
    expect "example $name compiles" gcc -std=c11 $strict $(pkg-config --cflags tidegate) "$source" -o "$out/$name" $(pkg-config --libs tidegate) -lpthread
    expect "example $name runs" env LD_LIBRARY_PATH="$out/release/lib" TIDEGATE_DIR="$out/arenas" timeout 60 "$out/$name"
done

# The program in the README, as it stands there.
awk '/^```c$/ { on = 1; text = ""; next } /^```$/ { if (on && text ~ /int main/) printf "%s", text; on = 0 } on { text = text $0 "\n" }' \
    ffi/README.md >"$out/readme.c"
expect "README program compiles" gcc -std=c11 $strict $(pkg-config --cflags tidegate) "$out/readme.c" -o "$out/readme" $(pkg-config --libs tidegate)
expect "README program runs" env LD_LIBRARY_PATH="$out/release/lib" "$out/readme"
