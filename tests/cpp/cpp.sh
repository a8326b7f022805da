language C++
