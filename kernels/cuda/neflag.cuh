// NeFLAG on the device: `draw` and `place` put a lane at its random point; `measure` sums the squared
// gradient and the flux and decides; `move` takes the sign step or computes the sample's flux.
#pragma once

#include "block.cuh"
#include "fluxpath/neflag.h"
#include "fluxpath/philox.h"

namespace fluxpath {

template <typename G>
__device__ void neflag_measure(const LaneArrays& a, const Scratch& s, const int* slots, const Neflag& m) {
  const int slot = slots[blockIdx.y];
  if (!goes_on(s, slot, a.status[slot])) return;
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<const float> image(a.image, slot, a.features), point(a.point, slot, a.features);
  double sums[2] = {};  // the squared norm, the flux
  each_four<kMeasured>(a.features, [&](auto whole, i64 i) {
    const Quad g = gradient.load(whole, i), x0 = image.load(whole, i), x = point.load(whole, i);
    for (int k = 0; k < 4; ++k) {
      sums[0] += static_cast<double>(g.v[k]) * g.v[k];
      sums[1] += static_cast<double>(g.v[k]) * (x.v[k] - x0.v[k]);
    }
  });
  if (!last_with(s, slot, sums)) return;
  lane_sum(s, slot, sums);
  if (threadIdx.x != 0) return;
  const int status =
      neflag_decide(m, sums[0], sums[1], a.scale[slot], a.label[slot], a.target[slot], a.step[slot]);
  conclude(a, s, slot, status, 0.0f);
}

template <typename G>
__device__ void neflag_move(const LaneArrays& a, const Scratch& s, const int* slots, const Neflag& m) {
  const int slot = slots[blockIdx.y];
  const int act = s.plan[slot].act;
  if (act == kNothing) return;
  const Row<const float> image(a.image, slot, a.features);
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<float> point(a.point, slot, a.features), sum(a.sum, slot, a.features);
  const float scale = a.scale[slot], radius = neflag_radius(m, a.reach[slot]);
  each_four(a.features, [&](auto whole, i64 i) {
    const Quad x0 = image.load(whole, i), g = gradient.load(whole, i);
    Quad out;
    if (act == kStep) {
      for (int k = 0; k < 4; ++k) out.v[k] = neflag_next(m, radius, x0.v[k], g.v[k]);
      point.store(whole, i, out);
    } else {
      const Quad x = point.load(whole, i);
      for (int k = 0; k < 4; ++k) out.v[k] = neflag_flux(scale, x0.v[k], x.v[k], g.v[k]);
      sum.store(whole, i, out);
    }
  });
}

__device__ inline void neflag_draw_lanes(const LaneArrays& a, const Scratch& s, const int* slots,
                                         const int* numbers, u64 seed) {
  const int slot = slots[blockIdx.y];
  const u32 number = static_cast<u32>(numbers[blockIdx.y]);
  const i64 n = a.features;
  const Row<float> point(a.point, slot, n);
  double squared[1] = {};
  each_four(n, [&](auto whole, i64 i) {
    Quad normals;
    four_normals(seed, number, static_cast<u64>(i / 4), normals.v);
    for (int k = 0; k < 4; ++k)
      if (i + k < n) squared[0] += static_cast<double>(normals.v[k]) * normals.v[k];
    point.store(whole, i, normals);
  });
  if (!last_with(s, slot, squared)) return;
  lane_sum(s, slot, squared);
  if (threadIdx.x == 0) s.plan[slot].factor = static_cast<float>(1.0 / sqrt(squared[0]));
}

__device__ inline void neflag_place_lanes(const LaneArrays& a, const Scratch& s, const int* slots,
                                          const Neflag& m) {
  const int slot = slots[blockIdx.y];
  const float to_unit = s.plan[slot].factor, radius = neflag_radius(m, a.reach[slot]);
  const Row<const float> image(a.image, slot, a.features);
  const Row<float> point(a.point, slot, a.features);
  each_four(a.features, [&](auto whole, i64 i) {
    const Quad x0 = image.load(whole, i);
    Quad x = point.load(whole, i);
    for (int k = 0; k < 4; ++k) x.v[k] = neflag_start(m, radius, x0.v[k], to_unit * x.v[k]);
    point.store(whole, i, x);
  });
}

}  // namespace fluxpath
