// Methods of independent points on the device: `straight` and `noise` put a lane at its point; `measure`
// checks that the gradient is finite, `move` writes it to the sum.
#pragma once

#include "block.cuh"
#include "fluxpath/philox.h"
#include "fluxpath/weighted.h"

namespace fluxpath {

template <typename G>
__device__ void weighted_measure(const LaneArrays& a, const Scratch& s, const int* slots) {
  const int slot = slots[blockIdx.y];
  // The status is looked at only after the sum, so that the gradient's loads need not wait for it.
  const int before = a.status[slot];
  double squared[1] = {squared_gradient<G>(a, slot)};
  if (!goes_on(s, slot, before)) return;
  if (!last_with(s, slot, squared)) return;
  lane_sum(s, slot, squared);
  if (threadIdx.x != 0) return;
  const int status = weighted_decide(squared[0], a.scale[slot]);
  conclude(a, s, slot, status, 0.0f);
  if (status != kNonFinite) ++a.step[slot];
}

template <typename G>
__device__ void weighted_move(const LaneArrays& a, const Scratch& s, const int* slots, const float* weights,
                              const Weighted& m) {
  const int slot = slots[blockIdx.y];
  if (s.plan[slot].act == kNothing) return;
  const Row<const float> image(a.image, slot, a.features), reference(a.pending, slot, a.features);
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<float> sum(a.sum, slot, a.features);
  const float scale = a.scale[slot], weight = weights[blockIdx.y];
  each_four(a.features, [&](auto whole, i64 i) {
    const Quad g = gradient.load(whole, i);
    Quad x0 = {}, r = {}, out;  // only what the multiplier needs is read
    if (m.multiplier != kOne) x0 = image.load(whole, i);
    if (m.multiplier == kDifference) r = reference.load(whole, i);
    for (int k = 0; k < 4; ++k) out.v[k] = weighted_term(m, weight, scale, x0.v[k], r.v[k], g.v[k]);
    sum.store(whole, i, out);
  });
}

__device__ inline void straight_lanes(const LaneArrays& a, const int* slots, const float* shares) {
  const int slot = slots[blockIdx.y];
  const Row<const float> image(a.image, slot, a.features), reference(a.pending, slot, a.features);
  const Row<float> point(a.point, slot, a.features);
  const float share = shares[blockIdx.y];
  each_four(a.features, [&](auto whole, i64 i) {
    const Quad x0 = image.load(whole, i), r = reference.load(whole, i);
    Quad out;
    for (int k = 0; k < 4; ++k) out.v[k] = straight_point(x0.v[k], r.v[k], share);
    point.store(whole, i, out);
  });
}

__device__ inline void noise_lanes(const LaneArrays& a, const int* slots, const int* numbers, float deviation,
                                   float low, float high, u64 seed) {
  const int slot = slots[blockIdx.y];
  const u32 number = static_cast<u32>(numbers[blockIdx.y]);
  const Row<const float> image(a.image, slot, a.features);
  const Row<float> point(a.point, slot, a.features);
  each_four(a.features, [&](auto whole, i64 i) {
    const Quad x0 = image.load(whole, i);
    Quad out;
    four_normals(seed, number, static_cast<u64>(i / 4), out.v);
    for (int k = 0; k < 4; ++k) out.v[k] = noisy_point(x0.v[k], deviation, out.v[k], low, high);
    point.store(whole, i, out);
  });
}

}  // namespace fluxpath
