// The least and the largest of many values in one pass, for the checks of callers' arrays.
#pragma once

#include <limits>

#include "fluxpath/portable.h"

namespace fluxpath {

struct Extent {
  float least, most;
};

// NaN for both if any value is NaN; +infinity and -infinity if there are no values.
inline Extent extent(const float* values, i64 count) {
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

}  // namespace fluxpath
