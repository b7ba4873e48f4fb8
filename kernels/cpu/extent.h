// The least and the largest of many values in one pass, for the checks of callers' arrays.
#pragma once

#include <limits>

#include "fluxpath/portable.h"

namespace fluxpath {

struct Extent {
  float least, most;
};

// As `extent`, by one thread.
inline Extent extent_alone(const float* values, i64 count) {
  // The compiler vectorises independent ways without branches.
  constexpr int kWays = 16;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float least[kWays], most[kWays];
  int odd[kWays] = {};
  for (int k = 0; k < kWays; ++k) least[k] = kInfinity, most[k] = -kInfinity;
  const auto look = [&](int k, float v) {
    least[k] = v < least[k] ? v : least[k];
    most[k] = v > most[k] ? v : most[k];
    odd[k] |= v != v;
  };
  i64 i = 0;
  for (; i + kWays <= count; i += kWays)
    for (int k = 0; k < kWays; ++k) look(k, values[i + k]);
  for (; i < count; ++i) look(0, values[i]);
  Extent all = {kInfinity, -kInfinity};
  for (int k = 0; k < kWays; ++k) {
    if (odd[k]) return {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::quiet_NaN()};
    all.least = least[k] < all.least ? least[k] : all.least;
    all.most = most[k] > all.most ? most[k] : all.most;
  }
  return all;
}

// NaN for both if any value is NaN; +infinity and -infinity if there are no values.
inline Extent extent(const float* values, i64 count) {
  // Some images at 224 pixels: a single thread reads memory at a fraction of the machine's speed.
  constexpr i64 kPart = 1 << 18;
  if (count < kPart) return extent_alone(values, count);
  const i64 parts = count / kPart + 1;
  float least = std::numeric_limits<float>::infinity(), most = -least;
  bool odd = false;
#pragma omp parallel for schedule(static) reduction(min : least) reduction(max : most) reduction(|| : odd) \
    if (count >= 16 * kPart)
  for (i64 part = 0; part < parts; ++part) {
    const i64 first = part * kPart;
    const Extent found = extent_alone(values + first, first + kPart < count ? kPart : count - first);
    odd = odd || found.least != found.least;
    least = found.least < least ? found.least : least;
    most = found.most > most ? found.most : most;
  }
  if (odd) return {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::quiet_NaN()};
  return {least, most};
}

}  // namespace fluxpath
