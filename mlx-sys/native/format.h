// Supplies std::format where the standard library lacks it (GCC 12): mlx-c
// formats with plain {} only. Force-included before every source.
#pragma once
#ifdef __cplusplus
#include <version>
#if defined(__has_include)
#if __has_include(<format>)
#include <format>
#endif
#endif
#ifndef __cpp_lib_format
#include <sstream>
#include <string>
#include <string_view>
namespace std {
inline void maquette_format_into(ostringstream& out, string_view text) {
  out << text;
}
template <class First, class... Rest>
void maquette_format_into(
    ostringstream& out,
    string_view text,
    const First& first,
    const Rest&... rest) {
  auto hole = text.find("{}");
  if (hole == string_view::npos) {
    out << text;
    return;
  }
  out << text.substr(0, hole) << first;
  maquette_format_into(out, text.substr(hole + 2), rest...);
}
template <class... Args>
string format(string_view text, const Args&... args) {
  ostringstream out;
  maquette_format_into(out, text, args...);
  return out.str();
}
} // namespace std
#endif
#endif
