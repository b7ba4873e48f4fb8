// MFABA on the device: `measure` sums the squared gradient and decides, `move` steps or ends the walk. With
// path="norm", `weigh` follows.
#pragma once

#include "block.cuh"
#include "fluxpath/mfaba.h"

namespace fluxpath {

template <typename G>
__device__ void mfaba_measure(const LaneArrays& a, const Scratch& s, const int* slots, const Mfaba& m) {
  const int slot = slots[blockIdx.y];
  if (!goes_on(a, s, slot)) return;
  const Row<const G> gradient = gradient_row<G>(a, slot);
  double squared = 0.0;
  each_four(a.features, [&](i64 i) {
    const Quad g = gradient.load(i);
    for (int k = 0; k < 4; ++k) squared += static_cast<double>(g.v[k]) * g.v[k];
  });
  if (!last_with(s, slot, squared, 0.0)) return;
  squared = lane_sum(s, slot, 0);
  if (threadIdx.x != 0) return;
  const MfabaMove move =
      mfaba_decide(m, squared, a.scale[slot], a.label[slot], a.target[slot], a.step[slot]);
  conclude(a, s, slot, move.status, move.factor);
}

template <typename G>
__device__ void mfaba_move(const LaneArrays& a, const Scratch& s, const int* slots, const Mfaba& m) {
  const int slot = slots[blockIdx.y];
  const int act = s.plan[slot].act;
  if (act == kNothing) return;
  const i64 n = a.features;
  const Row<const float> image(a.image, slot, n);
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<float> point(a.point, slot, n), pending(a.pending, slot, n), sum(a.sum, slot, n);
  const float scale = a.scale[slot];
  if (act == kClose) {
    const float before = s.plan[slot].before, length = s.plan[slot].length;
    each_four(n, [&](i64 i) {
      const Quad x0 = image.load(i), g = gradient.load(i), x = point.load(i), d = pending.load(i);
      Quad total = sum.load(i);
      for (int k = 0; k < 4; ++k)
        mfaba_close(m, scale, x0.v[k], x.v[k], d.v[k], before, length, &total.v[k], g.v[k]);
      sum.store(i, total);
    });
    return;
  }
  const float factor = s.plan[slot].factor;
  double squared = 0.0;
  each_four(n, [&](i64 i) {
    const Quad x0 = image.load(i), g = gradient.load(i);
    Quad x = point.load(i), d = pending.load(i), total = {};
    if (!m.norm_path) total = sum.load(i);
    for (int k = 0; k < 4; ++k) {
      mfaba_step(m, factor, scale, x0.v[k], &x.v[k], &d.v[k], &total.v[k], g.v[k]);
      if (i + k < n) squared += static_cast<double>(d.v[k]) * d.v[k];
    }
    point.store(i, x);
    pending.store(i, d);
    if (!m.norm_path) sum.store(i, total);
  });
  if (!m.norm_path || !last_with(s, slot, squared, 0.0)) return;
  const float after = static_cast<float>(sqrt(lane_sum(s, slot, 0)));
  if (threadIdx.x != 0) return;
  s.plan[slot].after = after;
  a.pending_length[slot] = after;
  a.length[slot] += after;
}

template <typename G>
__device__ void mfaba_weigh_lanes(const LaneArrays& a, const Scratch& s, const int* slots, const Mfaba& m) {
  const int slot = slots[blockIdx.y];
  const Plan plan = s.plan[slot];
  if (plan.act != kStep) return;
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<float> sum(a.sum, slot, a.features);
  const float scale = a.scale[slot];
  each_four(a.features, [&](i64 i) {
    const Quad g = gradient.load(i);
    Quad total = sum.load(i);
    for (int k = 0; k < 4; ++k) mfaba_weigh(m, scale, plan.before, plan.after, &total.v[k], g.v[k]);
    sum.store(i, total);
  });
}

}  // namespace fluxpath
