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
  if (!goes_on(a, s, slot)) return;
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<const float> image(a.image, slot, a.features), point(a.point, slot, a.features);
  double squared = 0.0, flux = 0.0;
  each_four(a.features, [&](i64 i) {
    const Quad g = gradient.load(i), x0 = image.load(i), x = point.load(i);
    for (int k = 0; k < 4; ++k) {
      squared += static_cast<double>(g.v[k]) * g.v[k];
      flux += static_cast<double>(g.v[k]) * (x.v[k] - x0.v[k]);
    }
  });
  if (!last_with(s, slot, squared, flux)) return;
  squared = lane_sum(s, slot, 0);
  flux = lane_sum(s, slot, 1);
  if (threadIdx.x != 0) return;
  const int status =
      neflag_decide(m, squared, flux, a.scale[slot], a.label[slot], a.target[slot], a.step[slot]);
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
  const float scale = a.scale[slot];
  each_four(a.features, [&](i64 i) {
    const Quad x0 = image.load(i), g = gradient.load(i);
    Quad out;
    if (act == kStep) {
      for (int k = 0; k < 4; ++k) out.v[k] = neflag_next(m, x0.v[k], g.v[k]);
      point.store(i, out);
    } else {
      const Quad x = point.load(i);
      for (int k = 0; k < 4; ++k) out.v[k] = neflag_flux(scale, x0.v[k], x.v[k], g.v[k]);
      sum.store(i, out);
    }
  });
}

__device__ inline void neflag_draw_lanes(const LaneArrays& a, const Scratch& s, const int* slots,
                                         const int* numbers, u64 seed) {
  const int slot = slots[blockIdx.y];
  const u32 number = static_cast<u32>(numbers[blockIdx.y]);
  const i64 n = a.features;
  const Row<float> point(a.point, slot, n);
  double squared = 0.0;
  each_four(n, [&](i64 i) {
    Quad normals;
    four_normals(seed, number, static_cast<u64>(i / 4), normals.v);
    for (int k = 0; k < 4; ++k)
      if (i + k < n) squared += static_cast<double>(normals.v[k]) * normals.v[k];
    point.store(i, normals);
  });
  if (!last_with(s, slot, squared, 0.0)) return;
  squared = lane_sum(s, slot, 0);
  if (threadIdx.x == 0) s.plan[slot].factor = static_cast<float>(1.0 / sqrt(squared));
}

__device__ inline void neflag_place_lanes(const LaneArrays& a, const Scratch& s, const int* slots,
                                          const Neflag& m) {
  const int slot = slots[blockIdx.y];
  const float to_unit = s.plan[slot].factor;
  const Row<const float> image(a.image, slot, a.features);
  const Row<float> point(a.point, slot, a.features);
  each_four(a.features, [&](i64 i) {
    const Quad x0 = image.load(i);
    Quad x = point.load(i);
    for (int k = 0; k < 4; ++k) x.v[k] = neflag_start(m, x0.v[k], to_unit * x.v[k]);
    point.store(i, x);
  });
}

}  // namespace fluxpath
