// MFABA on the device: `measure` sums the squared gradient and decides, `move` steps or ends the walk. With
// path="norm", `weigh` follows.
#pragma once

#include "block.cuh"
#include "fluxpath/mfaba.h"

namespace fluxpath {

template <typename G>
__device__ void mfaba_measure(const LaneArrays& a, const Scratch& s, const int* slots, const Mfaba& m) {
  const int slot = slots[blockIdx.y];
  // The status is looked at only after the sum, so that the gradient's loads need not wait for it.
  const int before = a.status[slot];
  double squared[1] = {squared_gradient<G>(a, slot)};
  if (!goes_on(s, slot, before)) return;
  if (!last_with(s, slot, squared)) return;
  lane_sum(s, slot, squared);
  if (threadIdx.x != 0) return;
  const MfabaMove move =
      mfaba_decide(m, squared[0], a.scale[slot], a.label[slot], a.target[slot], a.step[slot]);
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
    each_four(n, [&](auto whole, i64 i) {
      const Quad x0 = image.load(whole, i), g = gradient.load(whole, i);
      const Quad x = point.load(whole, i), d = pending.load(whole, i);
      Quad total = sum.load(whole, i);
      for (int k = 0; k < 4; ++k)
        mfaba_close(m, scale, x0.v[k], x.v[k], d.v[k], before, length, &total.v[k], g.v[k]);
      sum.store(whole, i, total);
    });
    return;
  }
  const float factor = s.plan[slot].factor;
  double squared[1] = {};
  each_four(n, [&](auto whole, i64 i) {
    const Quad x0 = image.load(whole, i), g = gradient.load(whole, i);
    Quad x = point.load(whole, i), d = pending.load(whole, i), total = {};
    if (!m.norm_path) total = sum.load(whole, i);
    for (int k = 0; k < 4; ++k) {
      mfaba_step(m, factor, scale, x0.v[k], &x.v[k], &d.v[k], &total.v[k], g.v[k]);
      if (i + k < n) squared[0] += static_cast<double>(d.v[k]) * d.v[k];
    }
    point.store(whole, i, x);
    pending.store(whole, i, d);
    if (!m.norm_path) sum.store(whole, i, total);
  });
  if (!m.norm_path || !last_with(s, slot, squared)) return;
  lane_sum(s, slot, squared);
  if (threadIdx.x != 0) return;
  const float after = static_cast<float>(sqrt(squared[0]));
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
  each_four(a.features, [&](auto whole, i64 i) {
    const Quad g = gradient.load(whole, i);
    Quad total = sum.load(whole, i);
    for (int k = 0; k < 4; ++k) mfaba_weigh(m, scale, plan.before, plan.after, &total.v[k], g.v[k]);
    sum.store(whole, i, total);
  });
}

}  // namespace fluxpath
