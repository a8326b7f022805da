# The C++ part of tests/c/run.
language C++

cpp_strict="-std=c++17 -Wall -Wextra -Wpedantic -Werror"
for header in tidegate.h tidegate.hpp; do
    expect "$header alone" g++ $cpp_strict -x c++ -fsyntax-only "include/$header"
done
if g++ $cpp_strict -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -I"$out/dev/include" tests/cpp/test_tidegate.cpp \
    -o "$out/test_cpp-asan" -L"$out/dev/lib" -Wl,-rpath,"$out/dev/lib" -ltidegate -lpthread 2>"$out/gcc.log"; then
    program "wrapper, ASan and UBSan" env ASAN_OPTIONS=detect_leaks=1 "$out/test_cpp-asan"
else
    not_ok "wrapper compiles" "$out/gcc.log"
fi
