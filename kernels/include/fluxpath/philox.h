// Philox4x32-10 (Salmon et al., SC 2011): random numbers as a function of a key and a counter, so that
// noise depends only on the seed, the lane and the element, not on order, batch or device.
#pragma once

#include "fluxpath/portable.h"

namespace fluxpath {

struct Four {
  u32 v[4];
};

FLUXPATH_INLINE u32 high_product(u32 a, u32 b) { return static_cast<u32>((static_cast<u64>(a) * b) >> 32); }

FLUXPATH_INLINE Four philox(Four counter, u32 key0, u32 key1) {
  for (int round = 0; round < 10; ++round) {
    const u32 high0 = high_product(0xD2511F53u, counter.v[0]), low0 = 0xD2511F53u * counter.v[0];
    const u32 high1 = high_product(0xCD9E8D57u, counter.v[2]), low1 = 0xCD9E8D57u * counter.v[2];
    counter = Four{{high1 ^ counter.v[1] ^ key0, low1, high0 ^ counter.v[3] ^ key1, low0}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Two independent standard normals from two random words (Box and Muller, 1958).
FLUXPATH_INLINE void normal_pair(u32 a, u32 b, float* first, float* second) {
  const float unit = 2.3283064365386963e-10f;  // 2^-32
  const float radius = sqrtf(-2.0f * logf((static_cast<float>(a) + 0.5f) * unit));
  const float angle = 6.283185307179586f * ((static_cast<float>(b) + 0.5f) * unit);
  *first = radius * cosf(angle);
  *second = radius * sinf(angle);
}

// Four standard normals for elements 4*block .. 4*block+3 of a lane.
FLUXPATH_INLINE void four_normals(u64 seed, u32 lane, u64 block, float out[4]) {
  const Four counter = {{static_cast<u32>(block), static_cast<u32>(block >> 32), lane, 0u}};
  const Four r = philox(counter, static_cast<u32>(seed), static_cast<u32>(seed >> 32));
  normal_pair(r.v[0], r.v[1], out, out + 1);
  normal_pair(r.v[2], r.v[3], out + 2, out + 3);
}

// Four random words for a whole lane; the counter's last word separates them from the lane's normals.
FLUXPATH_INLINE void four_words(u64 seed, u32 lane, u32 out[4]) {
  const Four r = philox(Four{{0u, 0u, lane, 1u}}, static_cast<u32>(seed), static_cast<u32>(seed >> 32));
  for (int k = 0; k < 4; ++k) out[k] = r.v[k];
}

}  // namespace fluxpath
